//! See `iam_ssh::program::chain`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::chain::main()
}
