//! A small account that is published, and what then happens in it: of every kind something.

use iam_ssh_doubles::{Directory, Double};

use super::judge::{Documents, repaired};
use super::{BUCKET, documents, double, key};

/// Six users and three groups; nine keys, one of them withdrawn already.
pub fn account(directory: &mut Directory) {
    let users = [("ann", "ops"), ("bob", "ops"), ("cid", "ops"), ("dan", "dev"), ("eve", "dev"), ("fay", "old")];
    for (number, (user, group)) in users.into_iter().enumerate() {
        directory.add_member(group, user).add_key(user, &format!("APKA{number}A"), &key(number), "Active");
    }
    directory.add_key("bob", "APKA1B", &key(11), "Active").add_key("fay", "APKA5B", &key(15), "Active");
    directory.add_key("eve", "APKA4B", &key(14), "Inactive");
    directory.page_cap(4);
}

/// A key comes, one is withdrawn, a user comes, one goes, one is renamed, a group is renamed, a member moves.
pub fn changes(directory: &mut Directory) {
    directory.add_key("ann", "APKA0B", &key(10), "Active").set_key_status("bob", "APKA1B", "Inactive");
    directory.add_member("ops", "gus").add_key("gus", "APKA6A", &key(6), "Active");
    directory.remove_user("cid").rename_user("dan", "dora").rename_group("old", "young");
    directory.remove_member("dev", "eve").add_member("ops", "eve");
}

/// The account published, to be had again without a run.
pub struct Published(Vec<(String, Vec<u8>)>);

impl Published {
    pub fn new() -> Self {
        let double = double();
        double.iam(account);
        repaired(&double, "the first run");
        Self(double.objects(BUCKET).into_iter().collect())
    }

    /// A new double in which the account is published, and its documents.
    pub fn again(&self) -> (Double, Documents) {
        let double = double();
        double.iam(account);
        for (path, body) in &self.0 {
            double.put_object(BUCKET, path, body.clone());
        }
        let before = documents(&double);
        (double, before)
    }

    /// The same after the changes.
    pub fn changed(&self) -> (Double, Documents) {
        let (double, before) = self.again();
        double.iam(changes);
        (double, before)
    }
}
