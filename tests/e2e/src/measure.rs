//! What a command costs: processor time and wall time, medians, and the benchmark's lines.

use std::process::Command;
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
    /// Runs a command to its end. No other child may be waited for meanwhile.
    ///
    /// # Panics
    /// When it cannot be started or fails.
    pub fn of(command: &mut Command) -> Self {
        let (before, start) = (children(), Instant::now());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (wall, after) = (start.elapsed(), children());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
        assert!(output.stdout.windows(4).any(|part| part == b"AAAA"), "{command:?} printed no key: {said}");
        Self { cpu: after.checked_sub(before).unwrap(), wall }
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
