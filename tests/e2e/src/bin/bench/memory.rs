//! The most memory that a lookup has in use at a time, and how much the package brings.

use iam_ssh_e2e::Machine;
use iam_ssh_e2e::measure::Bar;

use crate::cold::Way;
use crate::figure;
use crate::inside::{Cache, Inside, Words};

/// Prints both. `way` asks for a group with 10,000 keys over TLS.
pub(crate) fn report(machine: &Machine, inside: &Inside, way: &Way, lookup: &Words) {
    way.configure(machine);
    // A process of its own for each figure: it knows only the largest of its children.
    let peak = |cache, program: &Words| inside.run(cache, 1, std::slice::from_ref(program)).peak;
    let cold = peak(Cache::Empty, lookup);
    let cached = peak(Cache::Keep, lookup);
    // What this way of measuring adds at most.
    figure("peak-memory-true", peak(Cache::Keep, &vec!["/bin/true".to_owned()]), "MiB", Bar::None);
    figure("peak-memory-cached", cached, "MiB", Bar::AtMost(15.0));
    figure("peak-memory-cold-10000-keys", cold, "MiB", Bar::AtMost(40.0));

    for program in ["authorized-keys", "fetch"] {
        let file = machine.path(&format!("/usr/libexec/iam-ssh/{program}"));
        let size = f64::from(u32::try_from(std::fs::metadata(file).expect("a program").len()).unwrap());
        figure(&format!("{program}-binary-size"), size, "bytes", Bar::None);
    }
    let crates = std::env::var("IAM_SSH_CRATES").ok().and_then(|count| count.parse().ok());
    figure("instance-crates", crates.expect("run `make bench`"), "crates", Bar::None);
}
