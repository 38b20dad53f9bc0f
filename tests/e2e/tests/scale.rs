//! The sync of a large company, through true pages: our double has them, moto does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::{BUCKET, World};

const USERS: usize = 1001;
const GROUPS: usize = 300;

#[test]
fn a_thousand_and_one_users_and_three_hundred_groups() {
    let world = World::new();
    let double = world.double();
    double.page_cap(100);
    for group in 0..GROUPS {
        double.add_group(&format!("group-{group}"));
    }
    for user in 0..USERS {
        let name = format!("user-{user}");
        // A key of one's own: any 32 bytes are an Ed25519 key to every parser, OpenSSH's included.
        let key = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{user:0>42}");
        double
            .add_key(&name, &format!("APKA{user:016}"), &key, "Active")
            .add_member(&format!("group-{}", user % GROUPS), &name);
    }
    double.put_object(BUCKET, "users/gone@example.org/authorized_keys", "what a user left behind\n");
    double.put_object(BUCKET, "other/authorized_keys", "somebody else's\n");
    world.sync_at(&double.url(), &[]).expect_ok();

    let objects = double.objects(BUCKET);
    let count = |prefix: &str| objects.keys().filter(|key| key.starts_with(prefix)).count();
    assert_eq!((count("users/"), count("groups/")), (USERS, GROUPS));
    assert!(!objects.contains_key("users/gone@example.org/authorized_keys"), "a vanished principal's document goes");
    assert!(objects.contains_key("other/authorized_keys"), "what is not ours stays");
    let members = String::from_utf8(objects["groups/group-0/authorized_keys"].clone()).unwrap();
    assert_eq!(members.lines().count(), 4, "users 0, 300, 600 and 900: {members}");

    double.clear_requests();
    world.sync_at(&double.url(), &[]).expect_ok();
    let written = double
        .requests()
        .iter()
        .filter(|request| request.is_write() && request.resource.contains("authorized_keys"))
        .count();
    assert_eq!(written, 0, "a second run writes no document");
}
