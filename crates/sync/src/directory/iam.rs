//! The directory as IAM's API tells it.
//!
//! It must follow every list to its end, and take a truncated list that cannot be continued, or an answer that did not arrive whole, for
//! an error. One call gives users,
//! groups and memberships (GetAccountAuthorizationDetails: six pages for 5,000 users); keys need one call per user and one per key.

use std::fmt::Debug;

use aws_sdk_iam::Client;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{EncodingType, EntityType};

use super::{Account, Directory, DirectoryError, Key, ListedKey};
use crate::cause::Cause;
use crate::whole;

/// The largest page that IAM gives; it may give less at any time.
const PAGE: i32 = 1000;

/// IAM, by its API.
#[derive(Debug, Clone)]
pub struct IamDirectory {
    client: Client,
}

impl IamDirectory {
    /// Reads through this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Names the call in its errors.
struct Call<'a> {
    operation: &'static str,
    user: Option<&'a str>,
}

impl Call<'_> {
    fn error(&self, cause: Cause) -> DirectoryError {
        DirectoryError { operation: self.operation, user: self.user.map(str::to_owned), cause }
    }

    fn failed<E, R>(&self, error: &SdkError<E, R>) -> DirectoryError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: Debug + 'static,
    {
        self.error(Cause::of(error))
    }

    fn nonsense(&self, what: &'static str) -> DirectoryError {
        self.error(Cause::Nonsense(what))
    }

    /// The marker of the next page, `None` at the end.
    fn next(
        &self,
        truncated: bool,
        marker: Option<&str>,
        previous: Option<&str>,
    ) -> Result<Option<String>, DirectoryError> {
        match (truncated, marker) {
            (false, _) => Ok(None),
            (true, None | Some("")) => Err(self.nonsense("a truncated list has no marker")),
            (true, marker) if marker == previous => Err(self.nonsense("a list continues where it began")),
            (true, Some(marker)) => Ok(Some(marker.to_owned())),
        }
    }
}

/// `None` where IAM says that the user or the key does not exist.
fn unless_gone<T>(result: Result<T, DirectoryError>) -> Result<Option<T>, DirectoryError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.cause.is("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}

impl Directory for IamDirectory {
    async fn account(&self) -> Result<Account, DirectoryError> {
        let call = Call { operation: "GetAccountAuthorizationDetails", user: None };
        let mut account = Account::default();
        let mut marker: Option<String> = None;
        loop {
            let page = self
                .client
                .get_account_authorization_details()
                .filter(EntityType::User)
                .filter(EntityType::Group)
                .max_items(PAGE)
                .set_marker(marker.clone())
                .customize()
                .interceptor(whole::ACCOUNT)
                .send()
                .await
                .map_err(|error| call.failed(&error))?;
            for user in page.user_detail_list() {
                let name = user.user_name().ok_or_else(|| call.nonsense("a user has no name"))?;
                let groups = user.group_list().iter().cloned();
                account.groups.extend(groups.clone());
                // Paging is no snapshot: a user who is renamed meanwhile may stand there twice.
                account.users.entry(name.to_owned()).or_default().extend(groups);
            }
            for group in page.group_detail_list() {
                let name = group.group_name().ok_or_else(|| call.nonsense("a group has no name"))?;
                account.groups.insert(name.to_owned());
            }
            marker = call.next(page.is_truncated(), page.marker(), marker.as_deref())?;
            if marker.is_none() {
                return Ok(account);
            }
        }
    }

    async fn keys(&self, user: &str) -> Result<Option<Vec<ListedKey>>, DirectoryError> {
        unless_gone(self.list_keys(user).await)
    }

    async fn key(&self, user: &str, id: &str) -> Result<Option<Key>, DirectoryError> {
        unless_gone(self.get_key(user, id).await)
    }
}

impl IamDirectory {
    async fn list_keys(&self, user: &str) -> Result<Vec<ListedKey>, DirectoryError> {
        let call = Call { operation: "ListSSHPublicKeys", user: Some(user) };
        let mut keys = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let request = self.client.list_ssh_public_keys().user_name(user).max_items(PAGE);
            let request = request.set_marker(marker.clone()).customize().interceptor(whole::KEYS);
            let page = request.send().await.map_err(|error| call.failed(&error))?;
            keys.extend(page.ssh_public_keys().iter().map(|key| ListedKey {
                id: key.ssh_public_key_id().to_owned(),
                status: key.status().as_str().to_owned(),
            }));
            marker = call.next(page.is_truncated(), page.marker(), marker.as_deref())?;
            if marker.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn get_key(&self, user: &str, id: &str) -> Result<Key, DirectoryError> {
        let call = Call { operation: "GetSSHPublicKey", user: Some(user) };
        let request = self.client.get_ssh_public_key().user_name(user).ssh_public_key_id(id);
        let request = request.encoding(EncodingType::Ssh).customize().interceptor(whole::KEY);
        let answer = request.send().await.map_err(|error| call.failed(&error))?;
        let key = answer.ssh_public_key().ok_or_else(|| call.nonsense("there is no key in it"))?;
        Ok(Key {
            body: key.ssh_public_key_body().to_owned(),
            status: key.status().as_str().to_owned(),
            uploaded: key.upload_date().map(|date| (date.secs(), date.subsec_nanos())),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_list_that_is_cut_off_is_an_error_and_not_an_end() {
        let call = Call { operation: "ListSSHPublicKeys", user: Some("ann") };
        assert_eq!(call.next(false, None, None).unwrap(), None);
        assert_eq!(call.next(true, Some("b"), Some("a")).unwrap().as_deref(), Some("b"));
        for (marker, previous) in [(None, None), (Some(""), None), (Some("a"), Some("a"))] {
            let error = call.next(true, marker, previous).unwrap_err();
            assert!(matches!(error.cause, Cause::Nonsense(_)), "{error}");
        }
    }
}
