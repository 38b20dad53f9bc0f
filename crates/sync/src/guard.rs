//! Holds back a change that takes suspiciously much away, until a person confirms exactly that. Pure.
//!
//! What IAM itself says of a key (not Active, its time is up) is never a mistake and never held back; what is merely not there any more
//! may be one. It must never hold back anything that gives, and never anything but what a suspicious shrink takes: what was refused
//! before stays refused, and ordinary withdrawals beside it go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use iam_ssh_core::{KeyLine, Name, Principal, PublicKey};
use sha2::{Digest, Sha256};

/// How much may vanish at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of all users with keys, in percent.
    pub users: u32,
    /// Of all keys, in percent.
    pub keys: u32,
    /// Of one group's members with keys, in percent.
    pub group: u32,
    /// So many users, keys or members may vanish whatever part of all they are, but not everybody that there is.
    pub floor: usize,
}

/// What documents say and should say, where they differ.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The key lines that are stored.
    pub stored: Vec<Arc<KeyLine>>,
    /// Those that should be.
    pub desired: Vec<Arc<KeyLine>>,
}

/// All that the guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Every document that is to be changed or deleted.
    pub changes: &'a BTreeMap<Principal, Change>,
    /// Whether all documents were looked at that matter, and not those alone that an event is about.
    pub whole: bool,
    /// Documents that could not be read.
    pub unread: &'a BTreeSet<Principal>,
    /// How many users there are at all.
    pub people: usize,
    /// How many users should have keys when all is done.
    pub users: usize,
    /// How many keys there should be.
    pub keys: usize,
    /// What IAM itself says must not be used any more.
    pub revoked: &'a BTreeSet<(Name, PublicKey)>,
    /// Whom IAM itself shuts out.
    pub denied: &'a BTreeSet<Name>,
    /// Whose each key is that should be published.
    pub owners: &'a BTreeMap<PublicKey, Name>,
    /// Groups that IAM says have another name now, by the old one.
    pub renamed: &'a BTreeSet<Principal>,
    /// Lines that a run before this one was to take because a person confirmed it.
    pub confirmed_before: &'a BTreeSet<String>,
    /// What was refused before, see [`Refusal::lines`].
    pub refused_before: &'a BTreeSet<String>,
    /// Where the documents are; part of a plan's id.
    pub place: &'a str,
}

impl Case<'_> {
    /// Whether this key should still be published for this owner.
    fn keeps_key(&self, line: &KeyLine) -> bool {
        self.owners.get(line.key()) == Some(line.owner())
    }

    /// Whether a group's line is all that shows that its owner loses the key: the owner's own document could not be read.
    fn speaks_for_owner(&self, line: &KeyLine) -> bool {
        !self.owners.contains_key(line.key()) && self.unread.contains(&Principal::User(line.owner().clone()))
    }
}

/// What is held back, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What a person confirms: 16 hexadecimal digits that stand for exactly these lines.
    pub plan: String,
    /// In words, what is suspicious; empty where all of it was refused before.
    pub why: Vec<String>,
    /// The lines held back, by document.
    pub held: BTreeMap<Principal, Vec<Arc<KeyLine>>>,
}

impl Refusal {
    /// How many lines are held back.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// The lines held back as they are remembered: document, owner and fingerprint.
    #[must_use]
    pub fn lines(&self) -> BTreeSet<String> {
        let of = |(principal, lines): (&Principal, &Vec<Arc<KeyLine>>)| {
            let principal = principal.clone();
            lines.iter().map(move |line| name(&principal, line)).collect::<Vec<_>>()
        };
        self.held.iter().flat_map(of).collect()
    }
}

fn name(principal: &Principal, line: &KeyLine) -> String {
    format!("{principal} {} {}", line.owner(), line.key().fingerprint())
}

/// What a change takes that nothing explains, by document.
type Losses<'a> = BTreeMap<&'a Principal, Vec<&'a Arc<KeyLine>>>;

/// Judges a change; `None` where nothing is to be held back. Whoever confirms the plan carries everything out.
#[must_use]
pub fn judge(case: &Case<'_>, limits: &Limits) -> Option<Refusal> {
    let losses = losses(case);
    let is_old = |principal: &Principal, line: &KeyLine| case.refused_before.contains(&name(principal, line));
    let mut fresh: Losses<'_> = BTreeMap::new();
    for (principal, lines) in &losses {
        let unknown: Vec<&Arc<KeyLine>> = lines.iter().copied().filter(|line| !is_old(principal, line)).collect();
        if !unknown.is_empty() {
            fresh.insert(principal, unknown);
        }
    }
    // What was refused stays refused only while what is missing in all is suspicious; what is new beside it is judged by itself.
    let all = suspicion(case, limits, &losses, &losses);
    let new = suspicion(case, limits, &losses, &fresh);
    let mut held: BTreeMap<Principal, Vec<Arc<KeyLine>>> = BTreeMap::new();
    // Users' own documents come first: a group keeps a line only for somebody who keeps the key.
    for (principal, lines) in &losses {
        // Of some documents nobody can tell that what was too much in all is no more.
        let is_too_much =
            |line: &KeyLine| new.everywhere || ((all.everywhere || !case.whole) && is_old(principal, line));
        let is_held = |line: &&Arc<KeyLine>| match principal {
            Principal::User(_) => is_too_much(line),
            Principal::Group(_) if case.keeps_key(line) => {
                new.groups.contains(principal) || (all.groups.contains(principal) && is_old(principal, line))
            }
            Principal::Group(_) if case.speaks_for_owner(line) => is_too_much(line),
            Principal::Group(_) => keeps_held_key(case, &held, line),
        };
        let lines: Vec<Arc<KeyLine>> = lines.iter().copied().filter(is_held).cloned().collect();
        if !lines.is_empty() {
            held.insert((*principal).clone(), lines);
        }
    }
    if held.is_empty() {
        return None;
    }
    let mut refusal = Refusal { plan: String::new(), why: new.why, held };
    refusal.plan = plan(case.place, &refusal.lines());
    Some(refusal)
}

/// Whether a line's owner keeps its key only because that is held back, now or, where the owner is not looked at, since before.
fn keeps_held_key(case: &Case<'_>, held: &BTreeMap<Principal, Vec<Arc<KeyLine>>>, line: &KeyLine) -> bool {
    let owner = Principal::User(line.owner().clone());
    if case.changes.contains_key(&owner) {
        return held.get(&owner).is_some_and(|lines| lines.iter().any(|own| own.key() == line.key()));
    }
    case.refused_before.contains(&name(&owner, line))
}

/// The id of a plan: the same for the same lines in the same place.
fn plan(place: &str, lines: &BTreeSet<String>) -> String {
    let mut hash = Sha256::new_with_prefix(place.as_bytes());
    for line in lines {
        hash.update([0]);
        hash.update(line.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn losses<'a>(case: &Case<'a>) -> Losses<'a> {
    let mut losses = Losses::new();
    for (principal, change) in case.changes.iter().filter(|(principal, _)| !case.renamed.contains(principal)) {
        let kept: BTreeSet<&PublicKey> = change.desired.iter().map(|line| line.key()).collect();
        let is_lost = |line: &&Arc<KeyLine>| {
            let key = line.key();
            // Another line, owner or option for the same key in the same document takes nothing away, nor does a user's new name.
            let renamed = matches!(principal, Principal::User(_)) && case.owners.contains_key(key);
            let confirmed = case.confirmed_before.contains(&name(principal, line));
            !kept.contains(key)
                && !renamed
                && !confirmed
                && !case.denied.contains(line.owner())
                && !case.revoked.contains(&(line.owner().clone(), key.clone()))
        };
        let lost: Vec<&Arc<KeyLine>> = change.stored.iter().filter(is_lost).collect();
        if !lost.is_empty() {
            losses.insert(principal, lost);
        }
    }
    losses
}

/// What is suspicious.
#[derive(Default)]
struct Suspicion<'a> {
    /// Too many users or keys vanish: nothing of what vanishes can be trusted.
    everywhere: bool,
    /// Groups that lose too many of their members.
    groups: BTreeSet<&'a Principal>,
    why: Vec<String>,
}

fn suspicion<'a>(case: &Case<'a>, limits: &Limits, losses: &Losses<'a>, fresh: &Losses<'a>) -> Suspicion<'a> {
    let mut found = Suspicion::default();
    let empties = |principal: &Principal| case.changes.get(principal).is_some_and(|change| change.desired.is_empty());
    let of_users = |losses: &Losses<'a>| {
        let (of_users, of_groups): (Losses<'a>, Losses<'a>) =
            losses.clone().into_iter().partition(|(principal, _)| matches!(principal, Principal::User(_)));
        let mut unread: BTreeMap<&Name, BTreeSet<&PublicKey>> = BTreeMap::new();
        for line in of_groups.into_values().flatten().filter(|line| case.speaks_for_owner(line)) {
            unread.entry(line.owner()).or_default().insert(line.key());
        }
        let of_unread =
            unread.into_iter().map(|(owner, keys)| (!case.owners.values().any(|name| name == owner), keys.len()));
        let of_users = of_users.into_iter().map(|(principal, lines)| (empties(principal), lines.len()));
        of_users.chain(of_unread).fold((0, 0, 0), |(losers, users, keys), (loses_all, lost)| {
            (losers + 1, users + usize::from(loses_all), keys + lost)
        })
    };
    // Who loses a key, who loses all, and how many keys go.
    let (_, all_users, all_keys) = of_users(losses);
    let (losers, users, keys) = of_users(fresh);
    // What there was, as far as it counts: what remains or comes, and what vanishes.
    let (users_before, keys_before) = (case.users + all_users, case.keys + all_keys);
    if (case.people == 0 && users > 0) || (case.users == 0 && users > 1) {
        found.why.push(format!("nobody would have a key any more, of {users_before} users with keys"));
    } else if exceeds(users, users_before, limits.users, limits.floor) {
        let limit = limits.users;
        found.why.push(format!("{users} of {users_before} users with keys would lose all of them (limit: {limit} %)"));
    } else if losers > limits.floor && exceeds(keys, keys_before, limits.keys, limits.floor) {
        // Only of several people: nobody may have so many keys that shutting that one out looks suspicious.
        found.why.push(format!("{keys} of {keys_before} keys would go, of {losers} users (limit: {} %)", limits.keys));
    }
    found.everywhere = !found.why.is_empty();
    for (principal, lines) in fresh {
        let (Principal::Group(_), Some(change)) = (principal, case.changes.get(principal)) else { continue };
        let members: BTreeSet<&Name> = change.stored.iter().map(|line| line.owner()).collect();
        let stay: BTreeSet<&Name> = change.desired.iter().map(|line| line.owner()).collect();
        let go: BTreeSet<&Name> = lines
            .iter()
            .filter(|line| case.keeps_key(line) && !stay.contains(line.owner()))
            .map(|line| line.owner())
            .collect();
        // What leaves nobody of several is what a failed reading looks like, however small the group.
        let is_emptied = change.desired.is_empty() && go.len() > 1 && go.len() == members.len() && limits.group < 100;
        if is_emptied || exceeds(go.len(), members.len(), limits.group, limits.floor) {
            let (go, members, limit) = (go.len(), members.len(), limits.group);
            found.why.push(format!("{go} of {members} members of {principal} would go (limit: {limit} %)"));
            found.groups.insert(principal);
        }
    }
    found
}

/// Whether `lost` of `before` is more than so many percent, and more than so many.
fn exceeds(lost: usize, before: usize, percent: u32, floor: usize) -> bool {
    let percent = usize::try_from(percent).unwrap_or(usize::MAX);
    lost > floor && lost.saturating_mul(100) > before.saturating_mul(percent)
}

/// A document's lines together with those that are held back: by owner, what should be there first.
#[must_use]
pub fn merge(desired: Vec<Arc<KeyLine>>, held: &[Arc<KeyLine>]) -> Vec<Arc<KeyLine>> {
    let mut lines = [desired, held.to_vec()].concat();
    // Stable: within an owner's lines the order stays, and what should be there comes first.
    lines.sort_by(|one, other| one.owner().cmp(other.owner()));
    lines
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why =
            if self.why.is_empty() { "what was missing is missing still".to_owned() } else { self.why.join("; ") };
        let (lines, documents) = (self.count(), self.held.len());
        let plan = &self.plan;
        write!(
            f,
            "refused: {why}. Held back: {lines} line(s) in {documents} document(s); everything else is carried out. Look at what would go \
             (--dry-run shows it); if it is meant, confirm exactly this plan: --confirm {plan} (Lambda: invoke it with {{\"confirm\":\"{plan}\"}})"
        )
    }
}

#[cfg(test)]
mod tests;
