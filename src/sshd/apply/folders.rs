//! The folders in which connections are recorded. systemd-tmpfiles makes them at boot (`systemd/iam-ssh.tmpfiles`); here they
//! are made for a system that runs already, or that has no systemd.

use crate::record::secret;
use crate::sessions;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

/// Makes them where they are not there. What cannot be made is told: the hook tries again, and every login works.
pub(super) fn make() -> Vec<String> {
    let run = sessions::make_folders().map_err(|error| format!("{} was not made: {error}", sessions::RUN));
    let secret = DirBuilder::new().mode(0o700).recursive(true).create(secret::DIRECTORY);
    let secret = secret.map_err(|error| format!("{} was not made: {error}", secret::DIRECTORY));
    [run, secret].into_iter().filter_map(Result::err).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{granted, owners};

    #[test]
    fn systemd_makes_the_same_folders() {
        let tmpfiles = include_str!("../../../systemd/iam-ssh.tmpfiles");
        for (path, is) in [
            (sessions::RUN, "0755 root root"),
            (sessions::DIRECTORY, "0700 root root"),
            (granted::DIRECTORY, "0700 iam-ssh iam-ssh"),
            (owners::DIRECTORY, "0711 root root"),
            (secret::DIRECTORY, "0700 root root"),
        ] {
            let line = format!("d {path} {is} -\n");
            assert!(tmpfiles.contains(&line), "{line}{tmpfiles}");
        }
    }
}
