//! Hooks: what a test changes right before a certain request is answered, so that it happens in the middle of a run every time.
//!
//! A hook waits for requests that reach their service: those that a fault or a throttle meets do not count.

use std::fmt::{Debug, Formatter};

use crate::double::{Double, State};
use crate::fault::Match;
use crate::iam::Directory;
use crate::request::Request;

type Action = Box<dyn FnOnce(&mut Change<'_>) + Send>;

struct Hook {
    which: Match,
    /// How many requests are still to come; the last of them is the one.
    left: usize,
    action: Action,
}

/// The hooks that wait.
#[derive(Default)]
pub(crate) struct Hooks(Vec<Hook>);

impl Debug for Hooks {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Hooks({})", self.0.len())
    }
}

impl Hooks {
    /// Counts this request; what is due goes out of the list.
    fn due(&mut self, request: &Request) -> Vec<Action> {
        for hook in self.0.iter_mut().filter(|hook| hook.which.matches(request)) {
            hook.left = hook.left.saturating_sub(1);
        }
        self.0.extract_if(.., |hook| hook.left == 0).map(|hook| hook.action).collect()
    }
}

/// Runs the hooks of a request that is about to be answered.
pub(crate) fn run(state: &mut State, request: &Request) {
    for action in state.hooks.due(request) {
        action(&mut Change { state });
    }
}

/// What a hook can change.
#[derive(Debug)]
pub struct Change<'a> {
    state: &'a mut State,
}

impl Change<'_> {
    /// The home account's IAM.
    pub fn iam(&mut self) -> &mut Directory {
        self.state.accounts.home()
    }

    /// The IAM of the account of this number, made if need be.
    pub fn account(&mut self, number: &str) -> &mut Directory {
        self.state.accounts.entry(number)
    }

    /// Stores an object; the bucket is made if need be.
    pub fn put_object(&mut self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> &mut Self {
        self.state.s3.put(bucket, key, body.into());
        self
    }

    /// Deletes an object.
    pub fn remove_object(&mut self, bucket: &str, key: &str) -> &mut Self {
        self.state.s3.remove(bucket, key);
        self
    }

    /// What is stored under a key.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.state.s3.object(bucket, key)
    }
}

/// Hooks.
impl Double {
    /// Runs `hook` once, right before the answer to the `nth` request from now on (1 is the first) that `which` means (its `skip` and
    /// `times` do not count here) and that reaches its service. It runs in the double's thread with the state locked: it must not
    /// call the [`Double`] itself.
    pub fn on_call(&self, which: Match, nth: usize, hook: impl FnOnce(&mut Change<'_>) + Send + 'static) -> &Self {
        self.state().hooks.0.push(Hook { which, left: nth.max(1), action: Box::new(hook) });
        self
    }
}
