//! Locks on a folder: two advisory locks, which the kernel releases when their holders exit in any
//! way.
//!
//! `owner.lock` is held by the process that uses the Postgres: if it is locked, another process is
//! using the folder. `cluster.lock` is held by that process *and* its watchdog: if only this one is
//! locked, a watchdog is still stopping the Postgres of a process that died, so waiting helps.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;

const PATIENCE: Duration = Duration::from_secs(60);

/// Both locks of a folder. Dropping them releases them.
#[derive(Debug)]
pub(crate) struct Locks {
    _owner: File,
    cluster: File,
}

impl Locks {
    /// Locks the folder `root` for this process.
    pub(crate) fn take(root: &Path) -> Result<Self, Error> {
        let in_use = || Error::InUse {
            data_dir: root.to_owned(),
        };
        let owner = open(&root.join("owner.lock"))?;
        if !try_lock(&owner)? {
            return Err(in_use());
        }
        let cluster = open(&root.join("cluster.lock"))?;
        let give_up = Instant::now() + PATIENCE;
        while !try_lock(&cluster)? {
            if Instant::now() > give_up {
                return Err(in_use());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Self {
            _owner: owner,
            cluster,
        })
    }

    /// A handle that keeps the cluster locked for as long as a child process has it open.
    pub(crate) fn for_child(&self) -> Result<Stdio, Error> {
        self.cluster
            .try_clone()
            .map(Stdio::from)
            .map_err(Error::io("sharing a lock with the watchdog"))
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
        .open(path)
        .map_err(Error::io(format!("opening {}", path.display())))
}

fn try_lock(file: &File) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(Error::io("locking the data folder")(source)),
    }
}
