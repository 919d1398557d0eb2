//! The folder of a private Postgres: made, checked, locked, and removed if it is a throwaway one.
//!
//! What is in it: `data` (the cluster), `postgres.log` and the log before it, `password`, two lock
//! files. The folder belongs to the user that Postgres runs as and is closed to all others. A
//! folder that this user cannot reach (below /root, say) is replaced by one in /var/tmp whose name
//! is made from the wanted path, so the next start finds it.

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

/// A folder that this process holds locked.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    throwaway: bool,
    locks: Locks,
}

impl Folder {
    /// A new folder in the temp folder, with a name that nobody can guess or have taken.
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
        let wanted = path::absolute(wanted)
            .map_err(Error::io(format!("looking for {}", wanted.display())))?;
        Self::locked(&kept_root(&wanted, account)?, false)
    }

    fn locked(root: &Path, throwaway: bool) -> Result<Self, Error> {
        // One spelling per folder: a Postgres left running in it is recognised by the path it was
        // started with.
        let root = root
            .canonicalize()
            .map_err(Error::io(format!("looking for {}", root.display())))?;
        Ok(Self {
            locks: Locks::take(&root)?,
            root,
            throwaway,
        })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The cluster itself: what Postgres calls its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Whether it goes when Postgres stops.
    pub(crate) fn is_throwaway(&self) -> bool {
        self.throwaway
    }

    /// The major version that made the cluster in it, if there is one.
    pub(crate) fn version(&self) -> Option<String> {
        fs::read_to_string(self.data().join("PG_VERSION"))
            .ok()
            .map(|text| text.trim().to_owned())
    }

    /// A handle that keeps the folder locked for a child process.
    pub(crate) fn lock_for_child(&self) -> Result<Stdio, Error> {
        self.locks.for_child()
    }

    /// Removes a throwaway folder; once it is gone, does nothing.
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
        // An empty folder of somebody else (root made it for us, say) is as good as none.
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

/// The folder in /var/tmp that stands for `wanted`. Anybody may write there, so one that exists is
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

/// Makes a folder that must not exist yet, for the account alone.
fn make(root: &Path, account: &Account) -> Result<(), Error> {
    let made = DirBuilder::new().mode(OWNER_ONLY).create(root);
    made.map_err(Error::io(format!("making {}", root.display())))?;
    account.give(root)
}
