//! `iam-ssh-sync`, and `bootstrap` in Lambda. It must hold nothing but this call: all behaviour is in the library.
fn main() -> std::process::ExitCode {
    iam_ssh_sync::cli::main()
}
