//! What a sync has to do: what should be there against what is there.
//!
//! Pure: the caller read both sides completely before, and carries the plan out after (puts first, deletes last).
//! A plan must never be made from an incomplete reading: what is missing in `desired` is deleted.

use crate::principal::Principal;
use std::collections::BTreeMap;

/// The difference between what should be published and what is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Documents to write, new or changed.
    pub put: Vec<Principal>,
    /// Documents of principals that are gone.
    pub delete: Vec<Principal>,
    /// Documents that are as they should be.
    pub keep: Vec<Principal>,
}

impl Plan {
    /// Compares `desired` (each principal's document) with `actual` (whatever the caller knows of what is stored); `same` tells
    /// whether a stored document already is the desired one.
    pub fn new<D, A>(
        desired: &BTreeMap<Principal, D>,
        actual: &BTreeMap<Principal, A>,
        same: impl Fn(&D, &A) -> bool,
    ) -> Self {
        let mut plan = Self::default();
        for (principal, text) in desired {
            match actual.get(principal) {
                Some(stored) if same(text, stored) => plan.keep.push(principal.clone()),
                _ => plan.put.push(principal.clone()),
            }
        }
        plan.delete = actual.keys().filter(|p| !desired.contains_key(p)).cloned().collect();
        plan
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use proptest::prelude::*;

    fn state() -> impl Strategy<Value = BTreeMap<Principal, String>> {
        let principal = ("[ab]{1,2}", any::<bool>()).prop_map(|(name, user)| {
            let name = Name::new(&name).unwrap();
            if user { Principal::User(name) } else { Principal::Group(name) }
        });
        proptest::collection::btree_map(principal, "[xy]{0,1}", 0..8)
    }

    proptest! {
        /// Carrying the plan out turns any state into the desired one, and writes nothing that was right already.
        #[test]
        fn carried_out_it_gives_what_is_desired(desired in state(), actual in state()) {
            let plan = Plan::new(&desired, &actual, |text, stored: &String| text == stored);
            let mut after = actual.clone();
            for p in &plan.put {
                prop_assert_ne!(actual.get(p), desired.get(p));
                after.insert(p.clone(), desired.get(p).unwrap().clone());
            }
            for p in &plan.delete {
                after.remove(p);
            }
            prop_assert_eq!(&after, &desired);
            prop_assert_eq!(plan.is_empty(), actual == desired);
            prop_assert_eq!(plan.keep.len() + plan.put.len(), desired.len());
        }
    }
}
