//! Debian's way to change PAM's configuration: profiles that `pam-auth-update` puts into /etc/pam.d/common-* and takes out.
//!
//! It runs with a database of its own for debconf, so it neither asks anybody, nor waits for whoever has locked the system's,
//! nor leaves anything in that. It changes ten files one after the other and never mends what a half-done change left; so
//! they are kept while it runs, and put back where it, or we, were ended. What an administrator has changed it leaves alone,
//! and it is never told to do otherwise.

use super::without_profile_lines;
use crate::config::Audit;
use crate::record::secret::DIRECTORY;
use crate::sshd::observe::{RUN, SCRATCH};
use iam_ssh_core::text::escape;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TOOL: &str = "/usr/sbin/pam-auth-update";
const PROFILES: &str = "/usr/share/pam-configs";
/// By profile: what `Audit` it is.
const OURS: [(&str, Audit); 2] = [("iam-ssh", Audit::Optional), ("iam-ssh-required", Audit::Required)];
/// What the tool changes, and what it names a file that it has not finished.
const CHANGED: [(&str, &[&str], &str); 2] = [
    (
        "/etc/pam.d",
        &["common-auth", "common-account", "common-password", "common-session", "common-session-noninteractive"],
        ".pam-new",
    ),
    ("/var/lib/pam", &["auth", "account", "password", "session", "session-noninteractive", "seen"], ".new"),
];
/// Where the session rules of the profiles are.
pub const SESSION: &str = "/etc/pam.d/common-session";
/// What the tool put there last.
const REMEMBERED: &str = "/var/lib/pam/session";
/// The profiles that were there when it ran last.
const SEEN: &str = "/var/lib/pam/seen";
/// The files as they were, while the tool runs.
const KEPT: &str = "pam-before.json";
/// What a file that we have not finished is named.
const UNFINISHED: &str = "iam-ssh-new";
/// How much of the tool's words is shown.
const SHOWN: usize = 300;

/// Whether PAM is configured this way here, and our profiles are installed.
#[must_use]
pub fn is_used() -> bool {
    Path::new(TOOL).exists() && OURS.iter().all(|(name, _)| Path::new(PROFILES).join(name).exists())
}

/// The profile's name.
#[must_use]
pub fn profile(audit: Audit) -> &'static str {
    OURS.iter().find(|(_, of)| *of == audit).map_or("", |(name, _)| name)
}

/// Those of our profiles that are in.
#[must_use]
pub fn enabled() -> Vec<&'static str> {
    let remembered = fs::read_to_string(REMEMBERED).unwrap_or_default();
    let modules: Vec<&str> = remembered.lines().filter_map(|line| line.strip_prefix("Module: ")).collect();
    OURS.iter().map(|(name, _)| *name).filter(|name| modules.contains(name)).collect()
}

/// How the tool is called to have this profile in, and no other of ours.
#[must_use]
pub fn call(wanted: Option<&'static str>) -> Vec<&'static str> {
    let others = OURS.iter().map(|(name, _)| *name).filter(|name| Some(*name) != wanted);
    let mut words: Vec<&str> = ["--package", "--remove"].into_iter().chain(others).collect();
    words.extend(wanted.iter().flat_map(|name| ["--enable", name]));
    words
}

/// Has this profile in, and no other of ours. Where an administrator has changed something, no profile is put in; ours are
/// taken out even so.
///
/// # Errors
/// What went wrong; then all is as before.
pub fn switch(wanted: Option<&'static str>) -> Result<Before, String> {
    let before = Before::look()?;
    let kept = Path::new(DIRECTORY).join(KEPT);
    before.keep(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    // Where it is ended, debconf does not tell.
    let ran = run(&call(wanted)).and_then(|()| match unfinished().find(|path| path.exists()) {
        Some(path) => Err(format!("{TOOL} did not finish {}", path.display())),
        None => before.give_modes().map_err(|error| error.to_string()),
    });
    let is_done = ran.is_ok() && enabled() == wanted.into_iter().collect::<Vec<_>>();
    if !is_done {
        before.put_back();
    }
    let done = if is_done || wanted.is_some() { ran } else { take_out().map_err(|error| error.to_string()) };
    let _ = fs::remove_file(kept);
    done.map(|()| before)
}

/// The names of what the tool, or we, have not finished.
fn unfinished() -> impl Iterator<Item = PathBuf> {
    let of = |(folder, names, suffix): (&'static str, &'static [&'static str], &'static str)| {
        names.iter().map(move |name| Path::new(folder).join(format!("{name}{suffix}")))
    };
    ours_unfinished().chain(CHANGED.into_iter().flat_map(of))
}

/// Of these, ours.
fn ours_unfinished() -> impl Iterator<Item = PathBuf> {
    let of = |(folder, names, _): (&'static str, &'static [&'static str], _)| {
        names.iter().map(move |name| Path::new(folder).join(name).with_extension(UNFINISHED))
    };
    CHANGED.into_iter().flat_map(of)
}

/// Puts back what a run that was ended left half-done.
pub fn recover() {
    let kept = Path::new(DIRECTORY).join(KEPT);
    let _ = fs::remove_file(kept.with_extension("new"));
    let before = fs::read(&kept).ok().and_then(|text| serde_json::from_slice::<Before>(&text).ok());
    if let Some(before) = before {
        before.put_back();
    }
    // What the tool has not finished may be somebody else's run of it; ours is nobody else's: the lock is held.
    for path in ours_unfinished() {
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_file(kept);
}

/// Takes our lines out where the tool leaves everything as it is, because an administrator changed something: a hook must not
/// outlive its program.
fn take_out() -> io::Result<()> {
    let remembered = fs::read_to_string(REMEMBERED)?;
    let mut ours = false;
    let rest = remembered.split_inclusive('\n').filter(|line| {
        if let Some(name) = line.strip_prefix("Module: ") {
            ours = OURS.iter().any(|(profile, _)| *profile == name.trim_end());
        }
        !ours
    });
    let rest: String = rest.collect();
    File::of(Path::new(SESSION))?.write(&without_profile_lines(&fs::read_to_string(SESSION)?))?;
    File::of(Path::new(REMEMBERED))?.write(&rest)?;
    let Ok(seen) = fs::read_to_string(SEEN) else { return Ok(()) };
    let others = seen.split_inclusive('\n').filter(|line| OURS.iter().all(|(name, _)| *name != line.trim_end()));
    File::of(Path::new(SEEN))?.write(&others.collect::<String>())
}

/// The tool's files as they were.
#[derive(Debug, Serialize, Deserialize)]
pub struct Before(Vec<File>);

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    path: PathBuf,
    /// None: it was not there.
    text: Option<String>,
    mode: u32,
    user: u32,
    group: u32,
}

impl Before {
    fn look() -> Result<Self, String> {
        let paths = CHANGED.iter().flat_map(|(folder, names, _)| names.iter().map(|name| Path::new(folder).join(name)));
        let files = paths.map(|path| File::of(&path).map_err(|error| format!("{}: {error}", path.display())));
        Ok(Self(files.collect::<Result<_, _>>()?))
    }

    fn keep(&self, place: &Path) -> io::Result<()> {
        let new = place.with_extension("new");
        let folder = place.parent().unwrap_or(Path::new("/"));
        let _ = DirBuilder::new().mode(0o700).create(folder);
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, place)?;
        fs::File::open(folder)?.sync_all()
    }

    /// The tool's files have its own mode and owner.
    fn give_modes(&self) -> io::Result<()> {
        self.0.iter().filter(|file| file.text.is_some()).try_for_each(|file| file.own(&file.path))
    }

    /// Has everything as it was; what cannot be is tried to the end.
    pub fn put_back(&self) {
        for file in &self.0 {
            let _ = match &file.text {
                Some(text) if fs::read(&file.path).ok().as_deref() == Some(text.as_bytes()) => file.own(&file.path),
                Some(text) => file.write(text),
                None => fs::remove_file(&file.path),
            };
        }
        for path in unfinished() {
            let _ = fs::remove_file(path);
        }
    }
}

impl File {
    /// The tool would put a file in a link's place.
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = Self { path: path.to_owned(), text: None, mode: 0o644, user: 0, group: 0 };
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() && meta.nlink() == 1 => {
                (file.mode, file.user, file.group) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
                file.text = Some(fs::read_to_string(path)?);
                Ok(file)
            }
            Ok(_) => Err(io::Error::other("it is a link, or has several names")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(file),
            Err(error) => Err(error),
        }
    }

    /// Whole or not at all.
    fn write(&self, text: &str) -> io::Result<()> {
        let new = self.path.with_extension(UNFINISHED);
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        self.own(&new)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))?;
        fs::set_permissions(path, fs::Permissions::from_mode(self.mode))
    }
}

/// Runs the tool.
fn run(words: &[&str]) -> Result<(), String> {
    let scratch = PathBuf::from(format!("{RUN}/{SCRATCH}pam.{}", std::process::id()));
    let made = DirBuilder::new().mode(0o700).create(&scratch).and_then(|()| database(&scratch));
    let output = made.and_then(|config| {
        let mut tool = Command::new(TOOL);
        // Nothing of the caller's: not even that debconf already runs, whose database this is not.
        tool.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        tool.env("DEBIAN_FRONTEND", "noninteractive").env("DEBCONF_SYSTEMRC", config);
        tool.current_dir("/").stdin(Stdio::null()).output()
    });
    let _ = fs::remove_dir_all(&scratch);
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{TOOL}, {}: {}", output.status, escape(output.stderr.trim_ascii(), SHOWN))),
        Err(error) => Err(format!("{TOOL}: {error}")),
    }
}

/// An empty database for debconf (debconf.conf(5)).
fn database(folder: &Path) -> io::Result<PathBuf> {
    let of =
        |name: &str| format!("Name: {name}\nDriver: File\nMode: 600\nFilename: {}\n\n", folder.join(name).display());
    let config = folder.join("debconf.conf");
    fs::write(&config, format!("Config: answers\nTemplates: questions\n\n{}{}", of("answers"), of("questions")))?;
    Ok(config)
}
