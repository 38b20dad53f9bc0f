//! The rig of the end-to-end tests: a private network with a fake AWS in it, Debian machines with the real sshd, and ssh clients.
//!
//! A test makes a [`World`] first. That puts the test's thread into network, mount, IPC and UTS namespaces of its own, so that the
//! metadata service's fixed address, port 22 and every mount exist for this test alone and vanish with its last process, also when
//! it is killed. Every child dies with the thread that started it. Nothing here may touch the machine outside those namespaces,
//! except the cgroups that a booted systemd needs, which a watcher removes.
//!
//! The rig is test code: it stops at the first thing that is not as it must be, with a message that says which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::string_slice, clippy::print_stdout, clippy::print_stderr, reason = "only tests use it")]

pub mod audit;
mod authority;
mod aws;
mod booted;
mod cached;
mod debian;
mod inputs;
mod keys;
pub mod lifecycle;
mod machine;
pub mod measure;
mod moto;
mod namespaces;
pub mod neighbours;
pub mod policy;
mod process;
mod recorder;
pub mod repository;
pub mod scene;
pub mod seed;
mod ssh;
mod template;
pub mod terraform;
pub mod trial;
mod virtual_machine;
mod wait;
mod wire;
mod world;

pub use authority::{Authority, HOST};
pub use aws::{Iam, S3, Ssm};
pub use booted::BootedMachine;
pub use cached::{AS_LOOKUP, CACHE, DEADLINE};
pub use debian::{DROP_IN, Debian, SSHD_CONFIG, SSHRC};
pub use iam_ssh_doubles as doubles;
pub use inputs::{Suite, aws_double, deb, rpm, source, sync_bin};
pub use keys::{Key, KeyKind};
pub use machine::Machine;
pub use moto::Moto;
pub use process::{Outcome, command, run};
pub use recorder::LogLine;
pub use ssh::{Client, Login};
pub use template::{template, template_takes};
pub use virtual_machine::VirtualMachine;
pub use wait::{eventually, wait_for};
pub use wire::{State, Wire};
pub use world::{BUCKET, World};
