//! Key pairs, made by the real ssh-keygen.

use std::path::{Path, PathBuf};

use crate::process::{command, run};

/// What ssh-keygen is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519.
    Ed25519,
    /// RSA, 2048 bits: the smallest that is allowed.
    Rsa2048,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA on P-256.
    Ecdsa256,
}

/// A key pair in files.
#[derive(Clone, Debug)]
pub struct Key {
    private: PathBuf,
    line: String,
}

impl Key {
    pub(crate) fn generate(directory: &Path, name: &str, kind: KeyKind) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let private = directory.join(name);
        let options: &[&str] = match kind {
            KeyKind::Ed25519 => &["-t", "ed25519"],
            KeyKind::Rsa2048 => &["-t", "rsa", "-b", "2048"],
            KeyKind::Rsa4096 => &["-t", "rsa", "-b", "4096"],
            KeyKind::Ecdsa256 => &["-t", "ecdsa", "-b", "256"],
        };
        run(command("ssh-keygen").args(["-q", "-N", "", "-C", name, "-f"]).arg(&private).args(options), b"")
            .expect_ok();
        let line = std::fs::read_to_string(directory.join(format!("{name}.pub"))).unwrap();
        Self { private, line: line.trim_end().to_owned() }
    }

    /// The file that ssh takes with `-i`.
    #[must_use]
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// The public key as in a `.pub` file: type, base64, comment.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Its type: `ssh-ed25519`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.word(0)
    }

    /// Its base64.
    #[must_use]
    pub fn base64(&self) -> &str {
        self.word(1)
    }

    /// Type and base64, without a comment.
    #[must_use]
    pub fn bare(&self) -> String {
        format!("{} {}", self.kind(), self.base64())
    }

    fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).expect("type and base64")
    }
}
