//! One account's IAM as a test handles it: its present state, and the past that reads may still show.
//!
//! A change is in force at once and visible when its lag is over. Nothing here knows of requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::{Account, fold, scramble};

/// The IAM of one account. Its methods are what people do to it; names are compared ignoring case, as IAM does.
#[derive(Debug)]
pub struct Directory {
    now: Arc<Account>,
    /// What was, and until when, the oldest first.
    past: VecDeque<(Instant, Arc<Account>)>,
    lag: Duration,
    /// The state of the generator that chooses between old and new.
    flapping: Option<u64>,
    cap: usize,
    lost: Option<Lost>,
    external_id: Option<String>,
}

/// A page that readings jump over.
#[derive(Clone, Copy, Debug)]
struct Lost {
    page: usize,
    times: usize,
}

impl Directory {
    pub(crate) fn new(number: &str) -> Self {
        Self {
            now: Arc::new(Account::new(number)),
            past: VecDeque::new(),
            lag: Duration::ZERO,
            flapping: None,
            cap: 1000,
            lost: None,
            external_id: None,
        }
    }

    /// What a read sees.
    pub(crate) fn view(&mut self) -> Arc<Account> {
        self.forget();
        let states = self.past.len();
        let chosen = match &mut self.flapping {
            None => 0,
            Some(state) => {
                *state = state.wrapping_add(1);
                let states = u64::try_from(states).unwrap_or_default() + 1;
                usize::try_from(scramble(*state) % states).unwrap_or_default()
            }
        };
        Arc::clone(self.past.get(chosen).map_or(&self.now, |(_, account)| account))
    }

    /// Drops what no read may show any more.
    fn forget(&mut self) {
        let now = Instant::now();
        while self.past.front().is_some_and(|(until, _)| now.saturating_duration_since(*until) >= self.lag) {
            self.past.pop_front();
        }
    }

    /// The account for a change; what it was is kept as long as reads may show it.
    pub(crate) fn edit(&mut self) -> &mut Account {
        if !self.lag.is_zero() {
            self.forget();
            self.past.push_back((Instant::now(), Arc::clone(&self.now)));
        }
        Arc::make_mut(&mut self.now)
    }

    /// The account as it really is.
    pub(crate) fn present(&self) -> &Account {
        &self.now
    }

    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    pub(crate) fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }

    /// Whether this page of a reading is to be jumped over; counts it if so.
    pub(crate) fn loses(&mut self, page: usize) -> bool {
        let Some(lost) = self.lost.as_mut().filter(|lost| lost.page == page && lost.times > 0) else { return false };
        lost.times -= 1;
        true
    }

    /// The account's number.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.now.number
    }

    pub(crate) fn set_account(&mut self, number: &str) {
        number.clone_into(&mut self.edit().number);
    }

    /// The names of all users, in the order in which IAM lists them here.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        self.now.users.values().map(|user| user.name.clone()).collect()
    }

    /// The UserId of a user: kept by a rename, another one when the user is added again.
    #[must_use]
    pub fn user_id(&self, name: &str) -> Option<String> {
        self.now.users.get(&fold(name)).map(|user| user.id.clone())
    }

    /// The GroupId of a group.
    #[must_use]
    pub fn group_id(&self, name: &str) -> Option<String> {
        self.now.groups.get(&fold(name)).map(|group| group.id.clone())
    }

    /// At most this many entries per page of any IAM list, whatever the client asks for. Default 1000, as AWS's; a client that asks
    /// for no number gets 100.
    pub fn page_cap(&mut self, entries: usize) -> &mut Self {
        self.cap = entries.max(1);
        self
    }

    /// From now on reads show the account as it was so long ago: IAM is eventually consistent. Zero ends that.
    pub fn lag(&mut self, lag: Duration) -> &mut Self {
        self.lag = lag;
        self.forget();
        self
    }

    /// While a change is younger than the lag, each read is answered at random from before or after it; the same seed makes the same
    /// choices. `None`: always the oldest.
    pub fn flapping(&mut self, seed: Option<u64>) -> &mut Self {
        self.flapping = seed.map(scramble);
        self
    }

    /// Makes every change so far visible at once.
    pub fn settle(&mut self) -> &mut Self {
        self.past.clear();
        self
    }

    /// GetAccountAuthorizationDetails jumps over its page of this number (1 is the first) in the next `times` readings that get there:
    /// the page before it leads behind it. Everything else is as always.
    pub fn lose_page(&mut self, page: usize, times: usize) -> &mut Self {
        self.lost = Some(Lost { page, times });
        self
    }

    /// AssumeRole into this account demands this external id; `None`: any or none will do.
    pub fn set_external_id(&mut self, id: Option<&str>) -> &mut Self {
        self.external_id = id.map(str::to_owned);
        self
    }
}
