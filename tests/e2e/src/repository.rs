//! Package repositories as `make repo` makes them, signed by a key of the test's own, and the .rpm in other versions to put into them.

use std::path::{Path, PathBuf};

use crate::debian::Debian;
use crate::inputs;
use crate::process::{Outcome, command, run};
use crate::world::World;

/// Where a machine finds the repositories.
const PLACE: &str = "/srv/repository";

/// Repositories, and the key that signs them.
#[derive(Debug)]
pub struct Repository {
    home: PathBuf,
    directory: PathBuf,
}

impl Repository {
    /// Makes a key, and repositories that hold these packages.
    ///
    /// # Panics
    /// When they cannot be made.
    #[must_use]
    pub fn create(world: &World, packages: &[&Path]) -> Self {
        let home = world.scratch().join("signer");
        std::fs::create_dir_all(&home).unwrap();
        let repository = Self { home, directory: world.scratch().join("repository") };
        let generate =
            "chmod 700 $HOME && exec gpg --batch --quiet --passphrase '' --quick-generate-key rig rsa2048 sign never";
        repository.sign(&["/bin/sh", "-c", generate]).expect_ok();
        repository.make("rig", packages).expect_ok();
        repository
    }

    /// Runs `make repo`'s script with these packages and that signing key.
    #[must_use]
    pub fn make(&self, key: &str, packages: &[&Path]) -> Outcome {
        let script = inputs::source().join("tests/rig/repository");
        let key = format!("IAM_SSH_SIGNING_KEY={key}");
        let url = format!("IAM_SSH_REPOSITORY_URL=file://{PLACE}");
        let mut arguments = vec!["env", &key, &url, script.to_str().unwrap(), self.directory.to_str().unwrap()];
        arguments.extend(packages.iter().map(|package| package.to_str().unwrap()));
        self.sign(&arguments)
    }

    /// Takes the packages' signatures away and makes the dnf repository's metadata anew for them.
    ///
    /// # Panics
    /// When that fails.
    pub fn strip_signatures(&self) {
        let script = "cd \"$0\"/dnf && rpmsign --delsign packages/*.rpm && createrepo_c --quiet --no-database .";
        run(command("/bin/sh").args(["-c", script]).arg(&self.directory), b"").expect_ok();
    }

    /// Runs a command that signs. gpg starts an agent, which would live on; it ends with the process namespace.
    fn sign(&self, arguments: &[&str]) -> Outcome {
        let mut unshare = command("unshare");
        unshare.args(["--pid", "--fork", "--kill-child=KILL", "--"]).args(arguments);
        run(unshare.env("HOME", &self.home), b"")
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts it, as it is now, into a machine, whose apt and dnf know of it then.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn offer(&self, debian: &Debian) {
        let place = debian.path(PLACE);
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        run(command("cp").arg("-r").arg(&self.directory).arg(&place), b"").expect_ok();
        let known = format!(
            "cp {PLACE}/iam-ssh.gpg /usr/share/keyrings/ && cp {PLACE}/iam-ssh.sources /etc/apt/sources.list.d/ && \
             {{ ! command -v dnf >/dev/null || install -D -t /etc/yum.repos.d {PLACE}/iam-ssh.repo; }}"
        );
        debian.run(&known).expect_ok();
    }
}

/// Runs dnf with these arguments, on what the repository says now: without `--refresh`, what was read in the same second counts.
#[must_use]
pub fn dnf(debian: &Debian, arguments: &str) -> Outcome {
    debian.run(&format!("dnf -y --refresh --setopt=install_weak_deps=False {arguments} 2>&1"))
}

/// The .rpm under another version number, with `edit` done to its tree. Not compressed: it is installed at once.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn rpm_of(world: &World, version: &str, edit: impl FnOnce(&Path)) -> PathBuf {
    rpm_with(world, version, edit, |spec| spec)
}

/// The same with other scriptlets, as an earlier version may have had.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn rpm_with(
    world: &World,
    version: &str,
    edit: impl FnOnce(&Path),
    scriptlets: impl FnOnce(String) -> String,
) -> PathBuf {
    let top = world.scratch().join(format!("rpm-{version}"));
    let (tree, changelog, spec) = (top.join("tree"), top.join("changelog"), top.join("iam-ssh.spec"));
    std::fs::create_dir_all(&top).unwrap();
    run(command("dpkg-deb").arg("-x").arg(inputs::deb()).arg(&tree), b"").expect_ok();
    edit(&tree);
    let ours = std::fs::read_to_string(inputs::source().join("rpm/iam-ssh.spec")).unwrap();
    std::fs::write(&spec, scriptlets(ours)).unwrap();
    std::fs::write(&changelog, format!("* Sun Nov 22 2026 rig <rig@example.org> - {version}-1\n- Made for a test.\n"))
        .unwrap();
    let mut rpmbuild = command("rpmbuild");
    rpmbuild.args(["-bb", "--target", std::env::consts::ARCH]);
    for (name, value) in [
        ("_topdir", top.to_str().unwrap()),
        ("tree", tree.to_str().unwrap()),
        ("source", inputs::source().to_str().unwrap()),
        ("changelog_file", changelog.to_str().unwrap()),
        ("package_version", version),
        ("package_release", "1"),
        ("_binary_payload", "w0.ufdio"),
    ] {
        rpmbuild.arg("--define").arg(format!("{name} {value}"));
    }
    run(rpmbuild.arg(&spec).env("HOME", &top), b"").expect_ok();
    std::fs::remove_dir_all(&tree).unwrap();
    top.join(format!("RPMS/{0}/iam-ssh-{version}-1.{0}.rpm", std::env::consts::ARCH))
}
