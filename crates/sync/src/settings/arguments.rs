//! The flags and the environment variables of the same names, as they are written.
//!
//! It must take every value as text: what is wrong with it is said by [`super::SettingsError`], in words that name both.

use clap::Parser;

/// Publishes the SSH public keys of IAM users and groups to an S3 bucket, for iam-ssh on EC2 instances.
///
/// Region, credentials and endpoint come from the usual AWS environment variables and files. Lists are separated by semicolons or line
/// breaks.
#[derive(Debug, Parser)]
#[command(
    name = "iam-ssh-sync",
    version,
    after_help = "Exit codes: 0 in sync (a dry run: the plan is complete); 1 failed or not finished, the message says what was changed and what was not, \
and no document is half written; 2 bad settings, nothing was asked of AWS; 3 something suspiciously large would vanish: that is held back \
until somebody confirms it, everything else was carried out (a dry run: nothing was)."
)]
pub struct Arguments {
    /// The bucket to publish to, its name alone; required.
    #[arg(long, env = "S3_BUCKET", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) s3_bucket: String,
    /// Key prefix inside the bucket, empty or ending with a slash.
    #[arg(long, env = "S3_PREFIX", value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(super) s3_prefix: String,
    /// The account that must own the bucket, 12 digits; recommended.
    #[arg(long, env = "S3_BUCKET_OWNER", value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    pub(super) s3_bucket_owner: String,
    /// Options for every published key, as in authorized_keys: restrict,pty,from="10.0.0.0/8".
    #[arg(long, env = "KEY_OPTIONS", value_name = "OPTIONS", default_value = "", hide_default_value = true)]
    pub(super) key_options: String,
    /// Whose keys are published: group:NAME, path:/PREFIX/, tag:KEY, tag:KEY=VALUE, any of them; nothing for everybody's.
    #[arg(long, env = "SCOPE", value_name = "TERMS", default_value = "", hide_default_value = true)]
    pub(super) scope: String,
    /// Who counts as deactivated: deny-all, quarantine, group:NAME, tag:KEY, tag:KEY=VALUE, policy:NAME; none for nobody; nothing for deny-all;quarantine.
    #[arg(long, env = "EXCLUDE", value_name = "RULES", default_value = "", hide_default_value = true)]
    pub(super) exclude: String,
    /// Where keys come from: iam (SSH public keys), tags (of users), or iam;tags (default: iam).
    #[arg(long, env = "KEY_SOURCES", value_name = "SOURCES", default_value = "", hide_default_value = true)]
    pub(super) key_sources: String,
    /// How the keys of such tags begin: PREFIX/key/LABEL (default: iam-ssh).
    #[arg(long, env = "TAG_PREFIX", value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(super) tag_prefix: String,
    /// How many of all users with keys may vanish at once, in percent (default: 20).
    #[arg(long, env = "MAX_SHRINK_USERS", value_name = "PERCENT", default_value = "", hide_default_value = true)]
    pub(super) max_shrink_users: String,
    /// How many of all keys may vanish at once, in percent (default: 20).
    #[arg(long, env = "MAX_SHRINK_KEYS", value_name = "PERCENT", default_value = "", hide_default_value = true)]
    pub(super) max_shrink_keys: String,
    /// How many of one group's members may vanish at once, in percent (default: 50).
    #[arg(long, env = "MAX_SHRINK_GROUP", value_name = "PERCENT", default_value = "", hide_default_value = true)]
    pub(super) max_shrink_group: String,
    /// So many users, keys or members may always vanish at once (default: 4).
    #[arg(long, env = "SHRINK_FLOOR", value_name = "COUNT", default_value = "", hide_default_value = true)]
    pub(super) shrink_floor: String,
    /// The refused plan to carry out all the same, as the refusal names it.
    #[arg(long, env = "CONFIRM", value_name = "PLAN", default_value = "", hide_default_value = true)]
    pub(super) confirm: String,
    /// IAM calls a second, at most; less where IAM throttles (default: 50).
    #[arg(long, env = "IAM_MAX_RATE", value_name = "RATE", default_value = "", hide_default_value = true)]
    pub(super) iam_max_rate: String,
    /// Seconds after which reading stops and is stored, for the next run to go on; 0 for never. In Lambda the invocation's own end counts (default: 0).
    #[arg(long, env = "TIME_BUDGET", value_name = "SECONDS", default_value = "", hide_default_value = true)]
    pub(super) time_budget: String,
    /// Seconds for which a run that died keeps others out (default: 60).
    #[arg(long, env = "LEASE_SECONDS", value_name = "SECONDS", default_value = "", hide_default_value = true)]
    pub(super) lease_seconds: String,
    /// Seconds to wait for another run to end (default: 90).
    #[arg(long, env = "LEASE_WAIT", value_name = "SECONDS", default_value = "", hide_default_value = true)]
    pub(super) lease_wait: String,
    /// Accounts to publish, each below PREFIX/NUMBER/: ARNs of roles to assume, or the own account's number.
    #[arg(long, env = "ACCOUNTS", value_name = "LIST", default_value = "", hide_default_value = true)]
    pub(super) accounts: String,
    /// How many accounts are read at the same time (default: 4).
    #[arg(long, env = "ACCOUNTS_IN_FLIGHT", value_name = "COUNT", default_value = "", hide_default_value = true)]
    pub(super) accounts_in_flight: String,
    /// The external id that the roles demand.
    #[arg(long, env = "ROLE_EXTERNAL_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    pub(super) role_external_id: String,
    /// How to log: text or json; in Lambda json if not set.
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", default_value = "", hide_default_value = true)]
    pub(super) log_format: String,
    /// Whether to print metrics: none or emf (CloudWatch embedded metric format); in Lambda emf if not set.
    #[arg(long, env = "METRICS", value_name = "KIND", default_value = "", hide_default_value = true)]
    pub(super) metrics: String,
    /// The metrics' namespace in CloudWatch (default: iam-ssh).
    #[arg(long, env = "METRICS_NAMESPACE", value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) metrics_namespace: String,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}
