//! What there is of the wiring, and what there shall be.
//!
//! What sshd would do without us is asked of sshd with a copy of its configuration that has no wiring of ours; whether our
//! wiring would be in effect, with one that has it. Nothing is changed here.

use super::disk::{self, Found};
use super::{WireError, text_of};
use crate::config::Config;
use crate::sshd::chain::{Other, Record};
use crate::sshd::config::{ConfigFile, other_commands, scoped_commands};
use crate::sshd::explicit::Explicit;
use crate::sshd::observe::copy::Copy;
use crate::sshd::observe::files::Tree;
use crate::sshd::observe::{ObserveError, Sshd, daemon_options};
use crate::sshd::plan::{Change, Mode, Plan};
use crate::sshd::sshrc::{Release, SSHRC, SSHRC_ADVICE, SSHRC_STUB, Sshrc, calls_ours};
use crate::sshd::{
    COMMAND_USER, DROP_IN, DROP_IN_MARK, Effective, Feature, SSHD_CONFIG, Setting, Wiring, block, chain, shown,
};
use std::path::Path;

/// A login to ask sshd about beside the configured ones: our own user, which nobody logs in as and no `Match` names.
const ANY_USER: &str = COMMAND_USER;

/// The files of the wiring as they are.
#[derive(Debug)]
pub(super) struct Present {
    drop_in: Found,
    main: Found,
    sshrc: Found,
    record: Found,
}

impl Present {
    pub(super) fn read() -> Result<Self, WireError> {
        let read = |path: &str| disk::read(Path::new(path));
        Ok(Self {
            drop_in: read(DROP_IN)?,
            main: read(SSHD_CONFIG)?,
            sshrc: read(SSHRC)?,
            record: read(chain::RECORD)?,
        })
    }

    fn has_our_drop_in(&self) -> bool {
        matches!(&self.drop_in, Found::Text(text) if text.starts_with(DROP_IN_MARK))
    }

    /// sshd_config without our block.
    fn main_without_block(&self) -> Option<String> {
        text_of(&self.main).map(|text| block::without(&text))
    }

    fn whose_sshrc(&self) -> Sshrc {
        match &self.sshrc {
            Found::Nothing => Sshrc::Missing,
            Found::Text(text) => Sshrc::of(text),
            Found::Other(text) => Sshrc::Own(text.as_ref().is_some_and(|text| calls_ours(text))),
        }
    }

    /// sshd's files without our wiring.
    fn tree(&self) -> Tree {
        let tree = if self.has_our_drop_in() { Tree::default().with(DROP_IN, None) } else { Tree::default() };
        // Where it is no regular file it has no block, and is read as it is.
        match self.main_without_block() {
            Some(text) => tree.with(SSHD_CONFIG, Some(text)),
            None => tree,
        }
    }

    /// What unwiring changes: first what sshd reads, then what that refers to.
    pub(super) fn without_wiring(&self) -> Plan {
        let mut plan = Plan::default();
        if self.has_our_drop_in() {
            plan.add(drop_in(text_of(&self.drop_in), None));
        }
        plan.add(main(text_of(&self.main), self.main_without_block()));
        if matches!(self.whose_sshrc(), Sshrc::Ours(_)) {
            plan.add(sshrc(text_of(&self.sshrc), None));
        }
        plan.add(chain_record(text_of(&self.record), None));
        plan
    }

    /// What unwiring leaves, for people.
    pub(super) fn what_stays(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.drop_in != Found::Nothing && !self.has_our_drop_in() {
            lines.push(format!("{DROP_IN} was not written by iam-ssh and stays"));
        }
        match self.whose_sshrc() {
            Sshrc::Edited => lines
                .push(format!("{SSHRC} was changed after iam-ssh wrote it and stays; remove it, or iam-ssh's lines")),
            Sshrc::Own(true) => {
                lines.push(format!("{SSHRC} is your own and stays; take iam-ssh's line out of it"));
            }
            Sshrc::Own(false) | Sshrc::Missing | Sshrc::Ours(_) => {}
        }
        lines
    }
}

/// The wiring as it shall be.
#[derive(Debug)]
pub(super) struct Wanted {
    wiring: Wiring,
    in_drop_in: bool,
    record: Record,
    logins: Vec<String>,
    /// What to tell, one line each.
    pub(super) notes: Vec<String>,
}

impl Wanted {
    /// Looks at sshd and decides.
    ///
    /// # Errors
    /// [`WireError`], where sshd cannot be wired.
    pub(super) fn new(sshd: &Sshd, present: &Present, config: &Config) -> Result<Self, WireError> {
        if present.drop_in != Found::Nothing && !present.has_our_drop_in() {
            return Err(WireError::Taken(DROP_IN.into()));
        }
        if matches!(present.record, Found::Other(_)) {
            return Err(WireError::Taken(chain::RECORD.into()));
        }
        let tree = present.tree();
        let files = tree.included(Path::new(SSHD_CONFIG)).map_err(WireError::Observe)?;
        let others = match neighbours(sshd, &tree, &files) {
            Err(WireError::CannotChain(..)) if !config.sshd.chain => Record::default(),
            others => others?,
        };
        let told = if config.sshd.chain {
            "it is asked, for 5 seconds at most, where iam-ssh finds nothing"
        } else {
            "with `chain = false` it is not asked"
        };
        let told = |other: &Other| format!("sshd would run `{}`; {told}", shown(&other.command));
        let notes = others.commands().map(told).collect();
        let record = if config.sshd.chain { others } else { Record::default() };

        let explicit = Explicit::of(&files);
        let environment = config.sshd.user_environment && !explicit.decides_environment();
        let features = [Feature::LogLevel, Feature::AuthInfo].into_iter();
        let wiring = Wiring {
            features: features.chain(environment.then_some(Feature::Environment)).collect(),
            user: if record.needs_root() { "root" } else { COMMAND_USER },
        };
        let logins = std::iter::once(ANY_USER.to_owned()).chain(config.logins.keys().cloned()).collect();
        let mut wanted = Self { wiring, in_drop_in: true, record, logins, notes };
        let effective = wanted.settle(sshd, present, &tree)?;
        wanted.notes.extend(explicit.notes(config.sshd.user_environment, &effective));
        wanted.notes.extend(present.note_about_sshrc());
        Ok(wanted)
    }

    /// Finds the keywords that this sshd knows, and the place where they have effect. Gives what would be in effect.
    fn settle(&mut self, sshd: &Sshd, present: &Present, tree: &Tree) -> Result<Effective, WireError> {
        let in_drop_in = |wiring: &Wiring| tree.clone().with(DROP_IN, Some(wiring.drop_in()));
        let by_drop_in = self.try_on(sshd, in_drop_in);
        if Path::new(DROP_IN).parent().is_some_and(Path::is_dir) && by_drop_in.is_ok() {
            return by_drop_in;
        }
        let Some(main) = present.main_without_block() else {
            return match (&present.main, by_drop_in) {
                (Found::Other(_), Err(WireError::NoEffect(..))) => Err(WireError::NotEditable),
                (_, by_drop_in) => by_drop_in,
            };
        };
        self.in_drop_in = false;
        let in_block = |wiring: &Wiring| tree.clone().with(SSHD_CONFIG, Some(block::with(&main, &wiring.block())));
        match (self.try_on(sshd, in_block), by_drop_in) {
            (Ok(effective), _) => Ok(effective),
            (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
        }
    }

    /// Tries the wiring on a copy, without the keywords that sshd does not know.
    fn try_on(&mut self, sshd: &Sshd, tree: impl Fn(&Wiring) -> Tree) -> Result<Effective, WireError> {
        let copy = |wiring: &Wiring| Copy::of(&tree(wiring), Path::new(SSHD_CONFIG)).map_err(WireError::Observe);
        let mut candidate = copy(&self.wiring)?;
        if sshd.test_copy(&candidate).is_err() {
            // One after the other: an unknown keyword is an error wherever it stands.
            let mut known = Vec::new();
            for feature in &self.wiring.features {
                let alone = Wiring { features: vec![*feature], ..self.wiring.clone() };
                if sshd.test_copy(&copy(&alone)?).is_ok() {
                    known.push(*feature);
                } else {
                    self.notes.push(format!("note: this sshd does not know `{}`; it is left out", feature.line()));
                }
            }
            self.wiring.features = known;
            candidate = copy(&self.wiring)?;
            sshd.test_copy(&candidate).map_err(|e| WireError::RolledBack(e.to_string()))?;
        }
        let mut first = None;
        for login in &self.logins {
            let effective =
                sshd.effective_in(&candidate, &[], login).map_err(|e| WireError::RolledBack(e.to_string()))?;
            self.in_effect(login, &effective)?;
            first.get_or_insert(effective);
        }
        first.ok_or(WireError::Observe(ObserveError::NoSshd))
    }

    fn in_effect(&self, login: &str, effective: &Effective) -> Result<(), WireError> {
        match effective.missing_wiring(self.wiring.user) {
            None => Ok(()),
            Some(instead) => Err(WireError::NoEffect(login.to_owned(), instead)),
        }
    }

    /// Where the wiring stands.
    pub(super) fn place(&self) -> String {
        if self.in_drop_in { DROP_IN.to_owned() } else { format!("our block at the end of {SSHD_CONFIG}") }
    }

    /// What there is to change: first what sshd's configuration refers to, then that.
    pub(super) fn plan(&self, present: &Present) -> Plan {
        let text = (!self.record.is_empty()).then(|| self.record.render());
        let record = chain_record(text_of(&present.record), text.clone());
        let mut plan = Plan::default();
        if text.is_some() {
            plan.add(record.clone());
        }
        if matches!(present.whose_sshrc(), Sshrc::Missing | Sshrc::Ours(Release::Earlier)) {
            plan.add(sshrc(text_of(&present.sshrc), Some(SSHRC_STUB.to_owned())));
        }
        let (old_main, old_drop_in) = (text_of(&present.main), text_of(&present.drop_in));
        let without = present.main_without_block();
        if self.in_drop_in {
            plan.add(drop_in(old_drop_in, Some(self.wiring.drop_in())));
            plan.add(main(old_main, without));
        } else {
            plan.add(main(old_main, without.map(|text| block::with(&text, &self.wiring.block()))));
            plan.add(drop_in(old_drop_in, None));
        }
        if text.is_none() {
            plan.add(record);
        }
        plan
    }

    /// Whether sshd takes the configuration as it is now, and our command is in effect.
    pub(super) fn verify(&self, sshd: &Sshd) -> Result<(), WireError> {
        sshd.test().map_err(|e| WireError::RolledBack(e.to_string()))?;
        self.logins.iter().try_for_each(|login| {
            let effective = sshd.effective(login).map_err(|e| WireError::RolledBack(e.to_string()))?;
            self.in_effect(login, &effective)
        })
    }
}

impl Present {
    fn note_about_sshrc(&self) -> Option<String> {
        match self.whose_sshrc() {
            Sshrc::Missing | Sshrc::Ours(_) | Sshrc::Own(true) => None,
            Sshrc::Edited => {
                Some(format!("{SSHRC} was changed after iam-ssh wrote it and stays. It needs: {SSHRC_ADVICE}"))
            }
            Sshrc::Own(false) => {
                Some(format!("{SSHRC} is your own and stays. For the owner log, add to it: {SSHRC_ADVICE}"))
            }
        }
    }
}

/// The commands that sshd would run without us.
fn neighbours(sshd: &Sshd, tree: &Tree, files: &[ConfigFile]) -> Result<Record, WireError> {
    let options = daemon_options().map_err(|setting| {
        WireError::CannotChain(vec![setting], "what sshd is started with cannot be told from it for certain".to_owned())
    })?;
    let mut record = Record::default();
    if other_commands(files).next().is_none() && options.is_empty() {
        return Ok(record);
    }
    let scoped = scoped_commands(files);
    // Also one that sets none for some: they would be given the others' command.
    let lost: Vec<Setting> = scoped.iter().filter(|s| s.logins.is_none()).map(|s| s.setting.clone()).collect();
    if !lost.is_empty() {
        return Err(WireError::CannotChain(lost, "it depends on more than the login user's name".to_owned()));
    }
    let copy = Copy::of(tree, Path::new(SSHD_CONFIG)).map_err(WireError::Observe)?;
    let of = |login: &str| -> Result<Option<Other>, WireError> {
        let effective = sshd.effective_in(&copy, &options, login).map_err(WireError::Observe)?;
        let Some(other) = effective.other() else { return Ok(None) };
        let cannot = |why| {
            let setting = Setting { place: format!("sshd -T for {}", shown(login)), value: other.command.clone() };
            WireError::CannotChain(vec![setting], why)
        };
        other.check(effective.has_sha256()).map_err(cannot)?;
        Ok(Some(other))
    };
    record.other = of(ANY_USER)?;
    for login in scoped.iter().flat_map(|scoped| scoped.logins.iter().flatten()) {
        let own = of(login)?;
        if own != record.other {
            let none = Other { command: "none".to_owned(), user: "none".to_owned() };
            record.login.insert(login.clone(), own.unwrap_or(none));
        }
    }
    Ok(record)
}

fn drop_in(before: Option<String>, after: Option<String>) -> Change {
    Change { path: DROP_IN.into(), before, after, mode: Mode::Ours(0o600) }
}

fn main(before: Option<String>, after: Option<String>) -> Change {
    Change { path: SSHD_CONFIG.into(), before, after, mode: Mode::Kept }
}

fn sshrc(before: Option<String>, after: Option<String>) -> Change {
    Change { path: SSHRC.into(), before, after, mode: Mode::Ours(0o644) }
}

fn chain_record(before: Option<String>, after: Option<String>) -> Change {
    Change { path: chain::RECORD.into(), before, after, mode: Mode::OursForLookup }
}

/// Whether sshd reads this file when it starts.
pub(super) fn is_sshd_s(change: &Change) -> bool {
    [DROP_IN, SSHD_CONFIG].iter().any(|path| change.path == Path::new(path))
}
