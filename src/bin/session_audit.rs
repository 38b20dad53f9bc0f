//! See `iam_ssh::program::session_audit`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::session_audit::main()
}
