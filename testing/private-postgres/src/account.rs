//! The user that Postgres runs as: the current user or, because Postgres refuses to run as root,
//! `postgres` or `nobody`.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::Error;

/// A user and group by number. [`Account::command`] runs programs as them.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
    /// Whether this process is root and must switch to that user.
    switched: bool,
}

impl Account {
    /// The user for this process's Postgres.
    pub(crate) fn choose() -> Result<Self, Error> {
        let (uid, gid) = (own_id("-u")?, own_id("-g")?);
        if uid != 0 {
            return Ok(Self {
                uid,
                gid,
                switched: false,
            });
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("reading /etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find_account(&passwd, name))
            .map(|(uid, gid)| Self {
                uid,
                gid,
                switched: true,
            })
            .ok_or(Error::NoAccount)
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// A command that runs as this user, has no standard input, and whose Postgres settings and
    /// messages do not depend on this process's environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "only names are read, to exclude them"
    )]
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG"))
        {
            command.env_remove(name);
        }
        if self.switched {
            command.uid(self.uid).gid(self.gid); // and no other groups: std drops them when root changes the user
        }
        command
    }

    /// Whether this user can create and remove files in `folder`.
    pub(crate) fn can_use(&self, folder: &Path) -> bool {
        let script = r#"test -w "$1" && test -x "$1""#;
        self.command("sh")
            .args(["-c", script, "sh"])
            .arg(folder)
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Gives `path`, which this process created, to this user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        if !self.switched {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(format!(
            "giving {} to uid {}",
            path.display(),
            self.uid
        )))
    }
}

/// The current user or group number, from `id`, because the standard library does not provide it.
fn own_id(which: &str) -> Result<u32, Error> {
    let output = Command::new("id")
        .arg(which)
        .output()
        .map_err(Error::io("running id"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().map_err(|_| Error::Failed {
        doing: "running `id`",
        output: printed.into_owned(),
    })
}

/// The user and group numbers of `name` in the text of a passwd file.
fn find_account(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::find_account;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:7::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/sh\n";
        assert_eq!(find_account(passwd, "postgres"), Some((101, 104)));
        assert_eq!(find_account(passwd, "nobody"), None);
    }
}
