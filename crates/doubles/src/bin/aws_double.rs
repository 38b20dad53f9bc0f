//! The double as a program, for shell tests and the demo; it must never be installed. All behaviour is in the library.
fn main() -> std::process::ExitCode {
    iam_ssh_doubles::program::main()
}
