//! The pure domain of iam-ssh: principals, owners, public keys, `authorized_keys` lines and documents, sync plans.
//!
//! Both planes stand on this crate: the sync renders what it publishes with it, the instance parses and renders
//! again what it fetched with it. It must never do I/O, read a clock or the environment, be async or know AWS:
//! facts come in as parameters, decisions go out as values.

pub mod document;
pub mod expiry;
pub mod key;
pub mod keyline;
pub mod name;
pub mod offered;
pub mod options;
pub mod plan;
pub mod prefix;
pub mod principal;
pub mod text;

mod curve;
mod wire;

pub use document::{Document, Skipped};
pub use expiry::Expiry;
pub use key::{KeyError, KeyType, PublicKey};
pub use keyline::{KeyLine, LineError};
pub use name::{Name, NameError};
pub use options::{KeyOption, KeyOptions, OptionError};
pub use plan::Plan;
pub use principal::{Principal, PrincipalError};
