//! A private PgBouncer, in session mode, in front of a private Postgres.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cluster::{free_port, new_file};
use crate::folder::Folder;
use crate::watchdog::Watchdog;
use crate::{Error, PrivatePostgres, USER};

/// Where Debian's package installs it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
const PATIENCE: Duration = Duration::from_secs(10);

/// Settings that differ from PgBouncer's defaults.
#[derive(Debug, Clone)]
pub struct PgBouncerOptions {
    /// Where connections to every database are forwarded.
    pub to: SocketAddr,
    /// The maximum number of connections to Postgres. In session mode each client holds one while
    /// it is connected.
    pub pool_size: u32,
    /// Startup parameters of clients that are ignored instead of rejected, separated by commas.
    pub ignored_parameters: String,
}

/// A running PgBouncer. Dropping it stops it; a watchdog stops it if this process is killed.
#[derive(Debug)]
pub struct PgBouncer {
    running: Option<(Child, Watchdog)>,
    folder: Folder,
    address: SocketAddr,
}

impl PgBouncer {
    #[must_use]
    pub fn is_installed() -> bool {
        Path::new(PROGRAM).is_file()
    }

    /// Starts it with the user and password of `postgres`; returns when it accepts connections.
    pub fn start(postgres: &PrivatePostgres, options: &PgBouncerOptions) -> Result<Self, Error> {
        let account = Account::choose()?;
        let folder = Folder::throwaway(&account)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let this = Self {
            running: None,
            folder,
            address,
        };
        let PgBouncerOptions {
            to,
            pool_size,
            ignored_parameters,
        } = options;
        let root = this.folder.root().display();
        this.write(
            &account,
            "users",
            &format!("\"{USER}\" \"{}\"\n", postgres.password),
        )?;
        let (host, port, own_port) = (to.ip(), to.port(), address.port());
        let settings = format!(
            "[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own_port}\nunix_socket_dir =\n\
             auth_file = {root}/users\nlogfile = {root}/pgbouncer.log\npool_mode = session\ndefault_pool_size = {pool_size}\n\
             ignore_startup_parameters = {ignored_parameters}\n"
        );
        this.write(&account, "pgbouncer.ini", &settings)?;
        let mut this = this;
        this.start_again()?;
        Ok(this)
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGTERM: it closes every connection and exits. Returns when it has exited.
    pub fn stop(&mut self) -> Result<(), Error> {
        let Some((mut child, watchdog)) = self.running.take() else {
            return Ok(());
        };
        let asked = Command::new("kill")
            .args(["-s", "TERM", &child.id().to_string()])
            .stdin(Stdio::null())
            .status();
        let give_up = Instant::now() + PATIENCE;
        let mut ended = false;
        while !ended && Instant::now() < give_up {
            ended = child
                .try_wait()
                .map_err(Error::io("waiting for PgBouncer to stop"))?
                .is_some();
            sleep(Duration::from_millis(10));
        }
        if !ended {
            let _ = child.kill();
            let _ = child.wait();
        }
        watchdog.dismiss();
        asked.map_err(Error::io("sending a signal to PgBouncer"))?;
        let killed = || Error::Failed {
            doing: "stopping PgBouncer",
            output: "it had to be killed".to_owned(),
        };
        ended.then_some(()).ok_or_else(killed)
    }

    /// Starts it again on the same port. Does nothing if it is running.
    pub fn start_again(&mut self) -> Result<(), Error> {
        if self.running.is_some() {
            return Ok(());
        }
        let mut command = Account::choose()?.command(PROGRAM);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .arg(self.path("pgbouncer.ini"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(Error::io(format!("starting {PROGRAM}")))?;
        let watchdog = Watchdog::over_process_and_folder(child.id(), self.folder.root())?;
        let (child, _) = self.running.insert((child, watchdog));
        let give_up = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            let has_ended = child
                .try_wait()
                .map_err(Error::io("waiting for PgBouncer to start"))?
                .is_some();
            if has_ended || Instant::now() > give_up {
                let log = self.folder.root().join("pgbouncer.log");
                return Err(Error::Failed {
                    doing: "starting PgBouncer",
                    output: fs::read_to_string(log).unwrap_or_default(),
                });
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.root().join(name)
    }

    fn write(&self, account: &Account, name: &str, text: &str) -> Result<(), Error> {
        let path = self.path(name);
        let writing = || Error::io(format!("writing {}", path.display()));
        let mut file = new_file(&path).map_err(writing())?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(writing())?;
        account.give(&path)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Err(error) = self.stop().and_then(|()| self.folder.remove_if_throwaway()) {
            eprintln!("private-postgres: {error}");
        }
    }
}
