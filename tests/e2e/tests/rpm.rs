//! The .rpm's life, from dnf and a signed repository, in a system whose rpm really runs its scriptlets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;

use iam_ssh_e2e::lifecycle::{Files, UNDER_WAY, sshd_settings};
use iam_ssh_e2e::neighbours::EIC_AMAZON_LINUX;
use iam_ssh_e2e::repository::{Repository, dnf, rpm_of, rpm_with};
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, DROP_IN, Debian, Key, KeyKind, Machine, Suite, World, rpm};

const CONFIG: &str = "/etc/iam-ssh/config.toml";
const OLDER: &str = "0.0.9";

/// /etc without what useradd and userdel leave there on any system: copies of the lists of users as they were before.
fn etc(debian: &Debian) -> Files {
    let backups = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"];
    Files::read(debian, "/etc").without(|path| backups.contains(&path))
}

/// John's document is published, the metadata service is there.
fn company(world: &World) -> Key {
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(world, "john@example.org", &john);
    world.imds();
    john
}

fn configure(world: &World, debian: &Debian) {
    debian.configure(&configuration(&world.double().url(), r#"principals = ["users/john@example.org"]"#));
}

/// The drop-in as a file: another one would have another number or time, also with the same content.
fn drop_in(debian: &Debian) -> String {
    debian.sh(&format!("stat -c '%i %y %a' {DROP_IN} && cat {DROP_IN}"))
}

#[test]
fn installs_upgrades_downgrades_and_goes_without_a_trace() {
    let world = World::new();
    let john = company(&world);
    let repository = Repository::create(&world, &[&rpm_of(&world, OLDER, |_| ())]);
    let machine = Machine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    machine.start_sshd();
    let (files, settings) = (etc(&machine), sshd_settings(&machine));
    let logs_in = || machine.login("ec2-user").key(&john).run("true").expect_ok().to_owned();

    let installed = dnf(&machine, "install iam-ssh");
    assert!(installed.expect_ok().contains(OLDER), "{installed}");
    configure(&world, &machine);
    machine.reload_sshd();
    logs_in();
    let wired = drop_in(&machine);
    assert_eq!(machine.sh("stat -c '%U:%G %a' /var/cache/iam-ssh"), "iam-ssh:iam-ssh 700\n");
    assert_eq!(machine.sh("id -nG iam-ssh"), "iam-ssh\n");

    repository.make("rig", &[&rpm()]).expect_ok();
    repository.offer(&machine);
    let upgraded = dnf(&machine, "upgrade iam-ssh");
    assert!(upgraded.expect_ok().contains("Upgraded") || upgraded.said().contains("Upgrading"), "{upgraded}");
    assert!(!machine.sh("rpm -q iam-ssh").contains(OLDER), "{upgraded}");
    logs_in();
    assert_eq!(drop_in(&machine), wired, "an upgrade leaves the wiring alone");

    dnf(&machine, "downgrade iam-ssh").expect_ok();
    assert!(machine.sh("rpm -q iam-ssh").contains(OLDER));
    logs_in();
    dnf(&machine, "reinstall iam-ssh").expect_ok();
    logs_in();
    assert_eq!(drop_in(&machine), wired, "neither do a downgrade and a new installation");
    let verified = machine.run("rpm -V iam-ssh").stdout;
    assert!(
        verified.lines().all(|line| line.ends_with(CONFIG)),
        "all as it was packaged, but what was edited: {verified}"
    );

    dnf(&machine, "remove iam-ssh").expect_ok();
    machine.reload_sshd();
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
    assert!(
        machine.read(&format!("{CONFIG}.rpmsave")).unwrap().contains("john@example.org"),
        "what was edited is kept"
    );
    machine.run("rm -r /etc/iam-ssh").expect_ok();
    assert_eq!(etc(&machine).since(&files), [""; 0]);
    assert_eq!(sshd_settings(&machine), settings);
    assert_eq!(
        machine.sh("find / -xdev -path /srv -prune -o -name '*iam-ssh*' -print | grep -v -e /root/ -e /var/cache/dnf \
        -e /usr/share/keyrings -e sources.list.d -e yum.repos.d -e /var/lib/dnf -e /var/log || true"),
        ""
    );
}

#[test]
fn an_edited_configuration_is_kept_and_a_changed_default_offered() {
    let world = World::new();
    let repository =
        Repository::create(&world, &[&rpm_of(&world, OLDER, |tree| default(tree, "# Another default.\n"))]);
    let machine = Machine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    dnf(&machine, "install iam-ssh").expect_ok();
    assert_eq!(machine.read(CONFIG).as_deref(), Some("# Another default.\n"));
    machine.configure("# Edited.\n");
    repository.make("rig", &[&rpm()]).expect_ok();
    repository.offer(&machine);
    dnf(&machine, "upgrade iam-ssh").expect_ok();
    assert_eq!(machine.read(CONFIG).as_deref(), Some("# Edited.\n"));
    assert!(machine.read(&format!("{CONFIG}.rpmnew")).unwrap().contains("principals"), "the new default");
    dnf(&machine, "remove iam-ssh").expect_ok();
    assert_eq!(machine.read(&format!("{CONFIG}.rpmsave")).as_deref(), Some("# Edited.\n"));
}

fn default(tree: &Path, text: &str) {
    std::fs::write(tree.join("etc/iam-ssh/config.toml"), text).unwrap();
}

#[test]
fn what_is_not_signed_is_refused() {
    let world = World::new();
    let repository = Repository::create(&world, &[&rpm()]);
    let machine = Machine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    // Metadata that somebody changed.
    machine.run("sed -i 's/<revision>/<revision>1/' /srv/repository/dnf/repodata/repomd.xml").expect_ok();
    let refused = dnf(&machine, "install iam-ssh");
    assert!(!refused.ok() && refused.said().contains("repomd.xml GPG signature verification error"), "{refused}");
    // A package without a signature, whatever the metadata are worth.
    repository.strip_signatures();
    repository.offer(&machine);
    machine.run("sed -i /^repo_gpgcheck/s/1/0/ /etc/yum.repos.d/iam-ssh.repo").expect_ok();
    let refused = dnf(&machine, "install iam-ssh");
    assert!(!refused.ok() && refused.said().contains("GPG check FAILED"), "{refused}");
    assert!(!machine.run("rpm -q iam-ssh").ok());
    // What was wrong was the signature.
    machine.run("sed -i /^gpgcheck/s/1/0/ /etc/yum.repos.d/iam-ssh.repo").expect_ok();
    dnf(&machine, "install iam-ssh").expect_ok();
}

#[test]
fn where_iam_ssh_cannot_be_run_it_can_be_removed() {
    let world = World::new();
    let repository = Repository::create(&world, &[&rpm()]);
    let machine = Machine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    let before = sshd_settings(&machine);
    dnf(&machine, "install iam-ssh").expect_ok();
    machine.run("rm /usr/bin/iam-ssh").expect_ok();
    dnf(&machine, "remove iam-ssh").expect_ok();
    assert_eq!(machine.read(DROP_IN), None);
    assert_eq!(machine.read("/etc/ssh/sshrc"), None);
    assert_eq!(sshd_settings(&machine), before);
}

#[test]
fn where_iam_ssh_cannot_be_run_its_block_goes_and_nothing_else() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Rpm);
    machine.run("sed -i /^Include/d /etc/ssh/sshd_config && printf UseDNS\\ no >>/etc/ssh/sshd_config").expect_ok();
    let before = Files::read(&machine, "/etc/ssh");
    std::fs::copy(rpm(), machine.path("/root/iam-ssh.rpm")).unwrap();
    let breaks = "rpm -i /root/iam-ssh.rpm && rm /usr/bin/iam-ssh && grep -q '^# Begin of what' /etc/ssh/sshd_config";
    machine.run(breaks).expect_ok();
    // A link, meanwhile.
    machine.run("mv /etc/ssh/sshd_config /etc/main && ln -s /etc/main /etc/ssh/sshd_config").expect_ok();
    machine.run("rpm -e iam-ssh && test -L /etc/ssh/sshd_config").expect_ok();
    machine.run("mv /etc/main /etc/ssh/sshd_config").expect_ok();
    assert_eq!(Files::read(&machine, "/etc/ssh").since(&before), [""; 0]);
    // Half a block.
    machine.run(&format!("{breaks} && sed -i '/^# End of what/d' /etc/ssh/sshd_config")).expect_ok();
    let half = machine.sh("echo Banner none >>/etc/ssh/sshd_config && cat /etc/ssh/sshd_config");
    let told = machine.run("rpm -e iam-ssh 2>&1");
    assert!(told.expect_ok().contains("has no end"), "{told}");
    assert_eq!(machine.read("/etc/ssh/sshd_config"), Some(half));
}

/// Scriptlets of an earlier version run last in an upgrade.
#[test]
fn an_upgrade_from_a_version_that_unwires_ends_wired() {
    let world = World::new();
    let unwires = |spec: String| {
        let guarded = "%preun\n[ \"$1\" = 0 ] || exit 0\n";
        assert!(spec.contains(guarded), "{spec}");
        spec.replace(guarded, "%preun\n").replace("%postun\n", "%postun\niam-ssh unwire\n")
    };
    let older = rpm_with(&world, OLDER, |_| (), unwires);
    let machine = Machine::boot(&world, Suite::Rpm);
    std::fs::copy(older, machine.path("/root/older.rpm")).unwrap();
    std::fs::copy(rpm(), machine.path("/root/iam-ssh.rpm")).unwrap();
    machine.run("rpm -i /root/older.rpm && rpm -U /root/iam-ssh.rpm").expect_ok();
    assert!(!machine.sh("rpm -q iam-ssh").contains(OLDER));
    assert!(machine.read(DROP_IN).is_some());
    assert!(machine.sh("sshd -T").contains("authorizedkeyscommand /usr/libexec/iam-ssh/authorized-keys"));
}

#[test]
fn a_lookup_that_is_under_way_ends_before_its_user_goes() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Rpm);
    std::fs::copy(rpm(), machine.path("/root/iam-ssh.rpm")).unwrap();
    machine.run("rpm -i /root/iam-ssh.rpm").expect_ok();
    machine.run(UNDER_WAY).expect_ok();
    machine.run("rpm -e iam-ssh 2>&1").expect_ok();
    assert_eq!(machine.run("getent passwd iam-ssh; getent group iam-ssh").stdout, "");
}

#[test]
fn with_systemd_an_enabled_timer_and_sshd_survive_an_upgrade() {
    let world = World::new();
    let john = company(&world);
    let repository = Repository::create(&world, &[&rpm_of(&world, OLDER, |_| ())]);
    let machine = BootedMachine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    let sshd = || machine.sh("systemctl show -p MainPID -p NRestarts ssh");
    let before = sshd();
    dnf(&machine, "install iam-ssh").expect_ok();
    machine.run("systemctl daemon-reload").expect_ok();
    let timer = "systemctl is-enabled iam-ssh-refresh.timer; systemctl is-active iam-ssh-refresh.timer";
    assert_eq!(machine.run(timer).stdout, "disabled\ninactive\n", "off by default");
    configure(&world, &machine);
    machine.run("systemctl enable -q --now iam-ssh-refresh.timer").expect_ok();
    machine.wait_for_sshd();
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    let reloads = "journalctl --sync; journalctl -u ssh --no-pager | grep -c 'Received SIGHUP' || true";
    let (wired, reloaded) = (drop_in(&machine), machine.sh(reloads));

    repository.make("rig", &[&rpm()]).expect_ok();
    repository.offer(&machine);
    dnf(&machine, "upgrade iam-ssh").expect_ok();
    assert!(!machine.sh("rpm -q iam-ssh").contains(OLDER));
    assert_eq!(machine.sh(timer), "enabled\nactive\n", "after the upgrade");
    assert_eq!((drop_in(&machine), machine.sh(reloads)), (wired, reloaded), "nothing changed, so nothing was reloaded");
    machine.login("ec2-user").key(&john).run("true").expect_ok();

    dnf(&machine, "remove iam-ssh").expect_ok();
    machine.wait_for_sshd();
    assert_eq!(sshd(), before, "reloaded, never restarted");
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
    assert_eq!(machine.sh("find /etc/systemd -name '*iam-ssh*'"), "");
}

#[test]
fn a_neighbour_that_comes_later_leads_to_wiring_again() {
    let world = World::new();
    let repository = Repository::create(&world, &[&rpm()]);
    let machine = Machine::boot(&world, Suite::Rpm);
    repository.offer(&machine);
    dnf(&machine, "install iam-ssh").expect_ok();
    let spec = "Name: neighbour\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n\
        %install\nmkdir -p %{buildroot}/etc/ssh/sshd_config.d\nprintf '%%s\n' 'AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys' 'AuthorizedKeysCommandUser nobody' \
        >%{buildroot}/etc/ssh/sshd_config.d/60-x.conf\n%files\n/etc/ssh/sshd_config.d/60-x.conf\n";
    machine.write("/root/neighbour.spec", spec, 0o644);
    machine.run("rpmbuild -bb --define '_topdir /root/made' /root/neighbour.spec 2>&1").expect_ok();
    let comes = "rpm -i /root/made/RPMS/noarch/neighbour-1-1.noarch.rpm";
    machine.run(comes).expect_ok();
    let record = || machine.read("/etc/iam-ssh/wired.toml").unwrap_or_default();
    assert!(record().contains("sss_ssh_authorizedkeys"), "found when it came");
    machine.run("rpm -e neighbour").expect_ok();
    assert_eq!(record(), "", "and when it went");
    machine.run(&format!("iam-ssh unwire && {comes}")).expect_ok();
    assert_eq!(machine.read(DROP_IN), None, "whoever unwired it by hand is not overruled");
}

/// As EC2 Instance Connect's package does it: its wiring is no file of the package.
#[test]
fn a_neighbour_whose_script_writes_its_wiring_is_found_as_well() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Rpm);
    std::fs::copy(rpm(), machine.path("/root/iam-ssh.rpm")).unwrap();
    machine.run("rpm -i /root/iam-ssh.rpm").expect_ok();
    let program = EIC_AMAZON_LINUX.program;
    let spec = format!(
        "Name: ec2-instance-connect\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n%description\nx\n\
         %install\nmkdir -p %{{buildroot}}/opt/aws/bin\necho >%{{buildroot}}{program}\n%files\n{program}\n\
         %post\nuseradd --system {account}\nprintf '%%s\\n' 'AuthorizedKeysCommand {program} %%u %%f' 'AuthorizedKeysCommandUser {account}' \
         >/etc/ssh/sshd_config.d/60-eic.conf\n%preun\nrm /etc/ssh/sshd_config.d/60-eic.conf\n",
        account = EIC_AMAZON_LINUX.account,
    );
    machine.write("/root/neighbour.spec", spec, 0o644);
    machine.run("rpmbuild -bb --define '_topdir /root/made' /root/neighbour.spec 2>&1").expect_ok();
    machine.run("rpm -i /root/made/RPMS/noarch/ec2-instance-connect-1-1.noarch.rpm").expect_ok();
    let record = || machine.read("/etc/iam-ssh/wired.toml").unwrap_or_default();
    assert!(record().contains(program), "found when it came");
    machine.run("rpm -e ec2-instance-connect").expect_ok();
    assert_eq!(record(), "", "and when it went");
}
