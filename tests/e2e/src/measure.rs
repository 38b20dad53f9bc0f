//! What a command costs: processor time, wall time and memory, medians, and the benchmark's lines.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of the command and of everything it started and waited for.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
}

impl Cost {
    /// Runs a command to its end; what it prints must hold `wanted`. No other child may be waited for meanwhile.
    ///
    /// # Panics
    /// When it cannot be started, fails or prints something else.
    pub fn of(command: &mut Command, wanted: &str) -> Self {
        // One pipe, as from sshd; complaints go where ours go.
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let (before, start) = (children(), Instant::now());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (wall, after) = (start.elapsed(), children());
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(wanted), "{command:?} printed no {wanted:?} but {said:?}");
        Self { cpu: after.checked_sub(before).unwrap(), wall }
    }

    /// The same, and the processor time of what it leaves running counts, too; the wall time does not wait for that. The caller
    /// must be a child subreaper (prctl(2)) with no other children.
    ///
    /// # Panics
    /// When it cannot be started, fails or prints something else.
    pub fn of_all(command: &mut Command, wanted: &str) -> Self {
        let before = children();
        let Self { wall, .. } = Self::of(command, wanted);
        while nix::sys::wait::wait().is_ok() {}
        Self { cpu: children().checked_sub(before).unwrap(), wall }
    }

    /// The medians of many runs, of each measure for itself.
    #[must_use]
    pub fn median(runs: &[Self]) -> Self {
        let middle = |measure: fn(&Self) -> Duration| {
            let mut all: Vec<Duration> = runs.iter().map(measure).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        Self { cpu: middle(|cost| cost.cpu), wall: middle(|cost| cost.wall) }
    }
}

/// Processor time of all children that ended so far.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |value: TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs()) + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// The most memory, in MiB, that any child that ended so far had in use at a time. A child counts from its fork on, so a large parent
/// would be measured instead of a small child.
///
/// # Panics
/// Never, on Linux.
#[must_use]
pub fn peak_of_children() -> f64 {
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    f64::from(u32::try_from(kib).unwrap()) / 1024.0
}

/// A bar that a figure has to reach or must not pass.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// No bar yet.
    None,
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
}

/// One line of the benchmark.
#[must_use]
pub fn line(name: &str, value: f64, unit: &str, bar: Bar) -> String {
    let (bar, reached) = match bar {
        Bar::None => ("none".to_owned(), true),
        Bar::AtLeast(least) => (format!(">= {least}"), value >= least),
        Bar::AtMost(most) => (format!("<= {most}"), value <= most),
    };
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("bench: {name} {value:.digits$} {unit} bar {bar} {}", if reached { "ok" } else { "short" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_one_form() {
        let bar = Bar::AtLeast(200.0);
        assert_eq!(line("a-vs-b", 245.4, "times", bar), "bench: a-vs-b 245 times bar >= 200 ok");
        assert_eq!(line("a-vs-b", 19.9, "times", bar), "bench: a-vs-b 19.90 times bar >= 200 short");
        assert_eq!(line("size", 3.0, "bytes", Bar::None), "bench: size 3 bytes bar none ok");
        assert_eq!(line("time", 4.25, "ms", Bar::AtMost(4.0)), "bench: time 4.25 ms bar <= 4 short");
    }
}
