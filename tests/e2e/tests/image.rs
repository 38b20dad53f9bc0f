//! Images: the package is installed where there is no network, no AWS and no systemd, and does nothing; the first boot says who may log in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::{BUCKET, BootedMachine, DROP_IN, Debian, KeyKind, Machine, Suite, World, source};

const SEED: &str = "/var/lib/cloud/seed/nocloud";

/// What a cloud would hand to an instance: its user data, from a folder in the image. The instance's network is there already.
fn give_user_data(debian: &Debian, user_data: &str) {
    let settings = "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n";
    debian.write("/etc/cloud/cloud.cfg.d/90-here.cfg", settings, 0o644);
    debian.write(&format!("{SEED}/meta-data"), "instance-id: i-first\nlocal-hostname: first\n", 0o644);
    debian.write(&format!("{SEED}/user-data"), user_data, 0o644);
}

#[test]
fn an_image_is_inert_until_its_first_boot_arms_it() {
    let world = World::new();
    let [john, local] = ["john@example.org", "local"].map(|name| world.key(name, KeyKind::Ed25519));
    let image = Machine::boot(&world, Suite::Cloud);
    image.authorize("ec2-user", local.line());
    // No route leads anywhere, and nobody listens at the metadata service's address.
    let told = image.install();
    assert!(!told.expect_ok().contains("does not use it"), "{told}");
    assert!(image.read(DROP_IN).is_some(), "{told}");
    assert_eq!(image.sh("ls -A /var/cache/iam-ssh"), "");
    let (answer, calls) = image.traced_lookup(&["ec2-user", john.kind(), john.base64()]);
    assert_eq!(answer.expect_ok(), "");
    assert!(!calls.iter().any(|call| call.contains("AF_INET")), "it opens no network socket: {calls:?}");
    image.start_sshd();
    image.login("ec2-user").key(&local).run("true").expect_ok();
    assert!(image.login("ec2-user").key(&john).run("true").refused());
    // Whoever logs in is recorded; the lookup has nothing to say.
    let mut ours = image.logs().into_iter().filter(|line| line.tag == "iam-ssh");
    assert!(ours.all(|line| line.message.starts_with("session ")), "{}", image.log_text());

    let user_data = std::fs::read_to_string(source().join("deploy/cloud-init.yaml")).unwrap();
    give_user_data(&image, &user_data);
    // Only where S3 is differs from an instance in EC2.
    let endpoint = format!("endpoint_url = \"{}\"\n", world.double().url());
    image.write("/etc/iam-ssh/config.d/90-endpoint.toml", endpoint, 0o644);
    world.double().set_bucket_owner(BUCKET, "123456789012");
    let document = published("john@example.org", &john);
    world.double().put_object(BUCKET, "groups/Administrators/authorized_keys", document);
    world.imds();
    let files = image.into_image();

    let instance = BootedMachine::boot_image(&world, &files);
    instance.wait_for_sshd();
    let status = instance.run("cloud-init status --long");
    assert!(status.stdout.contains("status: done"), "{status}{}", instance.journal());
    assert_eq!(instance.sh("stat -c '%U:%G %a' /etc/iam-ssh/config.d/10-fleet.toml"), "root:root 644\n");
    // cloud-init has made host keys of this instance's own.
    let login = instance.login("ec2-user").option("HostKeyAlias=instance");
    let session = login.clone().key(&john).run("echo $SSH_KEY_OWNER");
    assert_eq!(session.expect_ok(), "john@example.org\n");
    login.key(&local).run("true").expect_ok();
}
