//! `fetch <user> [<type> <base64>]` and `fetch /refresh`: the part of a lookup that asks AWS, and the same ahead of time.
//!
//! `authorized-keys` becomes this program where the cache does not do; `iam-ssh refresh` runs it. One process at a time
//! asks, under the cache's lock; the others wait for what it learns. It must answer within the deadline, whoever holds the
//! lock, and with nothing that it could not verify.

use super::call::{self, Begun, End, Log};
use super::keeper;
use crate::audit::Event;
use crate::aws::Aws;
use crate::cache::state::InstanceFacts;
use crate::cache::store::Lock;
use crate::clock::Moment;
use crate::config::Config;
use crate::copies::Copies;
use crate::exit::Exit;
use crate::lookup::{self, Allowed, Ask, Found, Outcome, Question};
use crate::refresh;
use crate::trusted::Trust;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The argument of a refresh. No login user's name: no table can have it.
pub const REFRESH: &str = "/refresh";
/// Time for a whole refresh; nobody's login waits for it.
const REFRESH_LIMIT: Duration = Duration::from_secs(10);
/// Time for writing down what was learnt, where no other process does.
const KEEPING: Duration = Duration::from_millis(300);
/// How long a refresh waits for another process to finish.
const REFRESH_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let started = Instant::now();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let log = Log::open();
    let exit = if args == [REFRESH] {
        run_refresh(&log).unwrap_or_else(|exit| exit)
    } else {
        run(&args, started, &log).unwrap_or_else(|end| end).finish(&args, &log)
    };
    exit.into()
}

fn run(args: &[OsString], started: Instant, log: &Log) -> Result<End, End> {
    let Begun { call, cache, config, now } = call::begin("fetch", args, log)?;
    let question = lookup::question(&config, &call.user, call.offered.as_ref(), now.unix(), Trust::ROOT);
    let armed = config.bucket.is_some() && config.network;
    let Some((question, mut events)) = question.filter(|_| armed) else { return Ok(End::Miss(Exit::Ok)) };
    let mut copies = Copies::open(&config, cache, now);
    let (turn, lock) = wait_for_others(&question, &mut copies, config.deadline, started);
    let mut instance = None;
    let found = match turn {
        Turn::Answered(found) => found,
        Turn::Ours => match ask(&config, &question, &mut copies, started) {
            Ok((found, learnt)) => {
                instance = learnt;
                found
            }
            Err(error) => {
                events.push(Event::error(format!("cannot ask AWS: {error}")));
                copies.settle();
                question.settled(&mut copies)
            }
        },
    };
    Ok(call::answer(&found, &call, (started, copies.moment()), log, || {
        keep(&mut copies, instance, lock);
        events.extend(copies.take_events(found.is_empty()));
        events
    }))
}

/// Withdraws what has to be, and has the rest written down without waiting for it.
fn keep(copies: &mut Copies, instance: Option<InstanceFacts>, lock: Option<Lock>) {
    let Some(mut learnt) = copies.learnt(instance) else { return };
    let Some(store) = copies.store().cloned() else { return };
    if let Some(event) = learnt.withdraw(&store) {
        copies.tell(event);
    }
    let lock = match lock.map_or_else(|| store.spare_lock(), Ok) {
        Ok(lock) => lock,
        Err(why) => {
            let text =
                format!("what was learnt is not kept, so the next login asks AWS again: the cache's lock is {why}");
            copies.tell(Event::warning(text));
            return;
        }
    };
    if let Err(error) = keeper::hand_on(&learnt, lock) {
        copies.tell(Event::warning(format!("no process to keep what was learnt, so this one does: {error}")));
        for event in learnt.save(&store, Instant::now() + KEEPING, || {}) {
            copies.tell(event);
        }
    }
}

/// Who asks AWS.
enum Turn {
    /// Nobody: it is answered already.
    Answered(Vec<Found>),
    /// This process.
    Ours,
}

/// Waits for the process that is asking, if there is one, for half of the deadline: long enough for any that is not
/// stuck, and so short that there is time to ask for oneself. Gives the lock, if it was to be had and is needed.
fn wait_for_others(
    question: &Question<'_>,
    copies: &mut Copies,
    deadline: Duration,
    started: Instant,
) -> (Turn, Option<Lock>) {
    let patience = (deadline / 2).saturating_sub(started.elapsed());
    let lock = copies.lock(patience);
    copies.load();
    if let Outcome::Answer(found) = question.answer(copies) {
        return (Turn::Answered(found), None);
    }
    copies.tell_of(&lock, patience);
    (Turn::Ours, lock.ok())
}

type Asked = (Vec<Found>, Option<InstanceFacts>);

/// Asks on a runtime of one thread, within what is left of the deadline.
fn ask(config: &Config, question: &Question<'_>, copies: &mut Copies, started: Instant) -> io::Result<Asked> {
    let limit = config.deadline.saturating_sub(started.elapsed());
    let aws = Aws::new(config, copies.instance(config), question.now);
    let found = block_on(refresh::lookup(question, copies, &aws, &config.prefix, limit))?;
    Ok((found, aws.learnt(copies.host())))
}

fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // Not waiting for a name resolution that still hangs in its thread.
    runtime.shutdown_background();
    Ok(result)
}

/// Asks for everything that any login may need, whatever is known already; the instance's role and credentials, too.
fn run_refresh(log: &Log) -> Result<Exit, Exit> {
    let cache = call::open_cache();
    let config = call::configuration(log)?;
    if config.bucket.is_none() || config.logins.is_empty() {
        say("nothing to refresh: no bucket or no login user is configured");
        return Ok(Exit::Ok);
    }
    let store = cache.map_err(|why| {
        log.tell(&Event::error(format!("there is no cache to refresh: {why}")));
        Exit::Failed
    })?;
    call::limit(REFRESH_LIMIT * 2 + REFRESH_PATIENCE);
    let now = Moment::now();
    let (allowed, events): (Vec<Allowed>, Vec<Vec<Event>>) =
        config.logins.values().map(|login| Allowed::read(login, Trust::ROOT)).unzip();
    let mut copies = Copies::open(&config, Ok(store), now.clone());
    let lock = copies.lock(REFRESH_PATIENCE);
    copies.load();
    copies.tell_of(&lock, REFRESH_PATIENCE);
    copies.distrust();
    let aws = Aws::new(&config, None, now.unix());
    let wanted = |copies: &mut Copies| {
        let asks: Vec<Ask> = allowed.iter().flat_map(|allowed| allowed.asks(copies)).collect();
        (!asks.is_empty()).then_some(asks)
    };
    block_on(refresh::refresh(&mut copies, &aws, &config.prefix, REFRESH_LIMIT, wanted)).map_err(|error| {
        log.tell(&Event::error(format!("cannot start: {error}")));
        Exit::Failed
    })?;
    copies.save(aws.learnt(copies.host()), Instant::now() + REFRESH_LIMIT);
    drop(lock);
    for event in events.into_iter().flatten().chain(copies.take_events(false)) {
        log.tell(&event);
    }
    let (known, failed) = copies.count();
    say(&format!("refreshed: {known} documents and lists were answered, {failed} failed"));
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "iam-ssh: {text}");
}
