//! Whether an answer of AWS came whole: the SDK's XML parser takes an end in the middle for the end, and a missing element for an empty
//! one, so that half an answer would read as "the other users are gone".
//!
//! It must never let a successful answer pass that does not end with its closing tag or lacks an element that it always has.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Checks every successful answer of one call, as it stood on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    root: &'static str,
    elements: &'static [&'static str],
}

/// IAM: users and groups. Whether a list is there where it is empty is not documented, so the end and the paging must do.
pub const ACCOUNT: Whole = Whole { root: "GetAccountAuthorizationDetailsResponse", elements: &["IsTruncated"] };
/// IAM: a user's keys. `IsTruncated` is not demanded: moto never sends it, and a user has five keys at most.
pub const KEYS: Whole = Whole { root: "ListSSHPublicKeysResponse", elements: &["SSHPublicKeys"] };
/// IAM: one key.
pub const KEY: Whole = Whole { root: "GetSSHPublicKeyResponse", elements: &["SSHPublicKeyBody", "Status"] };
/// IAM: one user.
pub const USER: Whole = Whole { root: "GetUserResponse", elements: &["UserName", "UserId"] };
/// IAM: a user's groups.
pub const GROUPS: Whole = Whole { root: "ListGroupsForUserResponse", elements: &["Groups"] };
/// IAM: the managed policies of a user.
pub const ATTACHED: Whole = Whole { root: "ListAttachedUserPoliciesResponse", elements: &["AttachedPolicies"] };
/// IAM: the names of a user's inline policies.
pub const INLINE: Whole = Whole { root: "ListUserPoliciesResponse", elements: &["PolicyNames"] };
/// IAM: an inline policy.
pub const POLICY: Whole = Whole { root: "GetUserPolicyResponse", elements: &["PolicyDocument"] };
/// S3: a list of objects.
pub const OBJECTS: Whole = Whole { root: "ListBucketResult", elements: &["IsTruncated"] };

/// An answer that is not whole, by what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// The closing tag of this element, at the end.
    End(&'static str),
    /// This element, anywhere.
    Element(&'static str),
}

impl Whole {
    /// Judges a body. Text in it cannot look like a tag, because XML escapes `<` there.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(&self, body: &[u8]) -> Result<(), CutOff> {
        let end = body.trim_ascii_end().strip_suffix(b">").map(<[u8]>::trim_ascii_end);
        let end = end.and_then(|rest| rest.strip_suffix(self.root.as_bytes()));
        if end.is_none_or(|rest| !rest.ends_with(b"</")) {
            return Err(CutOff::End(self.root));
        }
        match self.elements.iter().find(|element| !has_tag(body, element)) {
            Some(element) => Err(CutOff::Element(element)),
            None => Ok(()),
        }
    }
}

/// Whether the element begins anywhere in the body: `<name>`, `<name/>` or `<name attribute…>`.
fn has_tag(body: &[u8], name: &str) -> bool {
    let ends_name = |byte: &u8| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace();
    body.split(|byte| *byte == b'<')
        .filter_map(|tag| tag.strip_prefix(name.as_bytes()))
        .any(|rest| rest.first().is_some_and(ends_name))
}

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "iam-ssh-sync: whole answers only"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // An error is one, however little of it arrived.
        if !response.status().is_success() {
            return Ok(());
        }
        Ok(self.check(response.body().bytes().unwrap_or_default())?)
    }
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(root) => write!(f, "it does not end with </{root}>"),
            Self::Element(element) => write!(f, "there is no <{element}> in it"),
        }
    }
}

impl Error for CutOff {}

/// What an answer lacked, where that is what an error is about.
#[must_use]
pub fn cut_off(error: &(dyn Error + 'static)) -> Option<CutOff> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(*found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_passes() {
        let good = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><IsTruncated>false</IsTruncated></ListBucketResult >\n\n";
        assert_eq!(OBJECTS.check(good.as_bytes()), Ok(()));
        for end in 0..good.trim_end().len() {
            let cut = good.as_bytes().get(..end).unwrap_or_default();
            assert_eq!(OBJECTS.check(cut), Err(CutOff::End("ListBucketResult")), "{end}");
        }
        for (body, lacks) in [
            ("<ListBucketResult/>", CutOff::End("ListBucketResult")),
            ("<Error></Error>", CutOff::End("ListBucketResult")),
            ("<ListBucketResult></ListBucketResult>", CutOff::Element("IsTruncated")),
            ("<ListBucketResult>&lt;IsTruncated></ListBucketResult>", CutOff::Element("IsTruncated")),
            ("<ListBucketResult><IsTruncatedX/></ListBucketResult>", CutOff::Element("IsTruncated")),
        ] {
            assert_eq!(OBJECTS.check(body.as_bytes()), Err(lacks), "{body}");
        }
        let keys = "<ListSSHPublicKeysResponse><SSHPublicKeys/></ListSSHPublicKeysResponse>";
        assert_eq!(KEYS.check(keys.as_bytes()), Ok(()));
    }
}
