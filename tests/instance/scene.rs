//! A bucket, an instance and a configuration, as most tests here need them.

use iam_ssh::audit::Event;
use iam_ssh::aws::Aws;
use iam_ssh::config::Config;
use iam_ssh::lookup::{Answer, Question, lookup};
use iam_ssh::trusted::Trust;
use iam_ssh_core::PublicKey;
use iam_ssh_doubles::Double;
use std::time::Duration;

pub(crate) const BUCKET: &str = "company-iam";
/// 2026-01-01T00:00:00Z
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) const JOHN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPMVhXAzDPC2Mnj8+sZdhKaBC1TvKXgZfmDLoUsWt6Bz";
pub(crate) const MARY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBQ9xSkFqLkFAGrx3xHzcXLTLbDRwb5Z3z9y2c6XZYxu";

/// A published line as the sync writes it.
pub(crate) fn line(owner: &str, key: &str) -> String {
    format!("environment=\"SSH_KEY_OWNER={owner}\" {key} {owner}\n")
}

/// The line that sshd is to see for it.
pub(crate) fn printed(owner: &str, key: &str) -> String {
    format!("no-user-rc,environment=\"SSH_KEY_OWNER={owner}\" {key} {owner}")
}

/// A double of AWS with an empty bucket and an instance role.
pub(crate) fn aws() -> Double {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_bucket(BUCKET).set_role(Some("web")).set_region("eu-central-1");
    double
}

/// A configuration for the double: `top` stands before the tables, `login` in `[login.ec2-user]`.
pub(crate) fn config(double: &Double, top: &str, login: &str) -> Config {
    let url = double.url();
    let text = format!(
        "bucket = \"{BUCKET}\"\nregion = \"eu-central-1\"\nendpoint_url = \"{url}\"\n{top}\n\
         [aws]\nimds_endpoint = \"{url}\"\n[login.ec2-user]\n{login}\n"
    );
    let mut config = Config::default();
    config.layer("test.toml", &text).unwrap();
    config
}

/// Trusts the files of whoever runs the tests, wherever they are built.
pub(crate) fn own() -> Trust {
    let folder = std::fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Trust::below(Box::leak(folder.into_boxed_path()), nix::unistd::geteuid().as_raw())
}

/// Asks for `offered`, or for every key.
pub(crate) fn ask(config: &Config, offered: Option<&str>) -> Answer {
    let key = offered.map(|key| PublicKey::from_openssh(key).unwrap());
    let login = config.logins.get("ec2-user").unwrap();
    let question = Question { user: "ec2-user", login, offered: key.as_ref(), now: NOW, trust: own() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let aws = Aws::new(config);
    let answer = runtime.block_on(lookup(config, question, config.deadline, (&aws, &aws, &aws)));
    runtime.shutdown_timeout(Duration::ZERO);
    answer
}

pub(crate) fn lines(answer: &Answer) -> Vec<String> {
    answer.found.iter().map(|found| found.line.to_string()).collect()
}

/// The events as the log would have them, with their severity.
pub(crate) fn log(answer: &Answer) -> Vec<String> {
    answer.events.iter().map(|e: &Event| format!("{:?}: {}", e.severity(), e.line(2000))).collect()
}
