//! One test's world: its namespaces, its scratch space, its fake AWS, the sync run against it.
//!
//! Everything a test touches hangs on its world; dropping it, or the death of the process, ends all of it.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};
use std::process::Command;

use iam_ssh_doubles::Double;

use crate::aws::{Iam, S3, Ssm, admin_environment};
use crate::inputs;
use crate::keys::{Key, KeyKind};
use crate::moto::Moto;
use crate::namespaces::{IMDS_ADDRESS, isolate};
use crate::process::{Outcome, command, run};

/// The bucket that the sync publishes to.
pub const BUCKET: &str = "company-iam";

/// A private network with a fake AWS in it. Made and used on one thread.
#[derive(Debug)]
pub struct World {
    scratch: PathBuf,
    machines: Cell<u32>,
    moto: OnceCell<Moto>,
    imds: OnceCell<Double>,
    double: OnceCell<Double>,
}

impl World {
    /// Moves the calling thread into namespaces of its own. Once a thread.
    ///
    /// # Panics
    /// Without root, and when `make test` has not prepared the rig.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the calling thread; that must be seen")]
    pub fn new() -> Self {
        let scratch = inputs::scratch();
        isolate(&scratch);
        Self { scratch, machines: Cell::new(0), moto: OnceCell::new(), imds: OnceCell::new(), double: OnceCell::new() }
    }

    /// A file system in memory that is this world's own.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// moto, with the bucket in it; started at the first call.
    pub fn moto(&self) -> &Moto {
        self.moto.get_or_init(|| {
            let moto = Moto::start();
            S3::new(moto.url()).create_bucket(BUCKET);
            moto
        })
    }

    /// The metadata service of an instance; started at the first call.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn imds(&self) -> &Double {
        self.imds.get_or_init(|| Double::start((IMDS_ADDRESS, 80)).expect("a metadata service at its own address"))
    }

    /// Our own double of IAM, S3 and SSM, which counts requests and can fail; started at the first call.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn double(&self) -> &Double {
        self.double.get_or_init(|| {
            let double = Double::start("127.0.0.1:0").expect("an AWS double");
            double.add_bucket(BUCKET);
            double
        })
    }

    /// How many requests reached our doubles so far, metadata service included.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.imds().requests().len() + self.double().requests().len()
    }

    /// An administrator's hand on moto's IAM.
    #[must_use]
    pub fn iam(&self) -> Iam {
        Iam::new(self.moto().url())
    }

    /// An administrator's hand on the bucket in moto's S3.
    #[must_use]
    pub fn s3(&self) -> S3 {
        S3::new(self.moto().url())
    }

    /// An administrator's hand on moto's SSM.
    #[must_use]
    pub fn ssm(&self) -> Ssm {
        Ssm::new(self.moto().url())
    }

    /// A new key pair.
    #[must_use]
    pub fn key(&self, name: &str, kind: KeyKind) -> Key {
        Key::generate(&self.scratch.join("keys"), name, kind)
    }

    /// Runs `iam-ssh-sync` against moto.
    #[must_use]
    pub fn sync(&self, arguments: &[&str]) -> Outcome {
        self.sync_at(self.moto().url(), arguments)
    }

    /// Runs `iam-ssh-sync` against another endpoint.
    #[must_use]
    pub fn sync_at(&self, url: &str, arguments: &[&str]) -> Outcome {
        run(self.sync_command(url).args(arguments), b"")
    }

    /// The same, not started yet.
    #[must_use]
    pub fn sync_command(&self, url: &str) -> Command {
        let mut sync = command(self.sync_program());
        sync.env("S3_BUCKET", BUCKET).envs(admin_environment(url));
        sync
    }

    /// The program `iam-ssh-sync`.
    #[must_use]
    pub fn sync_program(&self) -> PathBuf {
        inputs::sync_bin()
    }

    /// The AWS CLI that the seed's script calls.
    #[must_use]
    pub fn aws_cli(&self) -> PathBuf {
        inputs::venv("aws")
    }

    /// A directory for the next machine.
    pub(crate) fn machine_dir(&self) -> PathBuf {
        self.machines.set(self.machines.get() + 1);
        self.scratch.join(format!("machine-{}", self.machines.get()))
    }
}
