//! The directory as IAM's API tells it.
//!
//! It must follow every list to its end, and take a truncated list that cannot be continued, or an answer that did not arrive whole, for
//! an error. One call gives users, groups, tags, memberships and policies (GetAccountAuthorizationDetails: six pages for 5,000 users); keys
//! need one call per user and one per key.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_iam::Client;
use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput;
use aws_sdk_iam::operation::list_ssh_public_keys::ListSshPublicKeysOutput;
use aws_sdk_iam::types::{EncodingType, EntityType};

use super::{ACTIVE, Calls, Directory, DirectoryError, Found, Key, ListedKey};
use crate::account::{Account, number_of};
use crate::pace::Pacer;
use crate::whole;
use call::{Call, Caller, unless_gone};

mod call;
mod details;
mod one;

/// The largest page that IAM gives; it may give less at any time.
const PAGE: i32 = 1000;
/// IAM's error for a key that it cannot give in the encoding asked for (400; API reference, GetSSHPublicKey).
const NO_LINE: &str = "UnrecognizedPublicKeyEncoding";

/// IAM, by its API.
#[derive(Debug, Clone)]
pub struct IamDirectory {
    client: Client,
    caller: Caller,
}

impl IamDirectory {
    /// Reads through this client, which must not try anything again by itself: here each call waits for its turn, and one that is
    /// throttled or fails for a moment is sent up to `attempts` times (a throttled one more often, unless `attempts` is 1).
    #[must_use]
    pub fn new(client: Client, pacer: Arc<Pacer>, attempts: u32) -> Self {
        Self { client, caller: Caller::new(pacer, attempts) }
    }

    async fn list_keys(&self, user: &str) -> Result<Vec<ListedKey>, DirectoryError> {
        let call = Call { operation: "ListSSHPublicKeys", user: Some(user) };
        let mut keys = Vec::new();
        let send = |marker| {
            let request = self.client.list_ssh_public_keys().user_name(user).max_items(PAGE);
            request.set_marker(marker).customize().interceptor(whole::KEYS).send()
        };
        let take = |page: ListSshPublicKeysOutput| {
            keys.extend(page.ssh_public_keys().iter().map(|key| ListedKey {
                id: key.ssh_public_key_id().to_owned(),
                status: key.status().as_str().to_owned(),
                // Where IAM does not say when, the SDK says 1970.
                uploaded: Some((key.upload_date().secs(), key.upload_date().subsec_nanos())).filter(|date| date.0 > 0),
            }));
            Ok((page.is_truncated(), page.marker))
        };
        self.caller.pages(&call, send, take).await?;
        Ok(keys)
    }

    async fn get_key(&self, user: &str, id: &str) -> Result<Key, DirectoryError> {
        let call = Call { operation: "GetSSHPublicKey", user: Some(user) };
        let send = || {
            let request = self.client.get_ssh_public_key().user_name(user).ssh_public_key_id(id);
            request.encoding(EncodingType::Ssh).customize().interceptor(whole::KEY).send()
        };
        let answer = match self.caller.send(&call, send).await {
            // What IAM itself cannot write as a line for sshd is no such key, and no reason to publish nothing of all others.
            Err(error) if error.cause.is(NO_LINE) => {
                return Ok(Key { body: String::new(), status: ACTIVE.to_owned() });
            }
            answer => answer?,
        };
        let key = answer.ssh_public_key().ok_or_else(|| call.nonsense("there is no key in it"))?;
        if key.ssh_public_key_id() != id || !key.user_name().eq_ignore_ascii_case(user) {
            return Err(call.nonsense("it is about another key"));
        }
        Ok(Key { body: key.ssh_public_key_body().to_owned(), status: key.status().as_str().to_owned() })
    }
}

impl Directory for IamDirectory {
    async fn account(&self) -> Result<Account, DirectoryError> {
        let call = Call { operation: "GetAccountAuthorizationDetails", user: None };
        let mut parts = details::Parts::default();
        let send = |marker| {
            let request = self.client.get_account_authorization_details().max_items(PAGE);
            let request = request.filter(EntityType::User).filter(EntityType::Group);
            let request = request.filter(EntityType::LocalManagedPolicy).set_marker(marker);
            request.customize().interceptor(whole::ACCOUNT).send()
        };
        let take = |page: GetAccountAuthorizationDetailsOutput| {
            parts.take(&call, &page)?;
            Ok((page.is_truncated(), page.marker))
        };
        self.caller.pages(&call, send, take).await?;
        parts.assemble(&call)
    }

    async fn number(&self) -> Result<Option<String>, DirectoryError> {
        let call = Call { operation: "GetAccountAuthorizationDetails", user: None };
        let send = || {
            let request = self.client.get_account_authorization_details().max_items(1).filter(EntityType::User);
            request.customize().interceptor(whole::ACCOUNT).send()
        };
        let page = self.caller.send(&call, send).await?;
        let arn = page.user_detail_list().first().and_then(|user| user.arn());
        Ok(arn.and_then(number_of).map(str::to_owned))
    }

    async fn user(&self, name: &str) -> Result<Option<Found>, DirectoryError> {
        match unless_gone(self.bare_user(name).await)? {
            Some(found) => self.with_groups_and_policies(found).await.map(Some),
            None => Ok(None),
        }
    }

    async fn inline(&self, name: &str) -> Result<BTreeMap<String, String>, DirectoryError> {
        self.inline_of(name).await
    }

    async fn keys(&self, user: &str) -> Result<Option<Vec<ListedKey>>, DirectoryError> {
        unless_gone(self.list_keys(user).await)
    }

    async fn key(&self, user: &str, id: &str) -> Result<Option<Key>, DirectoryError> {
        unless_gone(self.get_key(user, id).await)
    }

    fn calls(&self) -> Calls {
        self.caller.calls()
    }
}
