//! A second Postgres that replicates a first one, optionally synchronously, and can be promoted.

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

/// The name by which a primary knows its standby.
const NAME: &str = "standby";

/// How long a standby may take to catch up.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);

/// Settings that a primary and its standby need besides the defaults: the primary keeps WAL for a
/// standby that was disconnected for a while, and a standby reconnects to its primary immediately.
const SETTINGS: &str = "ALTER SYSTEM SET wal_keep_size = '512MB';
    ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms';
    SELECT pg_reload_conf();";

impl PrivatePostgres {
    /// Starts a throwaway Postgres that replicates `primary`. It has the primary's databases and
    /// password, and a port of its own.
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

    /// Discards this Postgres's data and lets it replicate `primary`, on its previous port.
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
        // Both end up in the connection settings of the standby.
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
        // Copied from the primary; it would block this server's commits after its promotion.
        self.ask(
            "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf();",
            "preparing the standby (psql)",
        )
        .map(drop)
    }

    /// From now on every commit waits until the standby has it too. Returns when that is in effect.
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

    /// Promotes a standby to primary; returns when it accepts writes. It does not wait for a
    /// standby of its own.
    pub fn promote(&self) -> Result<(), Error> {
        let doing = "promoting the standby (psql)";
        if self.ask("SELECT pg_promote(true, 60)", doing)? == "t" {
            return Ok(());
        }
        Err(Error::Failed {
            doing,
            output: "pg_promote reported that it did not become the primary".to_owned(),
        })
    }

    fn ask(&self, sql: &str, doing: &'static str) -> Result<String, Error> {
        let account = Account::choose()?;
        let install = Install::find(self.folder.version().as_deref())?;
        psql::run(&install, &account, self.port, &self.password, sql, doing)
    }
}
