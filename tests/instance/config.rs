//! Configuration: what is accepted, how files are merged, and what an administrator is told about a mistake.

use iam_ssh::config::{Audit, Config, CredentialSource, load};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

fn error(text: &str) -> String {
    let mut config = Config::default();
    let error = config.layer("config.toml", text).expect_err(text);
    assert_eq!(config, Config::default(), "a file that is wrong changes nothing");
    error.to_string()
}

#[test]
fn the_contract_s_example_is_read() {
    let text = r#"
        bucket = "company-iam"
        bucket_owner = "123456789012"
        region = "eu-central-1"
        prefix = ""
        endpoint_url = "http://127.0.0.1:5000"
        ca_bundle = "/etc/ssl/my-ca.pem"
        [aws]
        credentials = "default-chain"
        imds_endpoint = "http://169.254.169.254"
        [lookup]
        deadline = "3s"
        network = false
        fresh_for = "5m"
        max_stale = "24h"
        [login.ec2-user]
        principals = ["groups/Administrators", "users/john@example.org"]
        principals_file = "/etc/iam-ssh/principals"
        principals_parameter = "/IAM/{role}/principals"
        principals_tag = "iam-ssh-principals"
        [login.deploy]
        [sshd]
        user_environment = false
        user_rc = true
        chain = false
        session_audit = false
        audit = "required"
    "#;
    let mut config = Config::default();
    config.layer("config.toml", text).unwrap();
    assert_eq!(config.bucket.as_deref(), Some("company-iam"));
    assert_eq!(config.credentials, CredentialSource::DefaultChain);
    assert_eq!(config.deadline, Duration::from_secs(3));
    assert_eq!(config.max_stale, Duration::from_secs(86_400));
    assert_eq!(config.logins.len(), 2);
    assert_eq!(config.logins["ec2-user"].principals.len(), 2);
    assert!(!config.network && config.sshd.user_rc && !config.sshd.chain);
    assert!(!config.sshd.session_audit && config.sshd.audit == Audit::Required);
    assert_eq!(Config::default().sshd.audit, Audit::Optional);
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    for (text, position, words) in [
        ("bucket = \"b-1\"\nbuckt = \"x\"\n", "2:1", "unknown field `buckt`"),
        ("bucket = 5\n", "1:10", "string"),
        ("[lookup]\nnetwork = \"no\"\n", "2:11", "boolean"),
        ("bucket = \"\"\n", "1:10", "bucket: `` is not an S3 bucket name"),
        ("bucket = \"Company_IAM\"\n", "1:10", "is not an S3 bucket name"),
        ("bucket_owner = \"12345\"\n", "1:16", "12 digits"),
        ("region = \"a.b\"\n", "1:10", "region"),
        ("prefix = \"/x\"\n", "1:10", "prefix"),
        ("prefix = \"../x/\"\n", "1:10", "prefix"),
        ("endpoint_url = \"http://s3.example.org\"\n", "1:16", "loopback addresses only"),
        ("endpoint_url = \"https://user@host\"\n", "1:16", "http(s)://host[:port]"),
        ("[aws]\ncredentials = \"environment\"\n", "2:15", "neither"),
        ("[sshd]\naudit = \"always\"\n", "2:9", "neither `optional` nor `required`"),
        ("[lookup]\ndeadline = \"2\"\n", "2:12", "30s, 5m or 24h"),
        ("[lookup]\ndeadline = \"10m\"\n", "2:12", "1s to 60s"),
        ("[login.ec2-user]\nprincipals = [\"users/a\", \"user/Admin\"]\n", "2:26", "did you mean `users/Admin`?"),
        ("[login.ec2-user]\nprincipals = [\"users/../x\"]\n", "2:15", "login.ec2-user.principals"),
        ("[login.ec2-user]\nprincipals_file = \"etc/x\"\n", "2:19", "absolute path"),
        ("[login.ec2-user]\nprincipals_tag = \"a/b\"\n", "2:18", "tag"),
        ("[login.ec2-user]\nprincipals_parameter = \"/a b\"\n", "2:24", "SSM parameter name"),
        ("[login.\"a/b\"]\n", "1:8", "cannot be the name of a login user"),
        ("[login.\"..\"]\n", "1:8", "cannot be the name of a login user"),
        ("bucket = \"b\n", "1:", ""),
    ] {
        let said = error(text);
        assert!(said.starts_with(&format!("config.toml:{position}")), "{position} for {text:?}: {said}");
        assert!(said.contains(words), "{words} for {text:?}: {said}");
        assert!(!said.contains('\n'), "one line: {said}");
    }
}

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(dir.path().join("config.d")).unwrap();
    dir
}

fn put(dir: &Path, name: &str, text: &str, mode: u32) {
    fs::write(dir.join(name), text).unwrap();
    fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_are_merged_in_name_order_and_the_later_wins() {
    let dir = directory();
    put(
        dir.path(),
        "config.toml",
        "bucket = \"main\"\nregion = \"eu-west-1\"\n[login.a]\nprincipals = [\"users/x\"]\nprincipals_tag = \"t\"\n",
        0o644,
    );
    put(dir.path(), "config.d/10-a.toml", "bucket = \"ten\"\n[login.b]\n", 0o644);
    put(dir.path(), "config.d/20-b.toml", "bucket = \"twenty\"\n[login.a]\nprincipals = [\"users/y\"]\n", 0o600);
    put(dir.path(), "config.d/.30-hidden.toml", "bucket = \"hidden\"\n", 0o644);
    put(dir.path(), "config.d/40-c.toml.dpkg-dist", "bucket = \"other\"\n", 0o644);
    let config = load::load(dir.path(), crate::scene::own()).unwrap();
    assert_eq!(config.bucket.as_deref(), Some("twenty"));
    assert_eq!(config.region.as_deref(), Some("eu-west-1"));
    assert_eq!(config.logins["a"].principals[0].to_string(), "users/y");
    assert_eq!(config.logins["a"].tag.as_deref(), Some("t"));
    assert!(config.logins.contains_key("b"));
}

#[test]
fn no_files_is_the_inert_package() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    assert_eq!(load::load(dir.path(), crate::scene::own()).unwrap(), Config::default());
}

#[test]
fn a_file_that_others_can_write_is_an_error() {
    let dir = directory();
    put(dir.path(), "config.toml", "", 0o664);
    let said = load::load(dir.path(), crate::scene::own()).unwrap_err().to_string();
    assert!(said.contains("config.toml: ") && said.contains("chmod go-w"), "{said}");
    put(dir.path(), "config.toml", "", 0o644);
    fs::set_permissions(dir.path().join("config.d"), fs::Permissions::from_mode(0o777)).unwrap();
    put(dir.path(), "config.d/x.toml", "", 0o644);
    let said = load::load(dir.path(), crate::scene::own()).unwrap_err().to_string();
    assert!(said.contains("config.d") && said.contains("chmod go-w"), "{said}");
}

#[test]
fn the_shipped_file_is_inert_and_its_examples_are_right() {
    let shipped = crate::scene::shipped_configuration();
    let mut config = Config::default();
    config.layer("config.toml", &shipped).unwrap();
    assert_eq!(config, Config::default());
    // Every commented-out setting, switched on.
    let on: String = shipped
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
        .map(|line| format!("{line}\n"))
        .collect();
    config.layer("examples", &on).unwrap_or_else(|e| panic!("{e}\n{on}"));
    assert_eq!(config.bucket.as_deref(), Some("company-iam"));
    assert!(config.logins["ec2-user"].tag.is_some());
}
