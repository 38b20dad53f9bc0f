//! Runs programs inside a machine as sshd runs the lookup, and measures nothing but them: no chroot command, no shell, no setpriv.
//!
//! The benchmark starts itself once more for that. The second process moves into the machine's root, becomes the system user, and
//! then starts the programs one by one. It is small, and that is needed: the memory of a process counts from its fork on.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use iam_ssh_e2e::Machine;
use iam_ssh_e2e::measure::{Cost, peak_of_children};
use nix::unistd::{Gid, Uid};

/// The hidden argument.
const ARGUMENT: &str = "--inside";
const CACHE: &str = "var/cache/iam-ssh";
const LOOKUP: &str = "/usr/libexec/iam-ssh/authorized-keys";
/// Between two programs.
const NEXT: &str = ";";

/// What becomes of the cache's files.
#[derive(Clone, Copy)]
pub(crate) enum Cache {
    /// Removed before each run, outside the measured time.
    Empty,
    /// Left as they are.
    Keep,
}

/// Words of a command, the program's path first. The last word of a lookup, the key, must be in its answer.
pub(crate) type Words = Vec<String>;

/// The lookup of one offered key for `ec2-user`, as sshd calls it.
pub(crate) fn lookup_of(key: &iam_ssh_e2e::Key) -> Words {
    [LOOKUP, "ec2-user", key.kind(), key.base64()].map(str::to_owned).into()
}

/// What a batch of runs came to.
pub(crate) struct Batch {
    /// For each program its runs.
    pub(crate) costs: Vec<Vec<Cost>>,
    /// MiB of the largest process among them.
    pub(crate) peak: f64,
}

/// The way into a machine with the package.
pub(crate) struct Inside {
    root: PathBuf,
    user: String,
    group: String,
}

impl Inside {
    pub(crate) fn new(machine: &Machine) -> Self {
        let id = |flag: &str| machine.sh(&format!("id {flag} iam-ssh")).trim().to_owned();
        Self { root: machine.root().to_owned(), user: id("-u"), group: id("-g") }
    }

    /// Runs each of the programs once a round.
    pub(crate) fn run(&self, cache: Cache, rounds: usize, programs: &[Words]) -> Batch {
        let mode = match cache {
            Cache::Empty => "empty",
            Cache::Keep => "keep",
        };
        let said = self.start(mode, rounds, &programs.join(&NEXT.to_owned()));
        let mut batch = Batch { costs: vec![Vec::new(); programs.len()], peak: 0.0 };
        for line in said.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["run", program, cpu, wall] => {
                    let time = |text: &str| Duration::from_nanos(text.parse().unwrap());
                    batch.costs[program.parse::<usize>().unwrap()].push(Cost { cpu: time(cpu), wall: time(wall) });
                }
                ["peak", mib] => batch.peak = mib.parse().unwrap(),
                _ => panic!("{line:?}"),
            }
        }
        batch
    }

    /// Empties the cache, then runs one lookup that fills it.
    pub(crate) fn warm(&self, lookup: &Words) {
        self.run(Cache::Empty, 1, std::slice::from_ref(lookup));
    }

    /// Empties the cache.
    pub(crate) fn empty_the_cache(&self) {
        empty_directory(&self.root.join(CACHE));
    }

    /// Lets `count` lookups loose at once on an empty cache. How many of them answered.
    pub(crate) fn at_once(&self, count: usize, lookup: &Words) -> usize {
        self.start("at-once", count, lookup).trim().parse().unwrap()
    }

    fn start(&self, mode: &str, count: usize, words: &[String]) -> String {
        let mut child = Command::new("/proc/self/exe");
        child.arg(ARGUMENT).arg(&self.root).args([&self.user, &self.group, mode, &count.to_string()]).args(words);
        let output = child.stderr(Stdio::inherit()).output().expect("this program once more");
        assert!(output.status.success(), "{mode} {words:?}: {}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What the second process does; `false` when this is the first one.
pub(crate) fn is_inside() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [argument, root, user, group, mode, count, words @ ..] = &arguments[..] else { return false };
    assert_eq!(argument, ARGUMENT);
    nix::unistd::chroot(root.as_str()).expect("the machine's root");
    std::env::set_current_dir("/").unwrap();
    let group = Gid::from_raw(group.parse().unwrap());
    nix::unistd::setgroups(&[group]).unwrap();
    nix::unistd::setgid(group).unwrap();
    nix::unistd::setuid(Uid::from_raw(user.parse().unwrap())).unwrap();
    // What a lookup leaves behind, to write down what it learnt, becomes a child of this process.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let count = count.parse().unwrap();
    match mode.as_str() {
        "at-once" => println!("{}", herd(count, words)),
        _ => in_turn(mode == "empty", count, words),
    }
    true
}

fn in_turn(empty: bool, rounds: usize, words: &[String]) {
    for _ in 0..rounds {
        for (index, words) in words.split(|word| word == NEXT).enumerate() {
            if empty {
                empty_directory(Path::new(CACHE));
            }
            // /bin/true has no arguments and says nothing; what an option brings is not looked at.
            let wanted = words[1..].last().filter(|word| !word.starts_with('-')).map_or("", String::as_str);
            let cost = Cost::of_all(&mut as_sshd_does(words), wanted);
            println!("run {index} {} {}", cost.cpu.as_nanos(), cost.wall.as_nanos());
        }
    }
    println!("peak {}", peak_of_children());
}

/// The environment that sshd gives to its AuthorizedKeysCommand.
fn as_sshd_does(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs([("USER", "iam-ssh"), ("LOGNAME", "iam-ssh"), ("HOME", "/nonexistent")]);
    command
}

/// Shells that wait at one pipe, each for one byte, and then become lookups: they start as near to each other as can be had.
fn herd(count: usize, words: &[String]) -> usize {
    empty_directory(Path::new(CACHE));
    let (gate, mut opener) = std::io::pipe().unwrap();
    let waiting = ["/bin/sh", "-c", "read -r go && exec \"$0\" \"$@\""].map(str::to_owned);
    let mut command = as_sshd_does(&[&waiting, words].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let children: Vec<Child> =
        (0..count).map(|_| command.stdin(gate.try_clone().unwrap()).spawn().expect("a shell")).collect();
    opener.write_all("\n".repeat(count).as_bytes()).unwrap();
    let key = words.last().unwrap();
    let answered = children
        .into_iter()
        .filter_map(|mut child| {
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            (child.wait().unwrap().success() && said.contains(key)).then_some(())
        })
        .count();
    while nix::sys::wait::wait().is_ok() {}
    answered
}

fn empty_directory(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("the cache's directory") {
        let path = entry.unwrap().path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        assert!(removed.is_ok() || !path.exists(), "{}: {removed:?}", path.display());
    }
}
