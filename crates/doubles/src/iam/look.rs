//! What a test reads of the account, to judge by itself what a program made of it.
//!
//! It shows the present state, whatever lag there is: what people did, not what IAM tells of it.

use super::account::fold;
use super::directory::Directory;

impl Directory {
    /// The names of all groups, in the order in which IAM lists them here.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        self.present().groups.values().map(|group| group.name.clone()).collect()
    }

    /// The names of a group's members, in the order of their names in lower case.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<String> {
        let account = self.present();
        let members = account.groups.get(&fold(group)).into_iter().flat_map(|group| &group.members);
        members.filter_map(|member| account.users.get(member)).map(|user| user.name.clone()).collect()
    }

    /// A user's keys in the order of upload: id, body, status.
    #[must_use]
    pub fn keys(&self, user: &str) -> Vec<(String, String, String)> {
        let keys = self.present().users.get(&fold(user)).into_iter().flat_map(|user| &user.keys);
        keys.map(|key| (key.id.clone(), key.body.clone(), key.status.clone())).collect()
    }
}
