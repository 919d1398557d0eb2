//! Runs a private instance of the machine's own Postgres, for development and tests.
//!
//! [`PrivatePostgres::start`] creates a cluster in a folder (throwaway or kept), starts it on a
//! free port of 127.0.0.1 with a random password, and makes sure that the database [`DATABASE`]
//! exists. Guarantees:
//!
//! - **Nothing is left behind.** Postgres stops with [`PrivatePostgres::stop`], on drop, and,
//!   thanks to a watchdog process, also when this process is killed with SIGKILL. A throwaway
//!   folder is removed with it.
//! - **One folder, one owner.** A second start on a folder in use fails. A Postgres that was left
//!   running there is stopped first; stale pid files are removed.
//! - **Ctrl-C only reaches the caller.** Postgres runs in a process group of its own, so the
//!   terminal's SIGINT does not stop the database while a service still finishes its work.
//! - **Root works.** Postgres refuses to run as root, so it then runs as `postgres` or `nobody`,
//!   and its data moves below `/var/tmp` if that user cannot reach the requested folder (see
//!   [`PrivatePostgres::data_dir`]).
//! - **Other users have no access.** Postgres listens only on loopback and requires the password,
//!   and the folder is closed to other users.
//!
//! It uses only the standard library, and every call blocks: from async code, call it on a thread
//! for blocking work.

mod account;
mod cluster;
mod error;
mod folder;
mod install;
mod lock;
mod pgbouncer;
mod psql;
mod random;
mod signals;
mod standby;
mod watchdog;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use pgbouncer::{PgBouncer, PgBouncerOptions};
pub use watchdog::Watchdog;

use account::Account;
use cluster::{Cluster, Server};
use folder::Folder;
use install::Install;

/// The database that every private Postgres has.
pub const DATABASE: &str = "tableferry";

/// The owner of everything in a private Postgres.
pub const USER: &str = "tableferry";

/// How to start a [`PrivatePostgres`]. The default is a throwaway cluster on a free port.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that keeps the data. `None`: a throwaway folder in the machine's temp folder.
    pub data_dir: Option<PathBuf>,
    /// Whether data must survive a crash of the machine. Tests are faster without.
    pub durable: bool,
    /// The port on 127.0.0.1. `None`: a free one.
    pub port: Option<u16>,
}

/// A running private Postgres. Dropping it stops it; [`PrivatePostgres::stop`] also reports errors.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Drop order: the server stops, the watchdog is dismissed, the lock is released.
    server: Option<Server>,
    watchdog: Option<Watchdog>,
    folder: Folder,
    durable: bool,
    port: u16,
    password: String,
}

impl PrivatePostgres {
    /// Starts Postgres and returns when it accepts connections.
    pub fn start(options: Options) -> Result<Self, Error> {
        let account = Account::choose()?;
        let folder = match &options.data_dir {
            Some(wanted) => Folder::kept(wanted, &account)?,
            None => Folder::throwaway(&account)?,
        };
        let install = Install::find(folder.version().as_deref())?;
        let watchdog = Watchdog::over_postgres(&install, &folder, &account)?;
        // From here on the watchdog cleans up, so an early return only needs `Drop`.
        let mut this = Self {
            server: None,
            watchdog: Some(watchdog),
            folder,
            durable: options.durable,
            port: 0,
            password: String::new(),
        };
        let cluster = Cluster::prepare(&install, &this.folder, &account)?;
        let server = cluster.start(&options)?;
        (this.port, this.password) = (server.port(), server.password().to_owned());
        this.server = Some(server);
        Ok(this)
    }

    /// Stops Postgres as a crash would (`-m immediate`): every connection is closed and nothing
    /// more is written. The data stays, and [`PrivatePostgres::start_again`] recovers it. Does
    /// nothing if it is not running.
    pub fn crash(&mut self) -> Result<(), Error> {
        self.server.take().map_or(Ok(()), Server::crash)
    }

    /// Stops Postgres as a power cut would: SIGKILL to all its processes. The data stays. Does
    /// nothing if it is not running.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.server.take().map_or(Ok(()), Server::kill)
    }

    /// SIGSTOP to all its processes: nothing answers, and no connection is closed.
    pub fn pause(&mut self) -> Result<(), Error> {
        self.server.as_mut().map_or(Ok(()), Server::pause)
    }

    /// SIGCONT to all its processes.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.server.as_mut().map_or(Ok(()), Server::resume)
    }

    /// Starts Postgres again after [`PrivatePostgres::crash`] or [`PrivatePostgres::kill`], with
    /// the same data, port and password. Does nothing if it is running.
    pub fn start_again(&mut self) -> Result<(), Error> {
        if self.server.is_none() {
            let account = Account::choose()?;
            let install = Install::find(self.folder.version().as_deref())?;
            let cluster = Cluster::prepare(&install, &self.folder, &account)?;
            self.server = Some(cluster.start(&Options {
                data_dir: None,
                durable: self.durable,
                port: Some(self.port),
            })?);
        }
        Ok(())
    }

    /// The URL of a database of this Postgres, including the password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (port, password) = (self.port, &self.password);
        let database: String = database.bytes().map(percent_encoded).collect();
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// The URL of the maintenance database, for creating and dropping other databases.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.url("postgres")
    }

    /// The path of a program of this Postgres, such as `psql` or `pgbench`.
    pub fn program(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(Install::find(self.folder.version().as_deref())?.program(name))
    }

    /// The folder that actually holds the data and the log (`postgres.log`).
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// Stops Postgres and waits until it has exited; removes a throwaway folder.
    pub fn stop(mut self) -> Result<(), Error> {
        self.shut_down()
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        let stopped = self.server.take().map_or(Ok(()), Server::stop);
        let removed = self.folder.remove_if_throwaway();
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        stopped.and(removed)
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("private-postgres: {error}");
        }
    }
}

/// One byte of a database name, URL-encoded.
fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}
