//! See `iam_ssh::program::fetch`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::fetch::main()
}
