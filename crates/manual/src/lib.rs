//! Man pages and shell completions of the instance package, made from the tables that its programs parse by.
//!
//! The same source gives the same bytes: dates come from the changelogs, never from the clock, and nothing is read but
//! what was compiled in.

mod completions;
mod date;
mod markup;
mod page;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Templates: prose, with a line that begins with `@` where the tables come in.
const PAGES: [(&str, &str); 3] = [
    ("iam-ssh.1", include_str!("../../../man/iam-ssh.1.in")),
    ("iam-ssh.toml.5", include_str!("../../../man/iam-ssh.toml.5.in")),
    ("iam-ssh.8", include_str!("../../../man/iam-ssh.8.in")),
];
const CHANGELOGS: [&str; 2] = [include_str!("../../../debian/changelog"), include_str!("../../../CHANGELOG.md")];

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match args.as_slice() {
        [folder] => write(Path::new(folder)),
        _ => Err("usage: iam-ssh-manual OUTDIR".to_owned()),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "iam-ssh-manual: {error}");
    ExitCode::FAILURE
}

/// Every file, by name.
///
/// # Errors
/// What in a template or a changelog is wrong.
pub fn files() -> Result<Vec<(String, Vec<u8>)>, String> {
    let date = date::newest(&CHANGELOGS).ok_or("no changelog has a date")?;
    let mut files = completions::all();
    for (name, template) in PAGES {
        let page = page::fill(template, &date).map_err(|error| format!("man/{name}.in: {error}"))?;
        files.push((name.to_owned(), page.into_bytes()));
    }
    Ok(files)
}

/// Writes every file into `folder`, which is made where it is missing.
///
/// # Errors
/// What could not be made or written.
pub fn write(folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, content) in files()? {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
