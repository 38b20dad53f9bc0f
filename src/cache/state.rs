//! What the cache remembers besides the documents themselves: one small sealed file, read at every lookup, and another
//! with the instance's credentials, read only by who goes to the network. Pure.
//!
//! What is remembered counts only for the configuration it was learnt under, and what the instance said of itself only on
//! that instance: an image made of a running machine must not bring another machine's principals along.

use super::Entry;
use super::seal::{hex, seal, unseal};
use crate::clock::Moment;
use crate::config::Config;
use iam_ssh_core::Principal;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What is known of documents and of lists of principals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Which bucket and endpoint it was learnt from; see [`origin`].
    pub origin: String,
    /// On which machine.
    pub host: Host,
    /// Documents, by principal as written (`users/john`).
    pub documents: BTreeMap<String, Entry<Copy>>,
    /// Texts of parameters and tags, by [`List::key`].
    pub lists: BTreeMap<String, Entry<String>>,
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Name of its file in the cache.
    pub file: String,
    /// The object's ETag, for a conditional request.
    pub etag: Option<String>,
}

/// A list of principals that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// An SSM parameter, by its name as configured, `{role}` included.
    Parameter(String),
    /// An instance tag, by its key.
    Tag(String),
}

/// What identifies a machine: its instance id where the firmware tells it, and its boot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// EC2 instance id.
    pub instance: Option<String>,
    /// The boot's id.
    pub boot: Option<String>,
}

/// What the metadata service said about the instance itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceFacts {
    /// On which machine.
    pub host: Host,
    /// From which metadata service.
    pub endpoint: String,
    /// Name of the instance's role.
    pub role: String,
    /// The instance's region, where it was asked for.
    pub region: Option<String>,
    /// The role's credentials.
    pub credentials: RoleCredentials,
}

/// A role's temporary credentials.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token.
    pub token: String,
    /// Their end, `2026-01-01T00:00:00Z`.
    #[serde(default)]
    pub expiration: String,
}

impl List {
    /// Under which name the state knows it.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Parameter(name) => format!("principals_parameter {name}"),
            Self::Tag(key) => format!("principals_tag {key}"),
        }
    }
}

impl State {
    /// Nothing known yet.
    #[must_use]
    pub fn new(origin: String, host: Host) -> Self {
        Self { origin, host, documents: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// Reads what was written for `origin`; `None` where it was not, or is not as it was written. What another machine
    /// learnt about itself is left out.
    #[must_use]
    pub fn parse(sealed: &[u8], origin: &str, host: &Host) -> Option<Self> {
        let mut state: Self = serde_json::from_str(unseal(sealed)?).ok()?;
        if state.origin != origin || state.copies().any(|copy| !is_document_file(&copy.file)) {
            return None;
        }
        if !host.is(&state.host) {
            state.lists.clear();
        }
        state.host = host.clone();
        Some(state)
    }

    /// The state as a sealed file.
    #[must_use]
    pub fn render(&self) -> String {
        // Maps with text keys and plain values: this does not fail.
        seal(&serde_json::to_string(self).unwrap_or_default())
    }

    /// Every stored document.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.documents.values().filter_map(Entry::present)
    }
}

impl Host {
    /// The same machine: the same boot, or the same instance.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.boot.is_some() && self.boot == other.boot) || (self.instance.is_some() && self.instance == other.instance)
    }

    /// The machine that `now` was read on.
    #[must_use]
    pub fn new(now: &Moment, instance: Option<String>) -> Self {
        Self { instance, boot: now.boot.as_ref().map(|boot| boot.id.clone()) }
    }
}

impl InstanceFacts {
    /// Reads what was written on this machine from this metadata service.
    #[must_use]
    pub fn parse(sealed: &[u8], endpoint: &str, host: &Host) -> Option<Self> {
        let facts: Self = serde_json::from_str(unseal(sealed)?).ok()?;
        (facts.endpoint == endpoint && host.is(&facts.host)).then_some(facts)
    }

    /// The facts as a sealed file.
    #[must_use]
    pub fn render(&self) -> String {
        seal(&serde_json::to_string(self).unwrap_or_default())
    }
}

impl std::fmt::Debug for RoleCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for InstanceFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstanceFacts").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Everything in the configuration that decides whose answers these are, as one text.
#[must_use]
pub fn origin(config: &Config) -> String {
    hex(&digest(&[&format!(
        "{:?}",
        (
            &config.bucket,
            &config.bucket_owner,
            &config.region,
            &config.prefix,
            &config.endpoint,
            &config.ca_bundle,
            config.credentials,
            &config.imds_endpoint,
        )
    )]))
}

/// What a principal's document of `origin` is, for its checksums.
#[must_use]
pub fn identity(origin: &str, principal: &Principal) -> [u8; 32] {
    digest(&[origin, &principal.to_string()])
}

/// A file name for `content` of the document `identity`.
#[must_use]
pub fn document_file(identity: &[u8; 32], content: &[u8]) -> String {
    let short = |digest: &[u8; 32]| hex(digest.first_chunk::<16>().map_or(&[], |chunk| chunk.as_slice()));
    format!("{DOCUMENT}{}-{}", short(identity), short(&Sha256::digest(content).into()))
}

const DOCUMENT: &str = "document-";

/// Whether a file name is one that [`document_file`] makes.
#[must_use]
pub fn is_document_file(name: &str) -> bool {
    let is_hex = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    name.strip_prefix(DOCUMENT).and_then(|rest| rest.split_once('-')).is_some_and(|(a, b)| is_hex(a) && is_hex(b))
}

/// SHA-256 of texts, each with its length in front.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(format!("{} {part}", part.len()));
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::super::Answer;
    use super::*;

    fn host(instance: Option<&str>, boot: &str) -> Host {
        Host { instance: instance.map(str::to_owned), boot: Some(boot.to_owned()) }
    }

    #[test]
    fn a_machine_is_its_boot_or_its_instance() {
        let here = host(Some("i-1"), "a");
        assert!(here.is(&host(None, "a")) && here.is(&host(Some("i-1"), "b")));
        assert!(!here.is(&host(Some("i-2"), "b")) && !host(None, "a").is(&host(None, "b")));
        assert!(!Host::default().is(&Host::default()), "nothing known is nothing in common");
    }

    #[test]
    fn an_image_of_another_machine_brings_its_documents_but_not_its_lists() {
        let mut state = State::new("o".to_owned(), host(Some("i-1"), "a"));
        state.documents.insert("users/x".to_owned(), Entry::default());
        state.lists.insert("principals_tag who".to_owned(), Entry::default());
        let sealed = state.render().into_bytes();
        let parse = |host: Host| State::parse(&sealed, "o", &host).unwrap();
        assert_eq!(parse(host(Some("i-1"), "b")).lists.len(), 1);
        let other = parse(host(Some("i-2"), "b"));
        assert_eq!((other.documents.len(), other.lists.len()), (1, 0));
        assert_eq!(State::parse(&sealed, "another bucket", &host(None, "a")), None);
    }

    #[test]
    fn a_file_name_that_is_not_ours_is_refused() {
        let mut state = State::new("o".to_owned(), Host::default());
        let mut entry = Entry::default();
        let copy = Copy { file: "../../etc/passwd".to_owned(), etag: None };
        entry.learn(Answer::Present(copy), &Moment { wall: 0, boot: None });
        state.documents.insert("users/x".to_owned(), entry);
        assert_eq!(State::parse(state.render().as_bytes(), "o", &Host::default()), None);
        assert!(is_document_file(&document_file(&[1; 32], b"x")));
    }

    #[test]
    fn every_setting_that_decides_whose_answers_these_are_counts() {
        let base = Config::default();
        for change in [
            "bucket = \"aaa\"",
            "bucket_owner = \"123456789012\"",
            "region = \"eu-central-1\"",
            "prefix = \"x/\"",
            "endpoint_url = \"https://x\"",
            "ca_bundle = \"/x\"",
            "[aws]\ncredentials = \"default-chain\"",
            "[aws]\nimds_endpoint = \"http://127.0.0.1\"",
        ] {
            let mut changed = base.clone();
            changed.layer("x", change).unwrap();
            assert_ne!(origin(&changed), origin(&base), "{change}");
        }
        let mut same = base.clone();
        same.layer("x", "[lookup]\nfresh_for = \"1s\"").unwrap();
        assert_eq!(origin(&same), origin(&base));
    }
}
