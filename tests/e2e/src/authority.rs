//! A certificate authority of the rig's own, for servers on 127.0.0.1.

use std::path::{Path, PathBuf};

use crate::process::{command, run};

/// The name of a server on 127.0.0.1, for machines that are told so. Without a dot: moto takes the first part of others for a bucket.
pub const HOST: &str = "company-s3";

/// Its files, all PEM.
#[derive(Debug)]
pub struct Authority {
    /// The root that clients trust.
    pub root: PathBuf,
    /// The server's certificate, for 127.0.0.1 and [`HOST`].
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes a root and a server certificate, RSA as S3's are.
    #[must_use]
    pub fn create(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        let (root, root_key) = (file("root.pem"), file("root.key"));
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let request = |subject: &str, certificate: &Path, key: &Path| {
            let mut openssl = command("openssl");
            openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject]);
            openssl.arg("-keyout").arg(key).arg("-out").arg(certificate);
            openssl
        };
        run(request("/CN=rig root", &root, &root_key).args(["-addext", "keyUsage=critical,keyCertSign"]), b"")
            .expect_ok();
        let mut server = request("/CN=127.0.0.1", &certificate, &key);
        server.arg("-CA").arg(&root).arg("-CAkey").arg(&root_key);
        server.args([
            "-addext",
            &format!("subjectAltName=IP:127.0.0.1,DNS:{HOST}"),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        run(&mut server, b"").expect_ok();
        Self { root, certificate, key }
    }
}
