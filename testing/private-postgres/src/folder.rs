//! The folder of a private Postgres: created, checked, locked, and removed if it is a throwaway
//! one.
//!
//! It contains `data` (the cluster), `postgres.log` and the previous log, `password` and two lock
//! files. The folder belongs to the user that Postgres runs as and is closed to all others. If that
//! user cannot reach the folder (below /root, for example), a folder in /var/tmp replaces it. Its
//! name is derived from the requested path, so the next start finds it.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, path};

use crate::account::Account;
use crate::lock::Locks;
use crate::{Error, random};

const OWNER_ONLY: u32 = 0o700;

/// A folder that this process has locked.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    throwaway: bool,
    locks: Locks,
}

impl Folder {
    /// Creates a folder in the temp folder, with an unguessable name.
    pub(crate) fn throwaway(account: &Account) -> Result<Self, Error> {
        let parents = [
            env::temp_dir(),
            PathBuf::from("/tmp"),
            PathBuf::from("/var/tmp"),
        ];
        let parent = parents
            .iter()
            .find(|parent| parent.is_absolute() && account.can_use(parent))
            .ok_or_else(|| {
                Error::unfit(
                    &parents[0],
                    "its user may not write there, nor to /tmp or /var/tmp",
                )
            })?;
        let root = parent.join(format!("private-postgres-{}", random::hex(8)?));
        make(&root, account)?;
        Self::locked(&root, true)
    }

    /// The folder `wanted`, or its replacement.
    pub(crate) fn kept(wanted: &Path, account: &Account) -> Result<Self, Error> {
        let wanted =
            path::absolute(wanted).map_err(Error::io(format!("finding {}", wanted.display())))?;
        Self::locked(&kept_root(&wanted, account)?, false)
    }

    fn locked(root: &Path, throwaway: bool) -> Result<Self, Error> {
        // Use one spelling per folder: a Postgres that was left running in it is recognised by the
        // path it was started with.
        let root = root
            .canonicalize()
            .map_err(Error::io(format!("finding {}", root.display())))?;
        Ok(Self {
            locks: Locks::take(&root)?,
            root,
            throwaway,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The cluster itself, which Postgres calls its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Whether it is removed when Postgres stops.
    pub(crate) fn is_throwaway(&self) -> bool {
        self.throwaway
    }

    /// The major version that created the cluster in it, if there is one.
    pub(crate) fn version(&self) -> Option<String> {
        fs::read_to_string(self.data().join("PG_VERSION"))
            .ok()
            .map(|text| text.trim().to_owned())
    }

    /// A handle that keeps the folder locked for a child process.
    pub(crate) fn lock_for_child(&self) -> Result<Stdio, Error> {
        self.locks.for_child()
    }

    /// Removes a throwaway folder. Does nothing if it is already removed.
    pub(crate) fn remove_if_throwaway(&self) -> Result<(), Error> {
        if !self.throwaway {
            return Ok(());
        }
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(format!(
                "removing {}",
                self.root.display()
            ))(error)),
            _ => Ok(()),
        }
    }
}

fn kept_root(wanted: &Path, account: &Account) -> Result<PathBuf, Error> {
    if let Ok(metadata) = fs::metadata(wanted) {
        if !metadata.is_dir() {
            return Err(Error::unfit(wanted, "it is not a folder"));
        }
        if metadata.uid() == account.uid() && account.can_use(wanted) {
            return Ok(wanted.to_owned());
        }
        // An empty folder of another user (created by root for this one, for example) counts as
        // missing.
        fs::remove_dir(wanted).map_err(|_| {
            let owners = format!(
                "it belongs to uid {}, but Postgres runs as uid {}",
                metadata.uid(),
                account.uid()
            );
            Error::unfit(wanted, owners)
        })?;
    }
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).map_err(Error::io(format!("making {}", parent.display())))?;
    }
    make(wanted, account)?;
    if account.can_use(wanted) {
        return Ok(wanted.to_owned());
    }
    fs::remove_dir(wanted).map_err(Error::io(format!("removing {}", wanted.display())))?;
    replacement(wanted, account)
}

/// The folder in /var/tmp that replaces `wanted`. Every user may write there, so an existing one is
/// checked first.
fn replacement(wanted: &Path, account: &Account) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let root = PathBuf::from(format!("/var/tmp/tableferry-{:016x}", hasher.finish()));
    match fs::symlink_metadata(&root) {
        Err(_) => make(&root, account)?,
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Error::unfit(&root, "it is not a folder"));
        }
        Ok(metadata) if metadata.uid() != account.uid() => {
            return Err(Error::unfit(
                &root,
                format!("it belongs to uid {}", metadata.uid()),
            ));
        }
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            return Err(Error::unfit(&root, "it is open to other users"));
        }
        Ok(_) => {}
    }
    Ok(root)
}

/// Creates a folder that must not exist yet, accessible only to the account.
fn make(root: &Path, account: &Account) -> Result<(), Error> {
    let made = DirBuilder::new().mode(OWNER_ONLY).create(root);
    made.map_err(Error::io(format!("making {}", root.display())))?;
    account.give(root)
}
