//! See `iam_ssh::program::authorized_keys`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::authorized_keys::main()
}
