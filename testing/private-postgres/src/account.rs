//! The user that Postgres runs as: ourselves, or, because Postgres refuses root, `postgres` or else
//! `nobody`.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::Error;

/// A user and group by number. [`Account::command`] makes programs run as them.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
    /// Whether we are root and so have to change to that user.
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

    /// The user's number.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// A command that runs as this user, reads nothing, and whose Postgres settings and messages
    /// depend on nothing in our environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "only names are looked at, to leave them out"
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

    /// Whether this user can create and remove things in `folder`.
    pub(crate) fn can_use(&self, folder: &Path) -> bool {
        let script = r#"test -w "$1" && test -x "$1""#;
        self.command("sh")
            .args(["-c", script, "sh"])
            .arg(folder)
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Gives `path`, which we made, to this user.
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

/// Our own user or group number: `id` is asked, since the standard library does not tell.
fn own_id(which: &str) -> Result<u32, Error> {
    let output = Command::new("id")
        .arg(which)
        .output()
        .map_err(Error::io("running id"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().map_err(|_| Error::Failed {
        doing: "asking `id` who we are",
        output: printed.into_owned(),
    })
}

/// The numbers of the user `name` in the text of a passwd file.
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
