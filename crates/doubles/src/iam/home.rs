//! The methods of [`Directory`] for the home account, on the double itself: most tests have one account.
//!
//! It must hold no behaviour of its own.

use std::time::Duration;

use super::directory::Directory;
use crate::double::Double;

macro_rules! home {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        /// The home account.
        impl Double {
            $(
                #[doc = concat!("[`Directory::", stringify!($name), "`] of the home account.")]
                pub fn $name(&self, $($argument: $kind),*) -> &Self {
                    self.iam(|directory: &mut Directory| {
                        directory.$name($($argument),*);
                    });
                    self
                }
            )*
        }
    };
}

home! {
    add_user(name: &str);
    remove_user(name: &str);
    rename_user(old: &str, new: &str);
    set_user_path(user: &str, path: &str);
    tag_user(user: &str, key: &str, value: &str);
    untag_user(user: &str, key: &str);
    add_group(name: &str);
    remove_group(name: &str);
    rename_group(old: &str, new: &str);
    set_group_path(group: &str, path: &str);
    add_member(group: &str, user: &str);
    remove_member(group: &str, user: &str);
    add_key(user: &str, id: &str, body: &str, status: &str);
    set_key_status(user: &str, id: &str, status: &str);
    set_key_date(user: &str, id: &str, date: Option<&str>);
    remove_key(user: &str, id: &str);
    put_user_policy(user: &str, name: &str, document: &str);
    delete_user_policy(user: &str, name: &str);
    attach_user_policy(user: &str, arn: &str);
    detach_user_policy(user: &str, arn: &str);
    put_group_policy(group: &str, name: &str, document: &str);
    delete_group_policy(group: &str, name: &str);
    attach_group_policy(group: &str, arn: &str);
    detach_group_policy(group: &str, arn: &str);
    set_boundary(user: &str, arn: Option<&str>);
    put_policy(name: &str, document: &str);
    set_policy_version(name: &str, version: &str);
    remove_policy(name: &str);
    populate(users: usize, keys_per_user: usize, groups: usize, groups_per_user: usize);
    page_cap(entries: usize);
    lag(lag: Duration);
    flapping(seed: Option<u64>);
    settle();
    lose_page(page: usize, times: usize);
    set_external_id(id: Option<&str>);
}
