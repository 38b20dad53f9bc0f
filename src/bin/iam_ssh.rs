//! See `iam_ssh::program::iam_ssh`.

fn main() -> std::process::ExitCode {
    iam_ssh::program::iam_ssh::main()
}
