//! What holds for every change, whatever was stored, refused or revoked before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Who has which key, in which documents: numbers, of which names and keys are made.
type Lines = BTreeSet<(u8, u8)>;

fn line((owner, key): (u8, u8)) -> KeyLine {
    let body = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{key:0>42}");
    KeyLine::new(Vec::new(), Name::new(&format!("u{owner}")).unwrap(), PublicKey::from_openssh(&body).unwrap())
}

fn lines(numbers: &Lines) -> Vec<Arc<KeyLine>> {
    numbers.iter().copied().map(line).map(Arc::new).collect()
}

/// Documents of users and groups as they are stored: anything.
fn stored() -> impl Strategy<Value = BTreeMap<String, Lines>> {
    let own = prop::collection::btree_map(0_u8..8, prop::collection::btree_set(0_u8..20, 1..4), 0..8);
    let groups = prop::collection::btree_map(0_u8..3, prop::collection::btree_set((0_u8..8, 0_u8..20), 0..10), 0..3);
    (own, groups).prop_map(|(own, groups)| {
        let own = own
            .into_iter()
            .map(|(user, keys)| (format!("users/u{user}"), keys.into_iter().map(|key| (user, key)).collect()));
        own.chain(groups.into_iter().map(|(group, lines)| (format!("groups/g{group}"), lines))).collect()
    })
}

/// Whose each key is that should be published, and who is in which group.
fn account() -> impl Strategy<Value = (BTreeMap<u8, u8>, BTreeSet<(u8, u8)>)> {
    (prop::collection::btree_map(0_u8..20, 0_u8..8, 0..20), prop::collection::btree_set((0_u8..3, 0_u8..8), 0..12))
}

fn desired(owners: &BTreeMap<u8, u8>, members: &BTreeSet<(u8, u8)>) -> BTreeMap<String, Lines> {
    let mut texts: BTreeMap<String, Lines> = BTreeMap::new();
    for (key, owner) in owners {
        texts.entry(format!("users/u{owner}")).or_default().insert((*owner, *key));
        for (group, _) in members.iter().filter(|(_, user)| user == owner) {
            texts.entry(format!("groups/g{group}")).or_default().insert((*owner, *key));
        }
    }
    texts
}

fn all(lines: &[Arc<KeyLine>]) -> BTreeSet<&KeyLine> {
    lines.iter().map(Arc::as_ref).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_held_back_is_a_loss_and_nothing_else_and_a_confirmed_plan_is_carried_out(
        stored in stored(),
        (owners, members) in account(),
        revoked in prop::collection::btree_set((0_u8..8, 0_u8..20), 0..20),
        (denied, whole) in (prop::collection::btree_set(0_u8..8, 0..2), any::<bool>()),
        refused in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        (users, keys, group, floor) in (0_u32..=100, 0_u32..=100, 0_u32..=100, 0_usize..6),
    ) {
        let desired = desired(&owners, &members);
        // IAM's own word is about keys that should not be published.
        let revoked: BTreeSet<(Name, PublicKey)> = revoked
            .into_iter()
            .filter(|(owner, key)| owners.get(key) != Some(owner))
            .map(|numbers| (line(numbers).owner().clone(), line(numbers).key().clone()))
            .collect();
        let changes: BTreeMap<Principal, Change> = stored
            .keys()
            .chain(desired.keys())
            .map(|principal| {
                let of = |texts: &BTreeMap<String, Lines>| texts.get(principal).map(lines).unwrap_or_default();
                (principal.parse().unwrap(), Change { stored: of(&stored), desired: of(&desired) })
            })
            .collect();
        let possible: Vec<String> = changes
            .iter()
            .flat_map(|(principal, change)| change.stored.iter().map(move |line| name(principal, line)))
            .collect();
        let refused: BTreeSet<String> = match possible.is_empty() {
            true => BTreeSet::new(),
            false => refused.iter().map(|index| index.get(&possible).clone()).collect(),
        };
        let owners: BTreeMap<PublicKey, Name> = owners
            .iter()
            .map(|(key, owner)| (line((*owner, *key)).key().clone(), line((*owner, *key)).owner().clone()))
            .collect();
        let people: BTreeSet<&Name> = owners.values().collect();
        let denied: BTreeSet<Name> = denied.into_iter().map(|owner| line((owner, 0)).owner().clone()).collect();
        let denied: BTreeSet<Name> = denied.into_iter().filter(|name| !people.contains(name)).collect();
        let case = Case {
            changes: &changes,
            whole,
            unread: &BTreeSet::new(),
            people: people.len(),
            users: people.len(),
            keys: owners.len(),
            revoked: &revoked,
            denied: &denied,
            owners: &owners,
            renamed: &BTreeSet::new(),
            refused_before: &refused,
            confirmed_before: &BTreeSet::new(),
            place: "",
        };
        let limits = Limits { users, keys, group, floor };
        let refusal = judge(&case, &limits);
        let held_back = refusal.as_ref().map(|refusal| refusal.held.clone()).unwrap_or_default();
        for (principal, change) in &changes {
            let held = held_back.get(principal).cloned().unwrap_or_default();
            let merged = merge(change.desired.clone(), &held);
            let (stored, desired) = (all(&change.stored), all(&change.desired));
            prop_assert!(desired.is_subset(&all(&merged)), "every line that should be there is");
            prop_assert!(all(&held).is_subset(&stored) && all(&held).is_disjoint(&desired));
            prop_assert_eq!(all(&merged).len(), merged.len(), "no line twice");
            for line in &held {
                let told = (line.owner().clone(), line.key().clone());
                let is_shut_out = denied.contains(line.owner());
                prop_assert!(!revoked.contains(&told) && !is_shut_out, "what IAM calls revoked is never held back");
            }
            // A group keeps a line only for somebody who keeps the key, or for whom it is held back, too.
            let keeps = |line: &KeyLine| {
                let own = Principal::User(line.owner().clone());
                let is_held = held_back.get(&own).is_some_and(|lines| lines.iter().any(|other| other.key() == line.key()));
                let was_refused = !changes.contains_key(&own) && refused.contains(&name(&own, line));
                owners.get(line.key()) == Some(line.owner()) || is_held || was_refused
            };
            if matches!(principal, Principal::Group(_)) {
                prop_assert!(held.iter().all(|line| keeps(line)));
            }
        }
        let Some(refusal) = refusal else { return Ok(()) };
        // What a person confirmed is held back no more, also where it is not done at once.
        let confirmed = refusal.lines();
        let rest = judge(&Case { confirmed_before: &confirmed, ..case }, &limits).map(|rest| rest.lines()).unwrap_or_default();
        prop_assert!(rest.is_disjoint(&confirmed), "{rest:?}");
        let elsewhere = judge(&Case { place: "elsewhere/", ..case }, &limits).unwrap();
        prop_assert_ne!(elsewhere.plan, refusal.plan.clone());
        // The next run, which remembers, holds back the same.
        let lines = refusal.lines();
        let again = judge(&Case { refused_before: &lines, ..case }, &limits).unwrap();
        prop_assert_eq!((again.held, again.plan), (refusal.held, refusal.plan));
    }
}

#[test]
fn limits_are_more_than_so_many_percent_and_more_than_the_floor() {
    for (lost, before, percent, floor, is_more) in [
        (20, 100, 20, 0, false),
        (21, 100, 20, 0, true),
        (21, 100, 20, 21, false),
        (22, 100, 20, 21, true),
        (1, 1, 0, 0, true),
        (0, 0, 0, 0, false),
        (100, 100, 100, 0, false),
        (usize::MAX, usize::MAX, 100, 0, false),
    ] {
        assert_eq!(exceeds(lost, before, percent, floor), is_more, "{lost} {before} {percent} {floor}");
    }
}
