//! Runs the machine's own Postgres privately, for development and tests.
//!
//! [`PrivatePostgres::start`] makes a cluster in a folder (a throwaway one, or one that is kept),
//! starts it on a free port of 127.0.0.1 with a random password, and makes sure that it has a
//! database [`DATABASE`]. What it promises:
//!
//! - **Nothing is left behind.** Postgres stops with [`PrivatePostgres::stop`], on drop, and,
//!   thanks to a watchdog process, also when this process is killed with SIGKILL. A throwaway
//!   folder goes with it.
//! - **One folder, one owner.** A second start on a folder in use is refused; a Postgres that
//!   somebody left running there is stopped first; stale pid files are removed.
//! - **Ctrl-C is the caller's.** Postgres runs in a process group of its own, so that the
//!   terminal's SIGINT does not take the database away from a service that still wants to finish
//!   its work.
//! - **Root works.** Postgres refuses to run as root, so it then runs as `postgres`, or else
//!   `nobody`, and its data moves below `/var/tmp` if that user cannot reach the wanted folder
//!   ([`PrivatePostgres::data_dir`] tells).
//! - **Other users stay out.** Only loopback, only with the password, and the folder is closed to
//!   everybody else.
//!
//! The standard library is all it uses, and every call blocks: from async code, call it on a thread
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

/// The user that owns everything in a private Postgres.
pub const USER: &str = "tableferry";

/// How to start a [`PrivatePostgres`]. The default is a throwaway cluster on a free port.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that keeps the data. `None`: a throwaway folder in the machine's temp folder.
    pub data_dir: Option<PathBuf>,
    /// Whether a crash of the machine must lose nothing. Tests are faster without.
    pub durable: bool,
    /// The port on 127.0.0.1. `None`: a free one.
    pub port: Option<u16>,
}

/// A running Postgres of our own. Dropping it stops it; [`PrivatePostgres::stop`] does too and
/// reports trouble.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Dropped in this order: the server stops, the watchdog is told that nothing is left to do, the
    // lock is released.
    server: Option<Server>,
    watchdog: Option<Watchdog>,
    folder: Folder,
    durable: bool,
    port: u16,
    password: String,
}

impl PrivatePostgres {
    /// Starts Postgres and returns when it takes connections.
    ///
    /// # Errors
    /// When Postgres is not installed, the folder is in use or unfit, or Postgres does not start:
    /// the error's text says what to do, and ends with Postgres's own last words where there are
    /// any.
    pub fn start(options: Options) -> Result<Self, Error> {
        let account = Account::choose()?;
        let folder = match &options.data_dir {
            Some(wanted) => Folder::kept(wanted, &account)?,
            None => Folder::throwaway(&account)?,
        };
        let install = Install::find(folder.version().as_deref())?;
        let watchdog = Watchdog::over_postgres(&install, &folder, &account)?;
        // From here on the watchdog cleans up after us, so an early return needs only to let `Drop`
        // run.
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

    /// Ends Postgres as a crash would (`-m immediate`): every connection breaks off, nothing is
    /// written any more. The data stays, and [`PrivatePostgres::start_again`] recovers it. Does
    /// nothing if it is not running.
    ///
    /// # Errors
    /// When Postgres had to be killed.
    pub fn crash(&mut self) -> Result<(), Error> {
        self.server.take().map_or(Ok(()), Server::crash)
    }

    /// Ends Postgres as a power cut would: SIGKILL to every process of it. The data stays. Does
    /// nothing if it is not running.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.server.take().map_or(Ok(()), Server::kill)
    }

    /// SIGSTOP to every process of it: nothing answers any more, and nothing is closed.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn pause(&mut self) -> Result<(), Error> {
        self.server.as_mut().map_or(Ok(()), Server::pause)
    }

    /// SIGCONT to every process of it.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.server.as_mut().map_or(Ok(()), Server::resume)
    }

    /// Starts Postgres again after [`PrivatePostgres::crash`] or [`PrivatePostgres::kill`], with
    /// the same data, port and password. Does nothing if it runs.
    ///
    /// # Errors
    /// As [`PrivatePostgres::start`]; also when somebody took the port in the meantime.
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

    /// The URL of a database of this Postgres, password included.
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

    /// Where a program of the Postgres that runs is, such as `psql` or `pgbench`.
    ///
    /// # Errors
    /// When Postgres is not installed any more.
    pub fn program(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(Install::find(self.folder.version().as_deref())?.program(name))
    }

    /// Where the data and the log (`postgres.log`) really are.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// Stops Postgres and waits until it is gone; removes a throwaway folder.
    ///
    /// # Errors
    /// When Postgres had to be killed, or the throwaway folder could not be removed.
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

/// One byte of a database name as a URL carries it.
fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}
