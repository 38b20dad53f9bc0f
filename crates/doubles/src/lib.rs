//! A fake AWS for tests: IAM, STS, S3, SSM and the instance metadata service on one loopback port, in this process.
//!
//! It exists because moto never truncates a list and its metadata service is refused by the SDK; moto stays
//! the independent second opinion. The double pages truly, answers with AWS's own status codes and error documents, records every
//! request, and can be told to fail. It must never be part of anything that is installed, and it must never grow behaviour that
//! AWS does not have: a test that passes here and fails on AWS is worse than no test. Signatures are not checked.
//!
//! The services are told apart as moto does it: a `POST` with `Action=` in its form is IAM (STS with its `Version`), an
//! `X-Amz-Target: AmazonSSM.…` header is SSM, `/latest/…` is the metadata service, and everything else is S3, path style
//! (`/<bucket>/<key>`). IAM calls reach the account whose credentials signed them.

mod accounts;
mod base64;
mod body;
mod checksum;
mod double;
mod fault;
mod hook;
mod iam;
mod imds;
mod incoming;
pub mod program;
mod reply;
mod request;
mod s3;
mod server;
mod ssm;
mod sts;
mod throttle;

pub use double::Double;
pub use fault::{Fault, Match};
pub use hook::Change;
pub use iam::Directory;
pub use request::{Request, Service};
