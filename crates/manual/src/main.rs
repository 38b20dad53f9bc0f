//! `iam-ssh-manual OUTDIR`: see the library.

fn main() -> std::process::ExitCode {
    iam_ssh_manual::main()
}
