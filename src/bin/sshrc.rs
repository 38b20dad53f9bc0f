//! See `iam_ssh::program::sshrc`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::sshrc::main()
}
