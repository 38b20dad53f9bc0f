//! Keys that the lookup offered to sshd, until the login follows: they say whose key it was.

use super::{LONGEST, NEAR, SAME, Session};
use crate::history::sshd;
use std::collections::{HashMap, VecDeque};

/// Most offers that wait for their login.
pub(super) const OFFERS: usize = 8192;
/// Most offers to one process of sshd that are remembered, the last ones; a client makes six at most.
const OF_PROCESS: usize = 16;

/// An offered key whose owner the lookup found.
#[derive(Debug)]
struct Offer {
    time: i64,
    owner: Box<str>,
    login: Box<str>,
    principal: Box<str>,
    key: Box<str>,
}

/// Offers that wait for their login, by sshd's process; what could be forged never takes the place of what could not.
#[derive(Debug, Default)]
pub(super) struct Offers {
    of: HashMap<(u32, bool), VecDeque<Offer>>,
    pub(super) waiting: usize,
}

impl Offers {
    pub(super) fn put(&mut self, time: i64, offer: &sshd::Offer<'_>, verified: bool) {
        let is_word = |text: &str| text.len() <= LONGEST && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if ![offer.owner, offer.login, offer.principal, offer.key].into_iter().all(is_word) {
            return;
        }
        if self.waiting >= OFFERS {
            self.forget(time);
        }
        let offers = self.of.entry((offer.sshd_pid, verified)).or_default();
        if offers.len() >= OF_PROCESS && offers.pop_front().is_some() {
            self.waiting -= 1;
        }
        self.waiting += 1;
        offers.push_back(Offer {
            time,
            owner: offer.owner.into(),
            login: offer.login.into(),
            principal: offer.principal.into(),
            key: offer.key.into(),
        });
    }

    /// Forgets offers that no login can follow any more; where they are too many all the same, all of them.
    fn forget(&mut self, now: i64) {
        self.of.retain(|_, offers| {
            offers.retain(|offer| offer.time.saturating_add(NEAR) >= now);
            !offers.is_empty()
        });
        self.waiting = self.of.values().map(VecDeque::len).sum();
        if self.waiting >= OFFERS / 2 {
            self.of.clear();
            self.waiting = 0;
        }
    }

    /// Gives a session without an owner the one that the lookup found for its key.
    pub(super) fn own(&self, session: &mut Session) {
        let record = &mut session.record;
        let (None, Some(key)) = (&record.owner, &record.key) else { return };
        let offers = self.of.get(&(record.sshd_pid, session.verified)).into_iter().flatten();
        let offer = offers.rev().find(|offer| {
            let age = record.at.saturating_sub(offer.time);
            (-SAME..=NEAR).contains(&age) && *offer.key == **key && *offer.login == *record.login
        });
        if let Some(offer) = offer {
            record.owner = Some(offer.owner.clone().into());
            record.principal = Some(offer.principal.clone().into());
        }
    }
}
