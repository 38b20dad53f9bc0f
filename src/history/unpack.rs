//! Opens a log, packed or not: what packs logs unpacks them, as a child, by what the bytes say and not the name.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// How packed files begin, and what unpacks them.
const PACKED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2")];
/// Where programs are.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes to read, and the child that makes them, if there is one.
pub(super) struct Opened {
    from: Box<dyn Read>,
    child: Option<(&'static str, Child)>,
}

/// Opens `file` for reading, unpacked.
pub(super) fn open(mut file: File) -> io::Result<Opened> {
    let mut beginning = Vec::new();
    (&mut file).take(6).read_to_end(&mut beginning)?;
    let seeks = file.rewind().is_ok();
    let Some((_, program)) = PACKED.iter().find(|(magic, _)| beginning.starts_with(magic)) else {
        let from: Box<dyn Read> = if seeks { Box::new(file) } else { Box::new(Cursor::new(beginning).chain(file)) };
        return Ok(Opened { from, child: None });
    };
    let mut command = command(program);
    command.arg("-dc").stdin(if seeks { Stdio::from(file.try_clone()?) } else { Stdio::piped() });
    let (mut child, output) = start(command, program)?;
    if let Some(mut input) = child.stdin.take() {
        // Ends with the child or with this process, whichever is first; what it cannot hand over nobody reads.
        std::thread::spawn(move || io::copy(&mut Cursor::new(beginning).chain(file), &mut input));
    }
    Ok(Opened { from: Box::new(output), child: Some((program, child)) })
}

/// What a command prints.
pub(super) fn output_of(command: Command, name: &'static str) -> io::Result<Opened> {
    let (child, output) = start(command, name)?;
    Ok(Opened { from: Box::new(output), child: Some((name, child)) })
}

/// A command that sees nothing of this process's environment.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn start(mut command: Command, name: &str) -> io::Result<(Child, ChildStdout)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run `{name}`: {error}")))?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    Ok((child, output))
}

impl Opened {
    /// Whether all has been made that is to be read; to be asked at the end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some((name, mut child)) = self.child.take() else { return Ok(()) };
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("`{name}` failed: {status}"))) }
    }
}

impl Read for Opened {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.from.read(to)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some((_, child)) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
