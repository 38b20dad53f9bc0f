//! One configuration file as it is written: every key optional, every value with its place in the text.
//!
//! This is the list of all keys that exist. An unknown key is an error: a misspelt `bucket_owner` must not silently
//! mean "any owner".

use super::values;
use super::{Audit, Config, ConfigError, CredentialSource, Endpoint, Login, Sshd};
use iam_ssh_core::Principal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bucket: Option<Spanned<String>>,
    bucket_owner: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
    ca_bundle: Option<Spanned<String>>,
    #[serde(default)]
    aws: Aws,
    #[serde(default)]
    lookup: Lookup,
    #[serde(default)]
    login: BTreeMap<Spanned<String>, RawLogin>,
    #[serde(default)]
    sshd: RawSshd,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Aws {
    credentials: Option<Spanned<String>>,
    imds_endpoint: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Lookup {
    deadline: Option<Spanned<String>>,
    network: Option<bool>,
    fresh_for: Option<Spanned<String>>,
    max_stale: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogin {
    principals: Option<Vec<Spanned<String>>>,
    principals_file: Option<Spanned<String>>,
    principals_parameter: Option<Spanned<String>>,
    principals_tag: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawSshd {
    user_environment: Option<bool>,
    user_rc: Option<bool>,
    chain: Option<bool>,
    session_audit: Option<bool>,
    audit: Option<Spanned<String>>,
}

/// One file's settings, checked; what the file does not set is `None`.
pub(super) struct Layer {
    bucket: Option<String>,
    bucket_owner: Option<String>,
    region: Option<String>,
    prefix: Option<String>,
    endpoint: Option<Endpoint>,
    ca_bundle: Option<PathBuf>,
    credentials: Option<CredentialSource>,
    imds_endpoint: Option<Endpoint>,
    deadline: Option<Duration>,
    network: Option<bool>,
    fresh_for: Option<Duration>,
    max_stale: Option<Duration>,
    logins: BTreeMap<String, LoginLayer>,
    sshd: SshdLayer,
}

struct SshdLayer {
    user_environment: Option<bool>,
    user_rc: Option<bool>,
    chain: Option<bool>,
    session_audit: Option<bool>,
    audit: Option<Audit>,
}

struct LoginLayer {
    principals: Option<Vec<Principal>>,
    file: Option<PathBuf>,
    parameter: Option<String>,
    tag: Option<String>,
}

/// The text a value stands in, to say where it stands.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn value<T, E: std::fmt::Display>(
        &self,
        key: &str,
        written: Option<Spanned<String>>,
        check: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(written) = written else { return Ok(None) };
        check(written.get_ref())
            .map(Some)
            .map_err(|why| ConfigError::at(self.file, self.text, Some(written.span().start), format!("{key}: {why}")))
    }

    fn login(&self, user: &str, raw: RawLogin) -> Result<LoginLayer, ConfigError> {
        let key = |name: &str| format!("login.{user}.{name}");
        let principals = raw
            .principals
            .map(|list| {
                list.into_iter()
                    .map(|p| self.value(&key("principals"), Some(p), str::parse::<Principal>))
                    .filter_map(Result::transpose)
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        Ok(LoginLayer {
            principals,
            file: self.value(&key("principals_file"), raw.principals_file, values::absolute_path)?,
            parameter: self.value(&key("principals_parameter"), raw.principals_parameter, values::parameter_name)?,
            tag: self.value(&key("principals_tag"), raw.principals_tag, values::tag_key)?,
        })
    }
}

impl Layer {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let raw: File = toml::from_str(text)
            .map_err(|e| ConfigError::at(file, text, e.span().map(|span| span.start), e.message()))?;
        let mut logins = BTreeMap::new();
        for (user, login) in raw.login {
            let start = user.span().start;
            let user = user.into_inner();
            values::login_user(&user)
                .map_err(|why| ConfigError::at(file, text, Some(start), format!("login: {why}")))?;
            logins.insert(user.clone(), source.login(&user, login)?);
        }
        Ok(Self {
            bucket: source.value("bucket", raw.bucket, values::bucket)?,
            bucket_owner: source.value("bucket_owner", raw.bucket_owner, values::account_id)?,
            region: source.value("region", raw.region, values::region)?,
            prefix: source.value("prefix", raw.prefix, values::prefix)?,
            endpoint: source.value("endpoint_url", raw.endpoint_url, Endpoint::service)?,
            ca_bundle: source.value("ca_bundle", raw.ca_bundle, values::absolute_path)?,
            credentials: source.value("aws.credentials", raw.aws.credentials, values::credentials)?,
            imds_endpoint: source.value("aws.imds_endpoint", raw.aws.imds_endpoint, Endpoint::metadata)?,
            deadline: source.value("lookup.deadline", raw.lookup.deadline, values::deadline)?,
            network: raw.lookup.network,
            fresh_for: source.value("lookup.fresh_for", raw.lookup.fresh_for, values::duration)?,
            max_stale: source.value("lookup.max_stale", raw.lookup.max_stale, values::duration)?,
            logins,
            sshd: SshdLayer {
                user_environment: raw.sshd.user_environment,
                user_rc: raw.sshd.user_rc,
                chain: raw.sshd.chain,
                session_audit: raw.sshd.session_audit,
                audit: source.value("sshd.audit", raw.sshd.audit, values::audit)?,
            },
        })
    }

    pub(super) fn apply(self, config: &mut Config) {
        set_some(&mut config.bucket, self.bucket);
        set_some(&mut config.bucket_owner, self.bucket_owner);
        set_some(&mut config.region, self.region);
        set(&mut config.prefix, self.prefix);
        set_some(&mut config.endpoint, self.endpoint);
        set_some(&mut config.ca_bundle, self.ca_bundle);
        set(&mut config.credentials, self.credentials);
        set(&mut config.imds_endpoint, self.imds_endpoint);
        set(&mut config.deadline, self.deadline);
        set(&mut config.network, self.network);
        set(&mut config.fresh_for, self.fresh_for);
        set(&mut config.max_stale, self.max_stale);
        for (user, layer) in self.logins {
            let login: &mut Login = config.logins.entry(user).or_default();
            set(&mut login.principals, layer.principals);
            set_some(&mut login.file, layer.file);
            set_some(&mut login.parameter, layer.parameter);
            set_some(&mut login.tag, layer.tag);
        }
        let sshd: &mut Sshd = &mut config.sshd;
        set(&mut sshd.user_environment, self.sshd.user_environment);
        set(&mut sshd.user_rc, self.sshd.user_rc);
        set(&mut sshd.chain, self.sshd.chain);
        set(&mut sshd.session_audit, self.sshd.session_audit);
        set(&mut sshd.audit, self.sshd.audit);
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn set_some<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}
