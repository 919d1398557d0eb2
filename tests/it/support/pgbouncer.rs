//! PgBouncer as a process of the test, between the service and the Postgres for tests.
//!
//! Its settings are PgBouncer's defaults except for its address, its upstream, and what a test
//! sets. The program is `TABLEFERRY_TEST_PGBOUNCER`, or Debian's; `TABLEFERRY_TEST_PGBOUNCER_LIBS`
//! names a folder with the C library and the loader for a program that was built for another
//! release of Debian.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use url::Url;

use super::{Folder, POLL_EVERY};

/// Where Debian's package installs it.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// It starts in some milliseconds.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// When a connection to Postgres is returned to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    Session,
    Transaction,
}

/// A running PgBouncer. Dropping it kills it.
pub struct PgBouncer {
    child: Child,
    folder: Folder,
    url: Url,
}

/// The result of `SHOW POOLS` for the one database.
#[derive(Debug, Clone, Copy)]
pub struct PoolUse {
    /// Connections of the service that hold one of Postgres.
    pub active: u32,
    /// Connections of the service that wait for one.
    pub waiting: u32,
}

impl PgBouncer {
    /// Starts it in front of this database. `settings` are lines of its file.
    pub async fn start(mode: PoolMode, database_url: &str, settings: &str) -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut url = Url::parse(database_url).unwrap();
        fs::write(
            folder.path().join("pgbouncer.ini"),
            ini(mode, &url, port, settings),
        )
        .unwrap();
        url.set_port(Some(port)).unwrap();
        url.set_password(None).unwrap();
        let mut this = Self {
            child: spawn(&folder),
            folder,
            url,
        };
        this.answers().await;
        this
    }

    /// The database's URL through it.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Kills it, which breaks every connection, and starts it again on the same port.
    pub async fn restart(&mut self) {
        self.child.kill().await.unwrap();
        self.child = spawn(&self.folder);
        self.answers().await;
    }

    /// The current use of the pool.
    pub async fn pool_use(&self) -> PoolUse {
        let pools = self.console("SHOW POOLS").await.unwrap();
        let name = self.url.path().trim_start_matches('/');
        let text = |row: &PgRow, column: &str| row.try_get_unchecked::<String, _>(column).unwrap();
        let pool = pools
            .iter()
            .find(|row| text(row, "database") == name)
            .expect("a client has connected before");
        let number = |column: &str| text(pool, column).parse().unwrap();
        PoolUse {
            active: number("cl_active"),
            waiting: number("cl_waiting"),
        }
    }

    /// Its log, for a test that fails.
    pub fn log(&self) -> String {
        fs::read_to_string(log(&self.folder)).unwrap_or_default()
    }

    async fn answers(&mut self) {
        let up = async {
            while self.console("SHOW VERSION").await.is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "PgBouncer ended: {}", self.log());
                sleep(POLL_EVERY).await;
            }
        };
        timeout(START_PATIENCE, up)
            .await
            .expect("PgBouncer answers");
    }

    /// Queries its admin console, which supports only the simple protocol and no settings.
    async fn console(&self, question: &'static str) -> sqlx::Result<Vec<PgRow>> {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.url.port().unwrap())
            .username("pgbouncer")
            .database("pgbouncer")
            .ssl_mode(sqlx::postgres::PgSslMode::Disable)
            .extra_float_digits(None);
        let mut connection = options.connect().await?;
        let rows = sqlx::raw_sql(question).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    }
}

/// Major and minor version of the PgBouncer that tests run.
pub fn pgbouncer_version() -> (u32, u32) {
    let output = command(["--version"]).into_std().output();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; `make test` installs it", program().display())
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("PgBouncer "))
        .unwrap_or_else(|| panic!("{text}"));
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness reads its variables here"
)]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn program() -> PathBuf {
    variable("TABLEFERRY_TEST_PGBOUNCER").unwrap_or_else(|| DEBIAN.into())
}

/// The program itself, or the loader that runs it with its own libraries.
fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = match variable("TABLEFERRY_TEST_PGBOUNCER_LIBS") {
        Some(libs) => {
            let mut command = Command::new(loader(&libs));
            command.arg("--library-path").arg(&libs).arg(program());
            command
        }
        None => Command::new(program()),
    };
    command.args(arguments);
    command
}

fn loader(libs: &Path) -> PathBuf {
    let files = fs::read_dir(libs).unwrap_or_else(|error| panic!("{}: {error}", libs.display()));
    let mut files = files.map(|file| file.unwrap().path());
    files
        .find(|file| {
            file.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("ld-linux")
        })
        .expect("the loader is next to the libraries")
}

fn log(folder: &Folder) -> PathBuf {
    folder.path().join("pgbouncer.log")
}

fn spawn(folder: &Folder) -> Child {
    let said = File::options()
        .create(true)
        .append(true)
        .open(log(folder))
        .unwrap();
    let mut command = command([folder.path().join("pgbouncer.ini")]);
    command
        .env_clear()
        .stdin(std::process::Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .kill_on_drop(true);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `make test` installs it", program().display()))
}

/// Its configuration file: the defaults, except for what is required.
fn ini(mode: PoolMode, database: &Url, port: u16, settings: &str) -> String {
    let name = database.path().trim_start_matches('/');
    let (host, real_port) = (database.host_str().unwrap(), database.port().unwrap());
    let (user, password) = (database.username(), database.password().unwrap_or_default());
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
    };
    // It refuses to run as root, and then switches to this user.
    let as_root =
        fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let user_line = if as_root { "user = nobody\n" } else { "" };
    format!(
        "[databases]\n\
         {name} = host={host} port={real_port} dbname={name} user={user} password={password}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = {mode}\n\
         {user_line}{settings}"
    )
}
