//! The .deb and the .rpm as files: what a distribution's own checks say of them, that they hold the same, and where they can run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use iam_ssh_e2e::neighbours::EIC_UBUNTU;
use iam_ssh_e2e::repository::rpm_of;
use iam_ssh_e2e::{Machine, Suite, World, command, deb, rpm, run, source};

const MEGABYTE: u64 = 1_000_000;

/// What a shell command prints, with the packages as `$deb` and `$rpm`.
fn sh(script: &str) -> String {
    let mut shell = command("/bin/bash");
    shell.args(["-o", "pipefail", "-euc", script]).env("HOME", "/nonexistent");
    shell.env("deb", deb()).env("rpm", rpm().canonicalize().unwrap()).env("source", source());
    run(&mut shell, b"").expect_ok().to_owned()
}

#[test]
fn lintian_finds_nothing() {
    assert_eq!(sh("lintian --allow-root --fail-on none \"$deb\" 2>&1"), "");
}

/// Each version says something else, so each needs only some of the filters.
#[test]
fn rpmlint_finds_nothing() {
    let said = sh("rpmlint -r \"$source/rpm/iam-ssh.rpmlintrc\" \"$rpm\" 2>&1 || true");
    assert!(said.contains("1 packages and 0 specfiles checked"), "{said}");
    let finding = |line: &&str| [": E: ", ": W: "].iter().any(|mark| line.contains(mark));
    let found: Vec<&str> =
        said.lines().filter(finding).filter(|line| !line.contains(": unused-rpmlintrc-filter ")).collect();
    assert_eq!(found, [""; 0], "{said}");
}

/// Files with what is said of each; of the directories only those of the package's own.
fn files(list: &str) -> BTreeMap<String, String> {
    let pairs = list.lines().map(|line| line.split_once('\t').unwrap());
    let own = |path: &str, is: &str| !is.starts_with("40") || path.contains("/iam-ssh");
    pairs.filter(|(path, is)| own(path, is)).map(|(path, is)| (path.to_owned(), is.to_owned())).collect()
}

/// Type and mode in octal, owner, content's checksum.
fn of_the_deb(world: &World) -> BTreeMap<String, String> {
    let tree = world.scratch().join("tree");
    let list = format!(
        "dpkg-deb -x \"$deb\" {0} && cd {0} && find . -mindepth 1 -printf '/%P\\t%y %m %u:%g\\n' | while IFS=$'\\t' read -r path is; do \
         case $is in d*) echo \"$path\t40${{is#d }}\";; f*) echo \"$path\t100${{is#f }} $(sha256sum <.\"$path\" | cut -d' ' -f1)\";; \
         *) echo \"$path\t$is\";; esac; done",
        tree.display()
    );
    files(&sh(&list).replace("\t40 ", "\t40").replace("\t100 ", "\t100"))
}

fn of_the_rpm() -> BTreeMap<String, String> {
    let list = sh("rpm -qp --nosignature --queryformat \
        '[%{FILENAMES}\\t%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEDIGESTS}\\n]' \"$rpm\"");
    let modes = list.replace("\t040", "\t40").replace("\t0100", "\t100");
    files(&modes.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>())
}

#[test]
fn both_packages_hold_the_same_at_the_same_paths() {
    let world = World::new();
    let (mut from_deb, mut from_rpm) = (of_the_deb(&world), of_the_rpm());
    assert!(from_deb.len() > 15, "{from_deb:#?}");
    for page in ["man1/iam-ssh.1.gz", "man5/iam-ssh.toml.5.gz", "man8/iam-ssh.8.gz"] {
        assert!(from_deb.contains_key(&format!("/usr/share/man/{page}")), "{page}");
    }
    let completion = "/usr/share/zsh/site-functions/_iam-ssh";
    // Where zsh looks differs.
    let moved = from_rpm.remove(completion).expect(completion);
    assert_eq!(from_deb.remove("/usr/share/zsh/vendor-completions/_iam-ssh"), Some(moved));
    // Debian's rules: licence and changelog are files of that name; what its lintian shall not say; and its way to change PAM's
    // configuration.
    for path in [
        "/usr/share/pam-configs/iam-ssh",
        "/usr/share/pam-configs/iam-ssh-required",
        "/usr/share/doc/iam-ssh/copyright",
        "/usr/share/doc/iam-ssh/changelog.Debian.gz",
        "/usr/share/lintian/overrides/iam-ssh",
    ] {
        from_deb.remove(path).expect(path);
    }
    // RPM's: its licence files; and it knows of the directory that the script makes.
    for path in ["", "/LICENSE-APACHE", "/LICENSE-MIT"] {
        from_rpm.remove(&format!("/usr/share/licenses/iam-ssh{path}")).expect(path);
    }
    assert_eq!(from_rpm.remove("/var/cache/iam-ssh").as_deref(), Some("40700 iam-ssh:iam-ssh"));
    // The group is made by a script, so for dpkg another script gives it the file.
    let hook = from_deb.get_mut("/usr/libexec/iam-ssh/session-audit").expect("the hook");
    *hook = hook.replace("100755 root:root", "102750 root:iam-ssh");
    assert_eq!(from_deb, from_rpm);
    assert_eq!(
        sh("rpm -qpc --nosignature \"$rpm\""),
        sh("dpkg-deb --ctrl-tarfile \"$deb\" | tar -xO ./conffiles"),
        "what is configuration"
    );
}

#[test]
fn both_packages_have_the_same_version_and_history() {
    let version = sh("dpkg-deb -f \"$deb\" Version");
    assert_eq!(sh("rpm -qp --nosignature --queryformat '%{VERSION}-%{RELEASE}\n' \"$rpm\""), version);
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    let newest = "dpkg-deb --fsys-tarfile \"$deb\" | tar -xO ./usr/share/doc/iam-ssh/changelog.Debian.gz | gzip -dc | sed -n 's/^  \\* //p'";
    let (of_deb, of_rpm) = (sh(newest), sh("rpm -qp --nosignature --changelog \"$rpm\""));
    assert!(!of_deb.is_empty());
    for change in of_deb.lines() {
        assert!(of_rpm.contains(change), "{change:?} is not in {of_rpm}");
    }
}

#[test]
fn they_are_small() {
    for package in [deb(), rpm()] {
        let size = package.metadata().unwrap().len();
        assert!(size <= 7 * MEGABYTE, "{}: {size} bytes to download", package.display());
    }
    let kibibytes: u64 = sh("dpkg-deb -f \"$deb\" Installed-Size").trim().parse().unwrap();
    assert!(kibibytes * 1024 <= 20 * MEGABYTE, "{kibibytes} KiB installed");
    let bytes: u64 = sh("rpm -qp --nosignature --queryformat '%{SIZE}' \"$rpm\"").parse().unwrap();
    assert!(bytes <= 20 * MEGABYTE, "{bytes} bytes installed");
}

/// The oldest glibc that is supported is 2.28; this is the oldest one that there is a system of.
#[test]
fn they_run_with_an_old_glibc() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bullseye);
    machine.install().expect_ok();
    let programs = machine.sh("find /usr/libexec/iam-ssh /usr/bin/iam-ssh -type f -perm /1");
    assert!(programs.lines().count() >= 5, "{programs}");
    for program in programs.lines() {
        let path = machine.path(program);
        let symbols = run(command("objdump").arg("-T").arg(&path), b"").stdout;
        let versions = symbols.split(['(', ')', ' ', '\t']).filter_map(|word| word.strip_prefix("GLIBC_2."));
        let newest = versions.map(|rest| rest.split('.').next().unwrap().parse::<u32>().unwrap()).max();
        let is_static = ["/authorized-keys", "/session-audit"].iter().any(|name| program.ends_with(name));
        assert_eq!(newest.is_none(), is_static, "{program}: {newest:?}");
        assert!(newest.unwrap_or_default() <= 28, "{program} needs GLIBC_2.{newest:?}");
        let linked = machine.run(&format!("ldd -r {program} 2>&1")).stdout;
        assert!(!linked.contains("not found") && !linked.contains("undefined"), "{program}: {linked}");
    }
    assert!(machine.sh("iam-ssh --version").starts_with("iam-ssh "));
}

#[test]
fn made_again_the_rpm_is_the_same_to_the_byte() {
    let world = World::new();
    let make = || std::fs::read(rpm_of(&world, "1.2.3", |_| ())).unwrap();
    assert!(make() == make());
    // Nothing in the .deb is younger than its changelog, whenever it was made.
    let dates = sh("dpkg-deb --fsys-tarfile \"$deb\" | tar -tv --full-time | awk '{ print $4 }' | sort -u");
    assert_eq!(dates.lines().count(), 1, "{dates}");
}

const RECORD: &str = "/etc/iam-ssh/wired.toml";
const CONTROL: &str =
    "Package: neighbour\nVersion: 1\nArchitecture: all\nMaintainer: rig <rig@example.org>\nDescription: x\n";

/// dpkg tells the package (debian/triggers).
#[test]
fn a_neighbour_that_comes_or_goes_leads_to_wiring_again() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.write("/root/neighbour/DEBIAN/control", CONTROL, 0o644);
    let command = "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys\nAuthorizedKeysCommandUser nobody\n";
    machine.write("/root/neighbour/etc/ssh/sshd_config.d/04-ipa.conf", command, 0o644);
    machine.run("dpkg-deb -b /root/neighbour && dpkg -i /root/neighbour.deb").expect_ok();
    assert!(machine.read(RECORD).unwrap().contains("sss_ssh_authorizedkeys"), "found when it came");
    assert_eq!(machine.sh("dpkg-query -W -f '${db:Status-Status}' iam-ssh"), "installed", "and no trigger is left");
    machine.run("dpkg --purge neighbour").expect_ok();
    assert_eq!(machine.read(RECORD), None, "and when it went");
    // Whoever unwired it by hand is not overruled.
    machine.run("iam-ssh unwire && dpkg -i /root/neighbour.deb").expect_ok();
    assert_eq!(machine.sh("ls /etc/ssh/sshd_config.d"), "04-ipa.conf\n");
}

/// As EC2 Instance Connect's package does it in Ubuntu: its wiring is no file of the package.
#[test]
fn a_neighbour_whose_script_writes_its_wiring_is_found_as_well() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    let program = format!("/root/neighbour{}", EIC_UBUNTU.program);
    machine.write(&program, "#!/bin/sh\n", 0o755);
    machine.write("/root/neighbour/DEBIAN/control", CONTROL, 0o644);
    // What its script writes, made as elsewhere and taken away again.
    EIC_UBUNTU.is_wired(&machine);
    let unit = EIC_UBUNTU.file().unwrap();
    let text = machine.read(&unit).unwrap();
    let folder = unit.rsplit_once('/').unwrap().0;
    machine.run(&format!("rm -r {folder} && useradd --system {}", EIC_UBUNTU.account)).expect_ok();
    let comes = format!("#!/bin/sh\nmkdir -p {folder}\ncat >{unit} <<'END'\n{text}END\n");
    machine.write("/root/neighbour/DEBIAN/postinst", comes, 0o755);
    machine.write("/root/neighbour/DEBIAN/prerm", format!("#!/bin/sh\nrm -r {folder}\n"), 0o755);
    machine.run("dpkg-deb -b /root/neighbour && dpkg -i /root/neighbour.deb").expect_ok();
    assert!(machine.read(RECORD).unwrap_or_default().contains(EIC_UBUNTU.program), "found when it came");
    machine.run("dpkg --remove neighbour").expect_ok();
    assert_eq!(machine.read(RECORD), None, "and when it went");
}
