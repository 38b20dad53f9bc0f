//! The main path against moto: an opinion on IAM and S3 that is independent of our own double.
//!
//! It must never be skipped: where there is no moto, it fails and says how to get it. moto is found through `IAM_SSH_MOTO` (the path
//! of `moto_server`) or in `PATH`; it is bound to loopback and ends with the test, however the test ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{BUCKET, ED25519, RSA, Ran, against, finish, line};

/// A running moto.
struct Moto {
    process: Child,
    address: String,
}

impl Moto {
    fn start() -> Self {
        let server = Self::find().expect("no moto_server in PATH, and IAM_SSH_MOTO is not set: run `make setup`");
        // Killed by the kernel if this test dies before it can do so itself.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(server)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env_remove("AWS_CA_BUNDLE")
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv (util-linux) starts moto_server");
        let mut said = String::new();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line).unwrap() == 0 {
                let _ = process.wait();
                panic!("moto_server ended before it served: {said}");
            }
            if let Some((_, address)) = line.split_once("Running on http://") {
                break address.trim().to_owned();
            }
            said.push_str(&line);
        };
        // Its log must be read, or it stops when the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { process, address }
    }

    fn find() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("IAM_SSH_MOTO").filter(|path| !path.is_empty()) {
            return Some(path.into());
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("moto_server")).find(|file| file.is_file())
    }

    fn http(&self, method: &str, target: &str, service: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIAMOTO/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn iam(&self, action: &str, fields: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded(&[("Action", action), ("Version", "2010-05-08")]);
        form.push('&');
        form.push_str(&form_urlencoded(fields));
        let (status, body) = self.http("POST", "/", "iam", &form);
        assert_eq!(status, 200, "{action}: {body}");
        body
    }

    /// Uploads a key and gives its id.
    fn upload(&self, user: &str, key: &str) -> String {
        let answer = self.iam("UploadSSHPublicKey", &[("UserName", user), ("SSHPublicKeyBody", key)]);
        let (_, rest) = answer.split_once("<SSHPublicKeyId>").unwrap();
        rest.split('<').next().unwrap().to_owned()
    }

    fn object(&self, key: &str) -> (u16, String) {
        self.http("GET", &format!("/{BUCKET}/{key}"), "s3", "")
    }

    fn sync(&self) -> Ran {
        let ran = finish(against(&format!("http://{}", self.address)));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

#[test]
fn the_main_path_works_against_moto_too() {
    let moto = Moto::start();
    assert_eq!(moto.http("PUT", &format!("/{BUCKET}"), "s3", "").0, 200);
    let (john, ann) = ("john+x=1,2@example.org", "ann");
    for user in [john, ann] {
        moto.iam("CreateUser", &[("UserName", user)]);
    }
    moto.iam("CreateGroup", &[("GroupName", "Administrators")]);
    for user in [john, ann] {
        moto.iam("AddUserToGroup", &[("GroupName", "Administrators"), ("UserName", user)]);
    }
    let johns = moto.upload(john, &format!("{RSA} john's laptop"));
    moto.upload(ann, ED25519);

    assert_eq!(moto.sync().summary(), "3 put, 0 deleted, 0 kept");
    let johns_path = "users/john%2Bx%3D1%2C2%40example.org/authorized_keys";
    assert_eq!(moto.object(johns_path), (200, line(john, RSA)));
    let both = line(ann, ED25519) + &line(john, RSA);
    assert_eq!(moto.object("groups/Administrators/authorized_keys"), (200, both));
    assert_eq!(moto.object("iam-ssh/heartbeat.json").0, 200);
    assert_eq!(moto.sync().out, "0 put, 0 deleted, 3 kept\n", "nothing is written twice");

    let inactive = [("UserName", john), ("SSHPublicKeyId", johns.as_str()), ("Status", "Inactive")];
    moto.iam("UpdateSSHPublicKey", &inactive);
    let ran = moto.sync();
    assert_eq!(ran.summary(), "2 put, 0 deleted, 1 kept");
    assert_eq!(moto.object(johns_path), (200, String::new()));
    assert_eq!(moto.object("groups/Administrators/authorized_keys"), (200, line(ann, ED25519)));
    assert_eq!(moto.sync().out, "0 put, 0 deleted, 3 kept\n");

    moto.iam("RemoveUserFromGroup", &[("GroupName", "Administrators"), ("UserName", ann)]);
    let keys = moto.iam("ListSSHPublicKeys", &[("UserName", ann)]);
    let id = keys.split("<SSHPublicKeyId>").nth(1).unwrap().split('<').next().unwrap();
    moto.iam("DeleteSSHPublicKey", &[("UserName", ann), ("SSHPublicKeyId", id)]);
    moto.iam("DeleteUser", &[("UserName", ann)]);
    assert_eq!(moto.sync().summary(), "1 put, 1 deleted, 1 kept");
    assert_eq!(moto.object("users/ann/authorized_keys").0, 404);
}
