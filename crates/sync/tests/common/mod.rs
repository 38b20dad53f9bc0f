//! How every test starts the sync: the real program, a double of AWS, and an environment that holds nothing else.
//!
//! It must never let a request leave the machine: endpoint and credentials are explicit, and the metadata service is switched off.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use iam_ssh_doubles::{Double, Match};

pub mod cloudtrail;
pub mod judge;
pub mod runtime;
pub mod scale;
pub mod story;

/// The bucket of every test.
pub const BUCKET: &str = "keys";
/// A key that ssh-keygen made.
pub const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDKIpeqf//HCVFGuDlyI25X79mvlIxcIQiaieWuzqkDF";
/// Its fingerprint, as `ssh-keygen -l` prints it.
pub const ED25519_FINGERPRINT: &str = "SHA256:/EAG8gjSv3GM1F3ICgcxpn/YdeXV0cYkBf0xaMzVbUw";
/// Another, with 2048 bits, the only kind that IAM's documentation promises to take.
pub const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCniJigzxsolDb9YAEZoL2Ax0wLu3Et+xaxhCa8hyPLJQORFZf3DOTB1xexvESXInn3iAZzd3+NpHMRvfLgkcrLrpNwR3r6YTB/L+AUGtdiY71IKsxAhKDkhBRNdu4cbJkM3S9oBOmcb9xsvXOXk+Iot5qLr1k2YJel1mZuEG8C4FjDZwrghR7C1D7LK0wQrgTyh78La0P5hP+VPLRltUTHhkNPxrMya/57LG6vTXmdlx/PQ4UfPn7CWbHDC8gmkNLOk1CD+uuo8m55mk8O+FeOdXlwWavb8Aiwt9I54RwYpS0ElCvzOi+sMeu2sHh6ubsmgugMe5ufaRR+F938OSyp";
/// Its fingerprint.
pub const RSA_FINGERPRINT: &str = "SHA256:iL5Kfzew2w8UPG4t6urvkrRbRKXZHpVSv5p3zZUUHYM";
/// Another, with 1024 bits.
pub const WEAK_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCziOroVWvqZD/9PjuflM2bZcLb2DhoCfJCWJziPBkdSyh+HLNa9enQrrIIze9SIroypJdaO55hyE7NionijSR2JAfIAu0IFeIFmaSwJnG1JlAhy3JqGUruVFfWs+QKgoZKJNum1i1eii+yBEXCqWe7ek/h8jreX03PYlkKuETMAQ==";

/// An ed25519 key of its own for every number.
pub fn key(number: usize) -> String {
    format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{number:0>42}")
}

/// The line that publishes a key, written out here once more so that the program is not its own judge.
pub fn line(owner: &str, key: &str) -> String {
    format!("environment=\"SSH_KEY_OWNER={owner}\" {key} {owner}\n")
}

/// What a run said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The last line on standard output.
    pub fn summary(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

/// The program, without any environment.
pub fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iam-ssh-sync"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    command
}

/// The program against an endpoint. One attempt per call, so that faults need not be repeated.
pub fn against(url: &str) -> Command {
    let mut command = bare();
    command
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIADOUBLE")
        .env("AWS_SECRET_ACCESS_KEY", "double")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("IAM_MAX_RATE", "1000000")
        .env("S3_BUCKET", BUCKET);
    command
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Ran {
    command.output().unwrap().into()
}

/// One run against the double.
pub fn sync(double: &Double) -> Ran {
    finish(against(&double.url()))
}

/// One run that must succeed.
pub fn synced(double: &Double) -> Ran {
    let ran = sync(double);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// A double with an empty bucket.
pub fn double() -> Double {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_bucket(BUCKET);
    double
}

/// The document of `users/…` or `groups/…`.
pub fn document(double: &Double, principal: &str) -> Option<String> {
    double.object(BUCKET, &format!("{principal}/authorized_keys")).map(|body| String::from_utf8(body).unwrap())
}

/// Every document that was written or deleted, in order, as `PutObject key`; what the sync keeps for itself apart.
pub fn writes(double: &Double) -> Vec<String> {
    let requests = double.requests();
    let writes = requests.iter().filter(|request| request.is_write() && !request.resource.contains("iam-ssh/"));
    writes.map(|request| format!("{} {}", request.action, request.resource)).collect()
}

/// All that is published: what the sync keeps for itself apart.
pub fn documents(double: &Double) -> BTreeMap<String, Vec<u8>> {
    let mut objects = double.objects(BUCKET);
    objects.retain(|key, _| !key.contains("iam-ssh/"));
    objects
}

/// How often the heartbeat was written.
pub fn heartbeats(double: &Double) -> usize {
    double.count(&Match::action("PutObject").on("iam-ssh/heartbeat.json"))
}
