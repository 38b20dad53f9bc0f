//! What an administrator set explicitly of the keywords that the drop-in sets too, and what to tell them. Pure.
//!
//! `PermitUserEnvironment` is left to them. `LogLevel` and `ExposeAuthInfo` belong to the wiring: they stand in the
//! drop-in whatever was set before, so whoever set them otherwise is told.

use super::config::{ConfigFile, lines};
use super::{DROP_IN, Effective, KEY_OWNER, LOG_LEVEL, Setting, shown};
use std::path::Path;

/// Explicit settings in sshd's files, the drop-in left aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explicit {
    environment: Vec<Setting>,
    log_level: Vec<Setting>,
    auth_info: Vec<Setting>,
}

impl Explicit {
    /// Those of the files that sshd reads.
    #[must_use]
    pub fn of(files: &[ConfigFile]) -> Self {
        // A setting in a Match block beats the drop-in's, so only global ones are overridden by it.
        let global = |keyword| settings(files, keyword).filter(|(_, scoped)| !scoped).map(|(s, _)| s).collect();
        Self {
            environment: settings(files, "PermitUserEnvironment").map(|(setting, _)| setting).collect(),
            log_level: global("LogLevel"),
            auth_info: global("ExposeAuthInfo"),
        }
    }

    /// Whether the administrator decided about `PermitUserEnvironment`, so that the drop-in must not.
    #[must_use]
    pub fn decides_environment(&self) -> bool {
        !self.environment.is_empty()
    }

    /// What to tell about a wired sshd, one line each; `wanted` is whether sessions shall have the owner's variable.
    #[must_use]
    pub fn notes(&self, wanted: bool, effective: &Effective) -> Vec<String> {
        let environment = if wanted { self.about_environment(effective) } else { None };
        let log_level = about(&self.log_level, "LogLevel", LOG_LEVEL, effective);
        let auth_info = about(&self.auth_info, "ExposeAuthInfo", "yes", effective);
        environment.into_iter().chain(log_level).chain(auth_info).collect()
    }

    fn about_environment(&self, effective: &Effective) -> Option<String> {
        let value = effective.get("PermitUserEnvironment").unwrap_or_default();
        if value == KEY_OWNER {
            return None;
        }
        let places: Vec<String> = self.environment.iter().map(|setting| shown(&setting.place)).collect();
        let place = if places.is_empty() { "an earlier setting".to_owned() } else { places.join(", ") };
        let (so, advice) = match value {
            "no" => (format!("so sessions will not have {KEY_OWNER}"), "where CIS or STIG demand `no`, leave it"),
            "yes" => (
                "which lets a key's owner set any variable".to_owned(),
                "that is enough for iam-ssh and allows nothing else",
            ),
            _ => (format!("so sessions have {KEY_OWNER} only if that pattern matches it"), "or leave it"),
        };
        Some(format!(
            "note: PermitUserEnvironment is `{}` by {place} and stays so, {so}. To change that, set \
             `PermitUserEnvironment {KEY_OWNER}` there; {advice}",
            shown(value)
        ))
    }
}

/// Where a keyword is set, and whether in a `Match` block.
fn settings<'a>(files: &'a [ConfigFile], keyword: &'static str) -> impl Iterator<Item = (Setting, bool)> + 'a {
    files.iter().filter(|file| file.path != Path::new(DROP_IN)).flat_map(move |file| {
        let lines = lines(&file.text).into_iter().filter(move |line| line.keyword.eq_ignore_ascii_case(keyword));
        lines.map(move |line| {
            let value = line.value.trim_matches('"').to_owned();
            (Setting { value, ..file.setting(&line) }, file.scoped || line.scoped)
        })
    })
}

/// What to tell about explicit settings that differ from the drop-in's.
fn about(settings: &[Setting], keyword: &str, ours: &str, effective: &Effective) -> Option<String> {
    let differing: Vec<String> =
        settings.iter().filter(|s| !s.value.eq_ignore_ascii_case(ours)).map(ToString::to_string).collect();
    if differing.is_empty() {
        return None;
    }
    let differing = differing.join(", ");
    if effective.get(keyword).is_some_and(|value| value.eq_ignore_ascii_case(ours)) {
        return Some(format!("note: {keyword} {ours} in {DROP_IN} overrides {keyword} {differing}"));
    }
    Some(format!(
        "note: {keyword} {differing} stands before {DROP_IN} and stays in effect; iam-ssh needs `{keyword} {ours}`: \
         take it away there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Explicit {
        let wiring = crate::sshd::Wiring { features: vec![crate::sshd::Feature::Environment], user: "x" };
        let ours = ConfigFile { path: DROP_IN.into(), text: wiring.drop_in(), scoped: false };
        Explicit::of(&[ours, ConfigFile { path: "/f".into(), text: text.to_owned(), scoped: false }])
    }

    fn notes(text: &str, effective: &str) -> Vec<String> {
        of(text).notes(true, &Effective::new(effective))
    }

    const WIRED: &str = "loglevel VERBOSE\nexposeauthinfo yes\npermituserenvironment SSH_KEY_OWNER\n";

    #[test]
    fn an_explicit_user_environment_is_the_administrators() {
        assert!(!of("#PermitUserEnvironment no\n").decides_environment(), "the drop-in's own line does not count");
        for value in ["no", "yes", "\"SSH_*\"", "SSH_KEY_OWNER"] {
            assert!(of(&format!("\"PermitUserEnvironment\" {value}\n")).decides_environment(), "{value}");
        }
        let said = notes("\npermituserenvironment=no\n", "permituserenvironment no\n");
        assert!(
            said[0].contains("/f:2") && said[0].contains("`PermitUserEnvironment SSH_KEY_OWNER` there"),
            "{said:?}"
        );
        assert!(notes("PermitUserEnvironment SSH_KEY_OWNER\n", WIRED).is_empty());
        let unwanted = of("PermitUserEnvironment no\n").notes(false, &Effective::new("permituserenvironment no\n"));
        assert!(unwanted.is_empty(), "{unwanted:?}");
    }

    #[test]
    fn an_overridden_setting_is_told() {
        assert!(notes("LogLevel verbose\nExposeAuthInfo yes\n", WIRED).is_empty());
        let said = notes("LogLevel DEBUG\nExposeAuthInfo no\n", WIRED);
        assert_eq!(
            said,
            [
                format!("note: LogLevel VERBOSE in {DROP_IN} overrides LogLevel DEBUG (/f:1)"),
                format!("note: ExposeAuthInfo yes in {DROP_IN} overrides ExposeAuthInfo no (/f:2)"),
            ]
        );
        assert!(notes("Match User x\nLogLevel DEBUG\n", WIRED).is_empty(), "a Match block keeps its own");
        let earlier = notes("LogLevel QUIET\n", &WIRED.replace("VERBOSE", "QUIET"));
        assert!(earlier[0].contains("stays in effect"), "{earlier:?}");
    }
}
