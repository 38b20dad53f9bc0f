//! What the administrator sets: flags for people, environment variables of the same names for Lambda.
//!
//! It must refuse what cannot be right before anything is asked of AWS, and it must never guess.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use iam_ssh_core::prefix::is_prefix;
use iam_ssh_core::text::escape;
use iam_ssh_core::{KeyOption, KeyOptions, OptionError};

use crate::account::is_number;
use crate::events::is_plan_id;
use crate::exclusion::Rules;
use crate::guard::Limits;
use crate::lease::{self, Terms};
use crate::log::Format;
use crate::metrics::is_namespace;
use crate::scope::Scope;
use crate::scope::term::terms;
use crate::tag_keys;

mod arguments;

/// The longest `KEY_OPTIONS`, in bytes: with IAM's longest key, 16 KiB, a line stays shorter than instances read (32 KiB).
const MAX_OPTIONS: usize = 8 * 1024;

pub use arguments::Arguments;

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bucket's name.
    pub bucket: String,
    /// Empty, or ending with a slash.
    pub prefix: String,
    /// The account that must own the bucket.
    pub bucket_owner: Option<String>,
    /// Options for every published key.
    pub key_options: Vec<KeyOption>,
    /// Whose keys count, and which.
    pub who: Who,
    /// How much may vanish at once.
    pub limits: Limits,
    /// The plan that a person confirms.
    pub confirm: Option<String>,
    /// IAM calls a second, at most.
    pub max_rate: f64,
    /// How long a run may take, except in Lambda, which says so itself.
    pub time_budget: Option<Duration>,
    /// How the lease is held.
    pub lease: Terms,
    /// The accounts to publish, each below a prefix of its own; none for the account of the credentials alone.
    pub accounts: Vec<Source>,
    /// How many accounts are read at the same time.
    pub accounts_in_flight: usize,
    /// What the roles of other accounts want to hear.
    pub external_id: Option<String>,
    /// How the log is written; where it is not set, as text, in Lambda as JSON.
    pub log_format: Option<Format>,
    /// Whether metrics are written; where it is not set, in Lambda alone.
    pub metrics: Option<bool>,
    /// The metrics' namespace.
    pub namespace: String,
    /// Whether to change nothing.
    pub dry_run: bool,
}

/// Whose keys count, and which.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// Who is in scope.
    pub scope: Scope,
    /// Who counts as deactivated.
    pub exclude: Rules,
    /// Which keys count.
    pub keys: Keys,
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// From IAM's SSH public keys.
    pub iam: bool,
    /// From users' tags below this prefix, without its slash.
    pub tags: Option<String>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { iam: true, tags: None }
    }
}

/// An account to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its number.
    pub number: String,
    /// The role to assume there; none where the credentials are that account's own.
    pub role: Option<String>,
}

/// What is wrong with the settings. Texts are given escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsError {
    /// `S3_BUCKET` is not set, or set to nothing.
    EmptyBucket,
    /// `S3_BUCKET` is not a name alone.
    Bucket(String),
    /// `S3_PREFIX` does not end with a slash, or cannot be part of an object's key.
    Prefix(String),
    /// `S3_BUCKET_OWNER` is not an account number.
    BucketOwner(String),
    /// `KEY_OPTIONS` are refused.
    KeyOptions(OptionError),
    /// A setting, its flag, and what is wrong with it.
    Other(&'static str, &'static str, String),
    /// No region is set anywhere, or one that cannot be.
    NoRegion,
    /// `AWS_CA_BUNDLE` cannot be used: its path and why.
    CaBundle(String, String),
}

impl TryFrom<Arguments> for Settings {
    type Error = SettingsError;

    fn try_from(arguments: Arguments) -> Result<Self, SettingsError> {
        let bucket = arguments.s3_bucket;
        if bucket.is_empty() {
            return Err(SettingsError::EmptyBucket);
        }
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
            return Err(SettingsError::Bucket(shown(&bucket)));
        }
        let prefix = arguments.s3_prefix;
        if !is_prefix(&prefix) {
            return Err(SettingsError::Prefix(shown(&prefix)));
        }
        let owner = arguments.s3_bucket_owner;
        if !owner.is_empty() && !is_number(&owner) {
            return Err(SettingsError::BucketOwner(shown(&owner)));
        }
        let limits = Limits {
            users: number(&arguments.max_shrink_users, 20, "MAX_SHRINK_USERS", "--max-shrink-users", 0..=100)?,
            keys: number(&arguments.max_shrink_keys, 20, "MAX_SHRINK_KEYS", "--max-shrink-keys", 0..=100)?,
            group: number(&arguments.max_shrink_group, 50, "MAX_SHRINK_GROUP", "--max-shrink-group", 0..=100)?,
            floor: number(&arguments.shrink_floor, 4, "SHRINK_FLOOR", "--shrink-floor", 0..=100_000)?,
        };
        let longest = lease::LONGEST.as_secs();
        let lease = Terms {
            lasts: seconds(&arguments.lease_seconds, 60, "LEASE_SECONDS", "--lease-seconds", 1..=longest)?,
            patience: seconds(&arguments.lease_wait, 90, "LEASE_WAIT", "--lease-wait", 0..=3600)?,
        };
        let budget = seconds(&arguments.time_budget, 0, "TIME_BUDGET", "--time-budget", 0..=86_400)?;
        let confirm = arguments.confirm;
        if !confirm.is_empty() && !is_plan_id(&confirm) {
            let what = format!("`{}` is no plan: copy its 16 characters from the refusal", shown(&confirm));
            return Err(SettingsError::Other("CONFIRM", "--confirm", what));
        }
        let options = arguments.key_options.len();
        if options > MAX_OPTIONS {
            let what =
                format!("it has {options} bytes, and may have {MAX_OPTIONS}: every published line begins with it");
            return Err(SettingsError::Other("KEY_OPTIONS", "--key-options", what));
        }
        let namespace = or(arguments.metrics_namespace, "iam-ssh");
        if !is_namespace(&namespace) {
            let what = format!("`{}` is no CloudWatch namespace", shown(&namespace));
            return Err(SettingsError::Other("METRICS_NAMESPACE", "--metrics-namespace", what));
        }
        let other = |name, flag| move |what| SettingsError::Other(name, flag, what);
        let who = Who {
            scope: Scope::parse(&arguments.scope).map_err(other("SCOPE", "--scope"))?,
            exclude: Rules::parse(&arguments.exclude).map_err(other("EXCLUDE", "--exclude"))?,
            keys: keys(&or(arguments.key_sources, "iam"), &or(arguments.tag_prefix, "iam-ssh"))?,
        };
        Ok(Self {
            bucket,
            prefix,
            bucket_owner: Some(owner).filter(|owner| !owner.is_empty()),
            key_options: KeyOptions::parse(&arguments.key_options).map_err(SettingsError::KeyOptions)?,
            who,
            limits,
            confirm: Some(confirm).filter(|confirm| !confirm.is_empty()),
            max_rate: number(&arguments.iam_max_rate, 50.0, "IAM_MAX_RATE", "--iam-max-rate", 0.5..=1_000_000.0)?,
            time_budget: Some(budget).filter(|budget| !budget.is_zero()),
            lease,
            accounts: accounts(&arguments.accounts)?,
            accounts_in_flight: number(
                &arguments.accounts_in_flight,
                4,
                "ACCOUNTS_IN_FLIGHT",
                "--accounts-in-flight",
                1..=100,
            )?,
            external_id: Some(arguments.role_external_id).filter(|id| !id.is_empty()),
            log_format: match arguments.log_format.as_str() {
                "" => None,
                text => Some(Format::parse(text).ok_or_else(|| {
                    SettingsError::Other(
                        "LOG_FORMAT",
                        "--log-format",
                        format!("`{}` is neither text nor json", shown(text)),
                    )
                })?),
            },
            metrics: match arguments.metrics.as_str() {
                "" => None,
                "none" => Some(false),
                "emf" => Some(true),
                text => {
                    let what = format!("`{}` is neither none nor emf", shown(text));
                    return Err(SettingsError::Other("METRICS", "--metrics", what));
                }
            },
            namespace,
            dry_run: arguments.dry_run,
        })
    }
}

/// What is set, or the default where that is nothing.
fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

/// A number in a range; the default where nothing is set.
fn number<T>(
    text: &str,
    default: T,
    name: &'static str,
    flag: &'static str,
    range: RangeInclusive<T>,
) -> Result<T, SettingsError>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    if text.trim().is_empty() {
        return Ok(default);
    }
    text.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        SettingsError::Other(name, flag, format!("`{}` is no number from {least} to {most}", shown(text)))
    })
}

fn seconds(
    text: &str,
    default: u64,
    name: &'static str,
    flag: &'static str,
    range: RangeInclusive<u64>,
) -> Result<Duration, SettingsError> {
    number(text, default, name, flag, range).map(Duration::from_secs)
}

fn keys(sources: &str, prefix: &str) -> Result<Keys, SettingsError> {
    let mut keys = Keys { iam: false, tags: None };
    for source in terms(sources) {
        match source {
            "iam" => keys.iam = true,
            "tags" => keys.tags = Some(prefix.to_owned()),
            other => {
                let what = format!("`{}` is neither iam nor tags", shown(other));
                return Err(SettingsError::Other("KEY_SOURCES", "--key-sources", what));
            }
        }
    }
    if !keys.iam && keys.tags.is_none() {
        let what = "it names no source: write iam, tags, or iam;tags".to_owned();
        return Err(SettingsError::Other("KEY_SOURCES", "--key-sources", what));
    }
    if keys.tags.is_some() && !tag_keys::is_prefix(prefix) {
        let what = format!("`{}` cannot begin the key of a tag", shown(prefix));
        return Err(SettingsError::Other("TAG_PREFIX", "--tag-prefix", what));
    }
    Ok(keys)
}

fn accounts(text: &str) -> Result<Vec<Source>, SettingsError> {
    let mut found: Vec<Source> = Vec::new();
    for part in terms(text) {
        let number = match part.strip_prefix("arn:").map(|arn| arn.split(':').collect::<Vec<_>>()).as_deref() {
            Some([_, "iam", "", number, role]) if role.starts_with("role/") => number,
            None => part,
            Some(_) => "",
        };
        let refuse = |why: &str| {
            let what = format!("`{}` {why}", shown(part));
            Err(SettingsError::Other("ACCOUNTS", "--accounts", what))
        };
        if !is_number(number) {
            return refuse("is neither the 12 digits of an account nor the ARN of a role");
        }
        if found.iter().any(|source| source.number == number) {
            return refuse("stands for an account that is there already");
        }
        let role = (part != number).then(|| part.to_owned());
        if role.is_none() && found.iter().any(|source| source.role.is_none()) {
            return refuse("is a second account without a role; the credentials are those of one account");
        }
        found.push(Source { number: number.to_owned(), role });
    }
    Ok(found)
}

fn shown(text: &str) -> String {
    escape(text.as_bytes(), 200)
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyBucket => {
                write!(f, "S3_BUCKET (--s3-bucket) is missing or empty: set it to the name of the bucket to publish to")
            }
            Self::Bucket(text) => write!(
                f,
                "S3_BUCKET (--s3-bucket) is `{text}`: write the bucket's name alone, without s3://, ARN or path"
            ),
            Self::Prefix(text) => write!(
                f,
                "S3_PREFIX (--s3-prefix) is `{text}`: it must be empty or end with a slash, as in `company/`, \
                 and must not begin with one or hold spaces, `.` or `..`"
            ),
            Self::BucketOwner(text) => {
                write!(f, "S3_BUCKET_OWNER (--s3-bucket-owner) is `{text}`: write the 12 digits of the account")
            }
            Self::KeyOptions(why) => write!(f, "KEY_OPTIONS (--key-options): {why}"),
            Self::Other(name, flag, what) => write!(f, "{name} ({flag}): {what}"),
            Self::NoRegion => write!(f, "no usable AWS region: set AWS_REGION to the bucket's region"),
            Self::CaBundle(path, why) => write!(f, "AWS_CA_BUNDLE `{path}`: {why}"),
        }
    }
}

impl std::error::Error for SettingsError {}
