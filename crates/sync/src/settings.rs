//! What the administrator sets: flags for people, environment variables of the same names for Lambda.
//!
//! It must refuse what cannot be right before anything is asked of AWS, and it must never guess.

use std::fmt;

use clap::Parser;
use iam_ssh_core::prefix::is_prefix;
use iam_ssh_core::text::escape;
use iam_ssh_core::{KeyOption, KeyOptions, OptionError};

/// Publishes the SSH public keys of IAM users and groups to an S3 bucket, for iam-ssh on EC2 instances.
///
/// Region, credentials and endpoint come from the usual AWS environment variables and files.
#[derive(Debug, Parser)]
#[command(
    name = "iam-ssh-sync",
    version,
    after_help = "Exit codes: 0 in sync (a dry run: the plan is complete); 1 failed, the message says what was changed and what was not, \
and no document is half written; 2 bad settings, nothing was asked of AWS; 3 refused because the change is suspiciously large \
(IAM reports no users, but the bucket holds documents of users), nothing was changed."
)]
pub struct Arguments {
    /// The bucket to publish to, its name alone; required.
    #[arg(long, env = "S3_BUCKET", value_name = "NAME", default_value = "", hide_default_value = true)]
    s3_bucket: String,
    /// Key prefix inside the bucket, empty or ending with a slash.
    #[arg(long, env = "S3_PREFIX", value_name = "PREFIX", default_value = "", hide_default_value = true)]
    s3_prefix: String,
    /// The account that must own the bucket, 12 digits; recommended.
    #[arg(long, env = "S3_BUCKET_OWNER", value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    s3_bucket_owner: String,
    /// Options for every published key, as in authorized_keys: restrict,pty,from="10.0.0.0/8".
    #[arg(long, env = "KEY_OPTIONS", value_name = "OPTIONS", default_value = "", hide_default_value = true)]
    key_options: String,
    /// Print what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

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
    /// Whether to change nothing.
    pub dry_run: bool,
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
        if !owner.is_empty() && (owner.len() != 12 || !owner.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(SettingsError::BucketOwner(shown(&owner)));
        }
        Ok(Self {
            bucket,
            prefix,
            bucket_owner: (!owner.is_empty()).then_some(owner),
            key_options: KeyOptions::parse(&arguments.key_options).map_err(SettingsError::KeyOptions)?,
            dry_run: arguments.dry_run,
        })
    }
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
            Self::NoRegion => write!(f, "no usable AWS region: set AWS_REGION to the bucket's region"),
            Self::CaBundle(path, why) => write!(f, "AWS_CA_BUNDLE `{path}`: {why}"),
        }
    }
}

impl std::error::Error for SettingsError {}
