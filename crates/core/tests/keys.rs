//! Keys and key lines, beside the real `ssh-keygen`: whatever our parser accepts, `ssh-keygen -l` accepts too, with
//! the same fingerprint; and what is bad is refused for the reason it is bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iam_ssh_core::{KeyError, KeyLine, KeyType, LineError, PublicKey, document, offered};
use proptest::prelude::*;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What `ssh-keygen -l` says to a public key: its fingerprint, or `None` where it refuses.
fn ssh_keygen(line: &str) -> Option<String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-l", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh-keygen (Debian: openssh-client) is needed by this test");
    child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    out.status.success().then(|| text.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn generate(kind: &str, bits: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let ok = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "", "-t", kind, "-b", bits, "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(ok.success(), "ssh-keygen -t {kind} -b {bits}");
    std::fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
}

fn field(blob: &mut Vec<u8>, value: &[u8]) {
    blob.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    blob.extend_from_slice(value);
}

/// A FIDO key cannot be made without a token; its public half is that of the plain key and the application.
fn as_sk(plain: &str, sk_type: &str) -> String {
    let blob = STANDARD.decode(plain.split(' ').nth(1).unwrap()).unwrap();
    let inner = u32::from_be_bytes(blob[..4].try_into().unwrap()) as usize;
    let mut sk = Vec::new();
    field(&mut sk, sk_type.as_bytes());
    sk.extend_from_slice(&blob[4 + inner..]);
    field(&mut sk, b"ssh:");
    format!("{sk_type} {}", STANDARD.encode(sk))
}

fn mldsa() -> String {
    let mut blob = Vec::new();
    field(&mut blob, b"ssh-mldsa44-ed25519@openssh.com");
    field(&mut blob, &[7; 1344]);
    format!("ssh-mldsa44-ed25519@openssh.com {}", STANDARD.encode(blob))
}

/// One good key of every type.
fn good_keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let ed25519 = generate("ed25519", "256");
        let p256 = generate("ecdsa", "256");
        vec![
            as_sk(&ed25519, "sk-ssh-ed25519@openssh.com"),
            as_sk(&p256, "sk-ecdsa-sha2-nistp256@openssh.com"),
            ed25519,
            p256,
            generate("ecdsa", "384"),
            generate("ecdsa", "521"),
            generate("rsa", "2048"),
            generate("rsa", "4096"),
            mldsa(),
        ]
    })
}

/// Types that the local ssh-keygen knows; OpenSSH before 10.5 does not know ML-DSA.
fn known_locally(key: &str) -> bool {
    static KNOWN: OnceLock<String> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        String::from_utf8_lossy(&Command::new("ssh").args(["-Q", "key-plain"]).output().unwrap().stdout).into_owned()
    });
    known.lines().any(|t| Some(t) == key.split(' ').next())
}

/// What sshd hands on as `%f`: also of certificates, and of keys that we refuse.
#[test]
fn whatever_is_offered_has_openssh_s_fingerprint() {
    let of = |line: &str| {
        let mut words = line.split(' ');
        offered::fingerprint(words.next().unwrap(), words.next().unwrap())
    };
    let weak = generate("rsa", "1024");
    assert!(PublicKey::from_openssh(&weak).is_err());
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("ca");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&authority).status().unwrap();
    assert!(made.success());
    for key in good_keys().iter().chain([&weak]).filter(|key| known_locally(key)) {
        assert_eq!(of(key), ssh_keygen(key), "{key}");
        std::fs::write(dir.path().join("k.pub"), format!("{key}\n")).unwrap();
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "id", "-n", "ec2-user", "-s"]).arg(&authority).arg(dir.path().join("k.pub"));
        assert!(sign.status().unwrap().success(), "{key}");
        let certificate = std::fs::read_to_string(dir.path().join("k-cert.pub")).unwrap();
        assert!(certificate.contains("-cert-v01@openssh.com "), "{certificate}");
        assert_eq!(of(&certificate), ssh_keygen(key), "the certificate of {key}");
    }
    for (key_type, base64) in
        [("ssh-ed25519", "!"), ("ssh-ed25519-cert-v01@openssh.com", "AAAA"), ("x-cert-v01@openssh.com", "AAAA")]
    {
        assert_eq!(offered::fingerprint(key_type, base64), None, "{key_type}");
    }
}

#[test]
fn every_type_is_accepted_with_openssh_s_fingerprint() {
    let mut types = std::collections::BTreeSet::new();
    for key in good_keys() {
        let parsed = PublicKey::from_openssh(key).unwrap_or_else(|e| panic!("{key}: {e}"));
        assert_eq!(&parsed.to_string(), key);
        if known_locally(key) {
            assert_eq!(Some(parsed.fingerprint()), ssh_keygen(key), "{key}");
        }
        types.insert(parsed.key_type());
    }
    assert_eq!(types.len(), KeyType::ALL.len(), "a type has no good example here");
}

#[test]
fn bad_keys_are_refused_for_what_is_bad() {
    let ed25519 = generate("ed25519", "256");
    let blob = ed25519.split(' ').nth(1).unwrap();
    assert_eq!(PublicKey::from_openssh(&generate("rsa", "1024")), Err(KeyError::RsaSize(1024)));
    assert_eq!(PublicKey::from_openssh(&generate("rsa", "2040")), Err(KeyError::RsaSize(2040)));
    assert_eq!(PublicKey::from_openssh("ssh-ed25519"), Err(KeyError::Missing));
    assert_eq!(PublicKey::from_openssh(&format!("ssh-rsa {blob}")), Err(KeyError::InnerType(KeyType::Rsa)));
    assert_eq!(PublicKey::from_openssh("ssh-ed25519 AAAA====!"), Err(KeyError::Base64));
    for refused in ["ssh-dss", "ssh-ed25519-cert-v01@openssh.com", "SSH-ED25519", "ssh-rsa-sha2-256", ""] {
        assert!(matches!(PublicKey::new(refused, blob), Err(KeyError::Type(_))), "{refused}");
    }
    let mut longer = STANDARD.decode(blob).unwrap();
    longer.push(0);
    assert_eq!(PublicKey::new("ssh-ed25519", &STANDARD.encode(longer)), Err(KeyError::Malformed(KeyType::Ed25519)));
}

#[test]
fn a_point_off_its_curve_is_refused() {
    for bits in ["256", "384", "521"] {
        let key = generate("ecdsa", bits);
        let (name, base64) = key.split_once(' ').unwrap();
        let mut blob = STANDARD.decode(base64.trim()).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        let off = STANDARD.encode(blob);
        assert!(matches!(PublicKey::new(name, &off), Err(KeyError::Malformed(_))), "{bits}");
        assert_eq!(ssh_keygen(&format!("{name} {off}")), None, "ssh-keygen agrees");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damage anywhere in a key: what we still accept, ssh-keygen accepts with the same fingerprint.
    #[test]
    fn what_we_accept_ssh_keygen_accepts(which in 0usize..9, flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3), cut in 0usize..3) {
        let key = &good_keys()[which];
        prop_assume!(known_locally(key));
        let (name, base64) = key.split_once(' ').unwrap();
        let mut blob = STANDARD.decode(base64).unwrap();
        for (at, value) in flips {
            let at = at.index(blob.len());
            blob[at] ^= value;
        }
        blob.truncate(blob.len() - cut);
        let encoded = STANDARD.encode(&blob);
        if let Ok(ours) = PublicKey::new(name, &encoded) {
            prop_assert_eq!(Some(ours.fingerprint()), ssh_keygen(&format!("{name} {encoded}")));
        }
    }

    /// Any text at all is survived, and what is accepted renders to a line that is read back the same.
    #[test]
    fn any_line_is_survived(line in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(parsed) = KeyLine::parse(&line) {
            prop_assert_eq!(KeyLine::parse(parsed.to_string().as_bytes()), Ok(parsed));
        }
    }

    #[test]
    fn rendering_and_parsing_are_inverse(line in key_line(), user_rc: bool) {
        let text = line.to_string();
        prop_assert_eq!(KeyLine::parse(text.as_bytes()), Ok(line.clone()));
        prop_assert!(text.bytes().all(|b| (0x20..=0x7e).contains(&b)));
        let printed = line.for_sshd(user_rc);
        prop_assert_eq!(KeyLine::parse(printed.to_string().as_bytes()), Ok(printed.clone()));
        prop_assert_eq!(printed.owner(), line.owner());
        prop_assert_eq!(user_rc || printed.to_string().starts_with("no-user-rc,"), true);
    }

    #[test]
    fn documents_round_trip(lines in proptest::collection::vec(key_line(), 0..6)) {
        let text = document::render(&lines);
        let read = document::parse(text.as_bytes());
        prop_assert_eq!(read.skipped_count, 0);
        prop_assert_eq!(read.lines, lines);
    }
}

fn key_line() -> impl Strategy<Value = KeyLine> {
    let option = prop_oneof![
        Just("restrict".to_owned()),
        Just("pty".to_owned()),
        Just("x11-forwarding".to_owned()),
        Just("no-user-rc".to_owned()),
        Just("verify-required".to_owned()),
        "[a-z*.]{1,9}(,!?10[.][0-9]{1,2}[.]0[.]0/16){0,2}".prop_map(|v| format!("from=\"{v}\"")),
        "20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])Z?".prop_map(|v| format!("expiry-time=\"{v}\"")),
    ];
    let options = proptest::collection::btree_map("[a-g]", option, 0..4).prop_filter_map("an option twice", |o| {
        iam_ssh_core::KeyOptions::parse(&o.into_values().collect::<Vec<_>>().join(",")).ok()
    });
    (options, "[A-Za-z0-9_+=,@-][A-Za-z0-9_+=,.@-]{0,127}", 0usize..9).prop_map(|(options, owner, key)| {
        let owner = iam_ssh_core::Name::new(&owner).unwrap();
        KeyLine::new(options, owner, PublicKey::from_openssh(&good_keys()[key]).unwrap())
    })
}

fn skips(line: &str) -> LineError {
    KeyLine::parse(line.as_bytes()).expect_err(line)
}

#[test]
fn the_seed_s_lines_are_read() {
    let rsa = generate("rsa", "2048");
    for line in [
        format!("environment=\"SSH_KEY_OWNER=john@example.org\" {rsa} john@example.org"),
        format!("  environment=\"SSH_KEY_OWNER=john@example.org\"\t{rsa} my laptop, \u{e4}\u{f6} #1 \r"),
        format!("ENVIRONMENT=\"SSH_KEY_OWNER=john@example.org\" {rsa}"),
    ] {
        let read = KeyLine::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(read.owner().as_str(), "john@example.org");
        assert_eq!(
            read.for_sshd(false).to_string(),
            format!("no-user-rc,environment=\"SSH_KEY_OWNER=john@example.org\" {rsa} john@example.org")
        );
    }
}

#[test]
fn options_that_could_do_harm_are_refused_with_their_line() {
    let key = &good_keys()[2];
    let owner = "environment=\"SSH_KEY_OWNER=john\"";
    for option in [
        "command=\"/bin/sh\"",
        "cert-authority",
        "principals=\"root\"",
        "tunnel=\"0\"",
        "user-rc",
        "no-touch-required",
        "permitted",
        "environment=\"LD_PRELOAD=/tmp/x.so\"",
        "environment=\"SSH_KEY_OWNER=mary\"",
        "from=\"\"",
        "from",
        "from=10.0.0.1",
        "pty=\"x\"",
        "expiry-time=\"tomorrow\"",
        "restrict,restrict",
        "from=\"a\\\"b\"",
        "",
        "from=\"*\" command=\"/bin/sh\"",
    ] {
        skips(&format!("{option},{owner} {key} john"));
        skips(&format!("{owner},{option} {key} john"));
    }
    assert_eq!(skips(key), LineError::NoOwner);
    assert!(matches!(skips(&format!("environment=\"SSH_KEY_OWNER=a b\" {key}")), LineError::Owner(_)));
    assert_eq!(skips(&format!("environment=\"SSH_KEY_OWNER=a\" {key} x\0y")), LineError::NotText);
    assert!(matches!(skips(&format!("environment=\"SSH_KEY_OWNER=a {key}")), LineError::Options(_)));
    assert_eq!(skips(&"x".repeat(40_000)), LineError::TooLong(40_000));
}

#[test]
fn an_expired_line_is_known_and_the_expiry_not_handed_on() {
    let key = &good_keys()[2];
    let line =
        KeyLine::parse(format!("expiry-time=\"20260101Z\",environment=\"SSH_KEY_OWNER=a\" {key}").as_bytes()).unwrap();
    assert!(line.has_expired(1_767_225_600) && !line.has_expired(1_767_225_599));
    assert!(!line.for_sshd(true).to_string().contains("expiry"));
}

#[test]
fn garbage_between_good_lines_is_skipped_and_counted() {
    let key = &good_keys()[2];
    let good = format!("environment=\"SSH_KEY_OWNER=john\" {key} john\r\n");
    let mut bytes = good.clone().into_bytes();
    bytes.extend_from_slice(b"# a comment\n\n\xff\xfe\0\0garbage\n");
    bytes.extend_from_slice("nonsense\n".repeat(100).as_bytes());
    bytes.extend_from_slice(good.trim_end().as_bytes());
    let read = document::parse(&bytes);
    assert_eq!((read.lines.len(), read.skipped_count, read.skipped.len()), (2, 101, document::MAX_REASONS));
    assert_eq!(read.skipped[0].line, 4);
}

#[test]
fn in_a_user_s_document_only_that_user_s_keys_count() {
    let key = &good_keys()[2];
    let text = format!("environment=\"SSH_KEY_OWNER=john\" {key}\nenvironment=\"SSH_KEY_OWNER=mary\" {key}\n");
    let read = document::parse_for(&"users/mary".parse().unwrap(), text.as_bytes());
    assert_eq!(read.lines.iter().map(|l| l.owner().as_str()).collect::<Vec<_>>(), ["mary"]);
    assert!(matches!(read.skipped[0].why, LineError::WrongOwner(..)));
    assert_eq!(document::parse_for(&"groups/x".parse().unwrap(), text.as_bytes()).lines.len(), 2);
}
