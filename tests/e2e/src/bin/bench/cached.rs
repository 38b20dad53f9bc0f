//! Lookups that the cache answers, beside `/bin/true` started the same way in the same place, and with few and many keys in a group.

use iam_ssh_e2e::measure::{Bar, Cost};
use iam_ssh_e2e::{Machine, World};

use crate::documents::{DOCUMENTED, TEN, THOUSANDS};
use crate::inside::{Cache, Inside, Words};
use crate::{configure_double, figure, ms, times};

/// The runs so far.
#[derive(Default)]
pub(crate) struct Cached {
    nothing: Vec<Cost>,
    cached: Vec<Cost>,
    version: Vec<Cost>,
    ten: Vec<Cost>,
    thousands: Vec<Cost>,
}

impl Cached {
    /// One round. A cache holds one group at a time, so that none pays for another's size.
    pub(crate) fn round(&mut self, world: &World, machine: &Machine, inside: &Inside, lookup: &Words, fast: usize) {
        let alone = std::slice::from_ref(lookup);
        let version = ["/usr/bin/iam-ssh", "--version"].map(str::to_owned).to_vec();
        let beside = [vec!["/bin/true".to_owned()], lookup.clone(), version];
        let run = |principals: &[&str], programs: &[Words]| {
            configure_double(world, machine, principals, "24h");
            inside.warm(lookup);
            let asked = world.requests();
            let costs = inside.run(Cache::Keep, fast, programs).costs;
            assert_eq!(world.requests(), asked, "the cache answers these lookups");
            costs
        };
        let mut costs = run(DOCUMENTED, &beside);
        self.version.append(&mut costs[2]);
        self.cached.append(&mut costs[1]);
        self.nothing.append(&mut costs[0]);
        self.ten.append(&mut run(TEN, alone)[0]);
        self.thousands.append(&mut run(THOUSANDS, alone)[0]);
    }

    /// Prints its figures; `seed` is what the seed's command costs for the same two principals.
    pub(crate) fn report(&self, seed: Cost) {
        let all = [&self.nothing, &self.cached, &self.version, &self.ten, &self.thousands];
        let [nothing, cached, version, ten, thousands] = all.map(|runs| Cost::median(runs));
        let named = [("true", nothing), ("cached", cached), ("cached-10-keys", ten), ("cached-10000-keys", thousands)];
        for (who, cost) in named {
            figure(&format!("{who}-cpu"), ms(cost.cpu), "ms", Bar::None);
            figure(&format!("{who}-wall"), ms(cost.wall), "ms", Bar::None);
        }
        figure("cached-vs-true-wall", times(cached.wall, nothing.wall), "times", Bar::AtMost(2.0));
        figure("version-vs-true-wall", times(version.wall, nothing.wall), "times", Bar::AtMost(2.0));
        figure("cached-vs-true-cpu", times(cached.cpu, nothing.cpu), "times", Bar::None);
        figure("cached-vs-seed-cpu", times(seed.cpu, cached.cpu), "times", Bar::AtLeast(300.0));
        figure("cached-vs-seed-wall", times(seed.wall, cached.wall), "times", Bar::None);
        figure("cached-10000-keys-vs-10-wall", times(thousands.wall, ten.wall), "times", Bar::AtMost(1.2));
        figure("cached-10000-keys-vs-10-cpu", times(thousands.cpu, ten.cpu), "times", Bar::None);
    }
}
