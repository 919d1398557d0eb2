//! A second Postgres that follows a first one, synchronously if that is wanted, and can take its
//! place.

use std::fs;
use std::io::ErrorKind;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cluster::{Cluster, keep_password, run};
use crate::folder::Folder;
use crate::install::Install;
use crate::watchdog::Watchdog;
use crate::{Error, Options, PrivatePostgres, USER, psql};

/// By this name a primary knows its standby.
const NAME: &str = "standby";

/// How long a standby may take to catch up.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);

/// What a primary and its standby need beside the defaults: WAL is kept for a standby that was away
/// for a while, and a standby whose primary was away looks for it again at once.
const SETTINGS: &str = "ALTER SYSTEM SET wal_keep_size = '512MB';
    ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms';
    SELECT pg_reload_conf();";

impl PrivatePostgres {
    /// Starts a throwaway Postgres that follows `primary`. It has the primary's databases and
    /// password, and a port of its own.
    ///
    /// # Errors
    /// As [`PrivatePostgres::start`], and when the copy of the primary fails.
    pub fn start_standby(primary: &Self) -> Result<Self, Error> {
        let account = Account::choose()?;
        let folder = Folder::throwaway(&account)?;
        let install = Install::find(primary.folder.version().as_deref())?;
        let watchdog = Watchdog::over_postgres(&install, &folder, &account)?;
        let (durable, password) = (primary.durable, primary.password.clone());
        let mut this = Self {
            server: None,
            watchdog: Some(watchdog),
            folder,
            durable,
            port: 0,
            password,
        };
        this.follow(primary)?;
        Ok(this)
    }

    /// Throws away this Postgres's data and lets it follow `primary`, on the port it had.
    ///
    /// # Errors
    /// As [`PrivatePostgres::start_standby`].
    pub fn follow(&mut self, primary: &Self) -> Result<(), Error> {
        self.kill()?;
        primary.ask(SETTINGS, "preparing the primary (psql)")?;
        let account = Account::choose()?;
        let install = Install::find(primary.folder.version().as_deref())?;
        let data = self.folder.data();
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io(format!("removing {}", data.display()))(error));
            }
            _ => {}
        }
        keep_password(&self.folder, &account, &primary.password)?;
        self.password.clone_from(&primary.password);
        let mut copy = account.command(install.program("pg_basebackup"));
        copy.arg("--pgdata").arg(&data).args([
            "--host",
            "127.0.0.1",
            "--port",
            &primary.port.to_string(),
            "--username",
            USER,
        ]);
        copy.args([
            "--write-recovery-conf",
            "--wal-method",
            "stream",
            "--checkpoint",
            "fast",
            "--no-sync",
            "--no-password",
        ]);
        // Both find their way into what the standby connects with.
        copy.env("PGPASSWORD", &primary.password)
            .env("PGAPPNAME", NAME);
        run(&mut copy, "copying the primary (pg_basebackup)")?;
        let cluster = Cluster::prepare(&install, &self.folder, &account)?;
        let port = (self.port != 0).then_some(self.port);
        let server = cluster.start(&Options {
            data_dir: None,
            durable: self.durable,
            port,
        })?;
        self.port = server.port();
        self.server = Some(server);
        // Copied from the primary; it would keep this one from committing once it is promoted.
        self.ask(
            "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();",
            "preparing the standby (psql)",
        )
        .map(drop)
    }

    /// From now on nothing is committed here before the standby has it as well. Returns when that
    /// holds.
    ///
    /// # Errors
    /// When the standby does not catch up.
    pub fn be_synchronous(&self) -> Result<(), Error> {
        let doing = "waiting for the standby to catch up (psql)";
        self.ask(
            &format!(
                "ALTER SYSTEM SET synchronous_standby_names = '{NAME}'; SELECT pg_reload_conf();"
            ),
            doing,
        )?;
        let give_up = Instant::now() + CATCH_UP_PATIENCE;
        let sql = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{NAME}' AND sync_state = 'sync'"
        );
        while self.ask(&sql, doing)? != "1" {
            if Instant::now() > give_up {
                return Err(Error::Failed {
                    doing,
                    output: format!("not within {} s", CATCH_UP_PATIENCE.as_secs()),
                });
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Makes a standby the primary; returns when it takes writes. It waits for no standby of its
    /// own.
    ///
    /// # Errors
    /// When it was none, or Postgres fails.
    pub fn promote(&self) -> Result<(), Error> {
        let doing = "promoting the standby (psql)";
        if self.ask("SELECT pg_promote(true, 60)", doing)? == "t" {
            return Ok(());
        }
        Err(Error::Failed {
            doing,
            output: "pg_promote says that it did not become the primary".to_owned(),
        })
    }

    fn ask(&self, sql: &str, doing: &'static str) -> Result<String, Error> {
        let account = Account::choose()?;
        let install = Install::find(self.folder.version().as_deref())?;
        psql::run(&install, &account, self.port, &self.password, sql, doing)
    }
}
