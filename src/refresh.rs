//! Asks AWS for what is not known, all at once, and hands what comes to [`Copies`], until nothing more is wanted or the
//! deadline is over.
//!
//! Generic over the traits of [`crate::lookup::ports`], so that it is tested without AWS. Each failure costs its own
//! principal or list and no other.

use crate::clock::Moment;
use crate::copies::{Arrival, Copies};
use crate::lookup::ports::{Instance, Objects, Parameters};
use crate::lookup::{Ask, Found, Outcome, Question, principals};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Most requests at the same time; sshd hands a process 1,024 descriptors.
const IN_FLIGHT: usize = 32;

/// How long what is under way is waited for once the answer is decided: then it is in the cache for the next login.
const GRACE: Duration = Duration::from_millis(100);

/// What is under way.
type Work<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = (Ask, Moment, Arrival)> + 'a>>>;

/// How often one thing is asked for: a second time where the answer was "unchanged" and the copy turned out to be damaged.
const TIMES: usize = 2;

/// Answers `question` within `limit`, asking for what is missing. At the limit, what is known until then is the answer.
pub async fn lookup<A: Objects + Parameters + Instance>(
    question: &Question<'_>,
    copies: &mut Copies,
    aws: &A,
    prefix: &str,
    limit: Duration,
) -> Vec<Found> {
    let mut answer = None;
    let wanted = |copies: &mut Copies| match question.answer(copies) {
        Outcome::Answer(found) => {
            answer = Some(found);
            None
        }
        Outcome::Ask(asks) => Some(asks),
    };
    refresh(copies, aws, prefix, limit, wanted).await;
    let found = answer.unwrap_or_else(|| {
        copies.settle();
        question.settled(copies)
    });
    if let Some(event) = question.shared_key(copies) {
        copies.tell(event);
    }
    found
}

/// Asks for what `wanted` says, again after each arrival, until it wants nothing (`None`) or `limit` is over.
pub async fn refresh<A: Objects + Parameters + Instance>(
    copies: &mut Copies,
    aws: &A,
    prefix: &str,
    limit: Duration,
    mut wanted: impl FnMut(&mut Copies) -> Option<Vec<Ask>>,
) {
    let mut until = Instant::now() + limit;
    let mut work: Work<'_> = FuturesUnordered::new();
    let mut begun: HashMap<Ask, usize> = HashMap::new();
    let mut waiting: VecDeque<Ask> = VecDeque::new();
    // Waiting or under way.
    let mut open: HashSet<Ask> = HashSet::new();
    let mut decided = false;
    loop {
        if !decided {
            match wanted(copies) {
                Some(asks) => {
                    for ask in asks {
                        let times = begun.entry(ask.clone()).or_default();
                        if *times < TIMES && open.insert(ask.clone()) {
                            *times += 1;
                            waiting.push_back(ask);
                        }
                    }
                }
                None => {
                    decided = true;
                    waiting.clear();
                    until = until.min(Instant::now() + GRACE);
                }
            }
        }
        while work.len() < IN_FLIGHT
            && let Some(ask) = waiting.pop_front()
        {
            let etag = if let Ask::Document(principal) = &ask { copies.etag(principal) } else { None };
            work.push(Box::pin(fetch(ask, copies.moment(), etag, aws, prefix)));
        }
        match timeout_at(until, work.next()).await {
            Ok(None) => return,
            Ok(Some((ask, asked, arrival))) => {
                open.remove(&ask);
                copies.record(arrival, &asked);
            }
            Err(_) if decided => return,
            Err(_) => {
                let late: Vec<Ask> = open.into_iter().collect();
                copies.give_up(&late, &format!("no answer within {} ms", limit.as_millis()));
                return;
            }
        }
    }
}

async fn fetch<A: Objects + Parameters + Instance>(
    ask: Ask,
    asked: Moment,
    etag: Option<String>,
    aws: &A,
    prefix: &str,
) -> (Ask, Moment, Arrival) {
    let arrival = match &ask {
        Ask::Document(principal) => {
            let result = Objects::get(aws, &principal.object_key(prefix), etag.as_deref()).await;
            Arrival::Document(principal.clone(), result)
        }
        Ask::List(list) => {
            let (what, result) = principals::fetch(list, aws).await;
            Arrival::List(list.clone(), what, result)
        }
    };
    (ask, asked, arrival)
}
