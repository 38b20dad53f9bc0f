//! What may be believed of what is already known: fresh, resting after a failure, or to be asked for. Pure.
//!
//! The rules are those of the CONTRACT's failure table. An answer that says no (it does not exist, access is denied)
//! replaces what was known at once. No answer replaces nothing: the last one counts up to `max_stale`. It must never
//! make anything known look younger than it is.

pub mod index;
pub mod seal;
pub mod state;
pub mod store;

use crate::clock::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long after a failure nobody asks again, so that the next key that a client offers does not wait for the same
/// failure. A denial is asked about again after this time, too: somebody may be mending a policy.
pub const REST: Duration = Duration::from_secs(5);

/// The configuration's limits, and the moment since when whatever was learnt is news.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Age up to which nobody asks.
    pub fresh_for: Duration,
    /// Age up to which an answer counts while no other is to be had.
    pub max_stale: Duration,
    /// How long after a failure nobody asks again: [`REST`].
    pub rest: Duration,
    /// When this program started: what was learnt since then, by whomever, need not be asked for again.
    pub started: Moment,
}

/// What is known of one thing that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    /// The last answer.
    pub known: Option<Known<T>>,
    /// The failure since then, if the last attempt failed.
    pub failed: Option<Failure>,
}

/// An answer and its date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known<T> {
    /// What was answered.
    pub answer: Answer<T>,
    /// When it was first given.
    pub fetched: Moment,
    /// When it was last given or confirmed.
    pub confirmed: Moment,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<T> {
    /// It is there.
    Present(T),
    /// It does not exist.
    Missing,
    /// It may not be read.
    Denied,
    /// It was there, and could not be kept: nothing is known, and nothing older counts.
    Lost,
}

/// An attempt that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it failed.
    pub at: Moment,
    /// What happened, for the log.
    pub why: String,
}

/// What is to be done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer counts as it is.
    Fresh,
    /// It failed a moment ago: not asked again yet; what is known counts if it is not too old.
    Resting,
    /// Ask.
    Ask,
}

impl<T> Answer<T> {
    /// Which of two answers of the same moment counts.
    fn rank(&self) -> u8 {
        match self {
            Self::Missing | Self::Denied => 2,
            Self::Present(_) => 1,
            Self::Lost => 0,
        }
    }
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { known: None, failed: None }
    }
}

impl<T> Entry<T> {
    /// What is to be done at `now`.
    #[must_use]
    pub fn verdict(&self, now: &Moment, limits: &Limits) -> Verdict {
        let within = |then: &Moment, limit: Duration| {
            // Across a boot nothing is fresh: there, only a clock that anybody may have set tells the age.
            let young = now.since(then).is_some_and(|age| age.certain && age.elapsed < limit);
            young || (now.since(then).is_some() && then.since(&limits.started).is_some_and(|age| age.certain))
        };
        if let Some(known) = &self.known {
            let limit = match known.answer {
                Answer::Denied => Some(limits.fresh_for.min(limits.rest)),
                Answer::Present(_) | Answer::Missing => Some(limits.fresh_for),
                Answer::Lost => None,
            };
            if limit.is_some_and(|limit| within(&known.confirmed, limit)) {
                return Verdict::Fresh;
            }
        }
        match &self.failed {
            Some(failed) if within(&failed.at, limits.rest) => Verdict::Resting,
            _ => Verdict::Ask,
        }
    }

    /// What the last answer gave, however old it is.
    #[must_use]
    pub fn present(&self) -> Option<&T> {
        match &self.known.as_ref()?.answer {
            Answer::Present(given) => Some(given),
            Answer::Missing | Answer::Denied | Answer::Lost => None,
        }
    }

    /// What is known, if it is young enough to count where no other answer is to be had.
    #[must_use]
    pub fn usable(&self, now: &Moment, limits: &Limits) -> Option<&Known<T>> {
        let young = |known: &&Known<T>| now.since(&known.confirmed).is_some_and(|age| age.elapsed < limits.max_stale);
        self.known.as_ref().filter(young)
    }

    /// What counts at `now` once nobody is asked: a fresh answer however short `max_stale` is, else a usable one.
    #[must_use]
    pub fn counting(&self, now: &Moment, limits: &Limits) -> Option<&Known<T>> {
        match self.verdict(now, limits) {
            Verdict::Fresh => self.known.as_ref(),
            Verdict::Resting | Verdict::Ask => self.usable(now, limits),
        }
    }

    /// What two processes know of the same thing, together: the later answer, and the later failure unless an answer came
    /// after it. So none undoes what another learnt meanwhile, a withdrawal above all.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let later = |a: &Moment, b: &Moment| a.since(b).is_some();
        let known = match (self.known, other.known) {
            // Of the same moment, the one that says no, before one that says yes, before one that is lost.
            (Some(a), Some(b)) if later(&a.confirmed, &b.confirmed) && later(&b.confirmed, &a.confirmed) => {
                Some(if a.answer.rank() >= b.answer.rank() { a } else { b })
            }
            (Some(a), Some(b)) => Some(if later(&a.confirmed, &b.confirmed) { a } else { b }),
            (a, b) => a.or(b),
        };
        let failed = match (self.failed, other.failed) {
            (Some(a), Some(b)) => Some(if later(&a.at, &b.at) { a } else { b }),
            (a, b) => a.or(b),
        };
        let outlived = |failed: &Failure| known.as_ref().is_some_and(|known| !later(&failed.at, &known.confirmed));
        Self { failed: failed.filter(|failed| !outlived(failed)), known }
    }

    /// Forgets the answer itself, but not that there was one: whatever is older counts no more either.
    pub fn forget(&mut self) {
        if let Some(known) = &mut self.known {
            known.answer = Answer::Lost;
        }
    }

    /// Forgets what seems to come from the future.
    #[must_use]
    pub fn until(self, now: &Moment) -> Self {
        Self {
            known: self.known.filter(|known| now.since(&known.confirmed).is_some()),
            failed: self.failed.filter(|failed| now.since(&failed.at).is_some()),
        }
    }

    /// Notes an answer. It is as old as the question: what was true when it arrived, nobody knows.
    pub fn learn(&mut self, answer: Answer<T>, asked: &Moment) {
        self.known = Some(Known { answer, fetched: asked.clone(), confirmed: asked.clone() });
        self.failed = None;
    }

    /// Notes that the last answer still held when it was asked for.
    pub fn confirm(&mut self, asked: &Moment) {
        if let Some(known) = &mut self.known {
            known.confirmed = asked.clone();
        }
        self.failed = None;
    }

    /// Notes that there was no answer now.
    pub fn fail(&mut self, why: String, now: &Moment) {
        self.failed = Some(Failure { at: now.clone(), why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SinceBoot;

    const LATER: i64 = 1_000_000;

    fn at(seconds: i64) -> Moment {
        Moment { wall: seconds * 1000, boot: Some(SinceBoot { id: "a".to_owned(), millis: seconds * 1000 }) }
    }

    fn limits() -> Limits {
        // Long after everything that these tests note.
        let started = at(LATER);
        Limits { fresh_for: Duration::from_secs(30), max_stale: Duration::from_secs(3600), rest: REST, started }
    }

    fn learnt(answer: Answer<&'static str>) -> Entry<&'static str> {
        let mut entry = Entry::default();
        entry.learn(answer, &at(1000));
        entry
    }

    #[test]
    fn an_answer_is_fresh_for_a_while_and_usable_for_longer() {
        let entry = learnt(Answer::Present("x"));
        for (seconds, verdict, usable) in [
            (1000, Verdict::Fresh, true),
            (1029, Verdict::Fresh, true),
            (1030, Verdict::Ask, true),
            (4599, Verdict::Ask, true),
            (4600, Verdict::Ask, false),
            (999, Verdict::Ask, false),
        ] {
            assert_eq!(entry.verdict(&at(seconds), &limits()), verdict, "{seconds}");
            assert_eq!(entry.usable(&at(seconds), &limits()).is_some(), usable, "{seconds}");
        }
        assert_eq!(learnt(Answer::Missing).verdict(&at(1029), &limits()), Verdict::Fresh);
    }

    #[test]
    fn a_failure_rests_and_then_is_tried_again() {
        let mut entry = learnt(Answer::Present("x"));
        entry.fail("no".to_owned(), &at(2000));
        assert_eq!(entry.verdict(&at(2004), &limits()), Verdict::Resting);
        assert_eq!(entry.verdict(&at(2005), &limits()), Verdict::Ask);
        assert!(entry.usable(&at(2004), &limits()).is_some());
        entry.confirm(&at(2010));
        assert_eq!(entry.verdict(&at(2039), &limits()), Verdict::Fresh);
        assert_eq!(entry.known.as_ref().unwrap().fetched, at(1000));
    }

    #[test]
    fn an_answer_that_says_no_takes_the_place_of_what_was_known() {
        let mut entry = learnt(Answer::Present("x"));
        entry.learn(Answer::Denied, &at(1001));
        assert_eq!(entry.usable(&at(1002), &limits()).unwrap().answer, Answer::Denied);
        assert_eq!(entry.verdict(&at(1005), &limits()), Verdict::Fresh);
        assert_eq!(entry.verdict(&at(1006), &limits()), Verdict::Ask, "somebody may have mended the policy");
    }

    #[test]
    fn of_two_processes_the_later_word_counts() {
        let (old, new) = (learnt(Answer::Present("x")), {
            let mut new = Entry::default();
            new.learn(Answer::Missing, &at(1001));
            new
        });
        assert_eq!(old.clone().merge(new.clone()), new);
        assert_eq!(new.clone().merge(old.clone()), new);
        let mut failed = old.clone();
        failed.fail("no".to_owned(), &at(1000));
        assert_eq!(failed.clone().merge(new.clone()), new, "an answer after the failure");
        failed.fail("no".to_owned(), &at(1002));
        let merged = new.clone().merge(failed.clone());
        assert_eq!((merged.known, merged.failed), (new.known, failed.failed));
        assert_eq!(old.clone().merge(Entry::default()), old);
        let at_once = [Answer::Lost, Answer::Present("x"), Answer::Missing].map(learnt);
        for (less, more) in [(0, 1), (1, 2), (0, 2)] {
            let (less, more) = (&at_once[less], &at_once[more]);
            assert_eq!((&less.clone().merge(more.clone()), &more.clone().merge(less.clone())), (more, more));
        }
    }

    #[test]
    fn a_clock_that_is_set_neither_freshens_nor_ages() {
        let entry = learnt(Answer::Present("x"));
        for wall in [0, 500_000, i64::MAX] {
            let now = |seconds: i64| Moment { wall, ..at(seconds) };
            assert_eq!(entry.verdict(&now(1029), &limits()), Verdict::Fresh);
            assert_eq!(entry.verdict(&now(1031), &limits()), Verdict::Ask);
            assert!(entry.usable(&now(1031), &limits()).is_some());
        }
    }

    #[test]
    fn after_a_boot_nothing_is_fresh_but_the_last_answer_is_usable() {
        let entry = learnt(Answer::Present("x"));
        let rebooted = |wall: i64| Moment { wall, boot: Some(SinceBoot { id: "b".to_owned(), millis: 5 }) };
        assert_eq!(entry.verdict(&rebooted(1_001_000), &limits()), Verdict::Ask);
        assert!(entry.usable(&rebooted(1_001_000), &limits()).is_some());
        assert!(entry.usable(&rebooted(999_999), &limits()).is_none(), "from the future");
        assert!(entry.usable(&rebooted(4_700_000), &limits()).is_none(), "too old");
    }

    #[test]
    fn what_was_learnt_since_the_start_is_not_asked_for_again() {
        let limits = Limits { fresh_for: Duration::ZERO, started: at(1000), ..limits() };
        assert_eq!(learnt(Answer::Present("x")).verdict(&at(1003), &limits), Verdict::Fresh);
        let mut entry = learnt(Answer::Present("x"));
        entry.known = None;
        entry.fail("no".to_owned(), &at(1000));
        assert_eq!(entry.verdict(&at(1050), &limits), Verdict::Resting);
        let later = Limits { started: at(1001), ..limits };
        assert_eq!(learnt(Answer::Present("x")).verdict(&at(1003), &later), Verdict::Ask);
    }
}
