//! The cluster in a folder: created once, started, stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::folder::Folder;
use crate::install::Install;
use crate::{DATABASE, Error, Options, USER, random, signals};

/// Recovery after a crash of the machine may take this long.
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const KILL_PATIENCE: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(10);
/// Another process may take a free port before Postgres binds it.
const START_ATTEMPTS: u32 = 5;

/// How to stop the Postgres of `folder`: throwaway data needs no orderly shutdown.
pub(crate) fn stop_mode(folder: &Folder) -> &'static str {
    if folder.is_throwaway() {
        "immediate"
    } else {
        "fast"
    }
}

/// A cluster that exists but is not running.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    install: &'a Install,
    folder: &'a Folder,
    account: &'a Account,
    password: String,
}

impl<'a> Cluster<'a> {
    /// Creates the cluster if the folder has none, and stops a Postgres that still runs on it.
    pub(crate) fn prepare(
        install: &'a Install,
        folder: &'a Folder,
        account: &'a Account,
    ) -> Result<Self, Error> {
        if let Some(made_by) = folder.version()
            && made_by != install.version()?
        {
            return Err(Error::OtherVersion {
                data_dir: folder.root().to_owned(),
                made_by,
            });
        }
        let password = password(folder, account)?;
        let this = Self {
            install,
            folder,
            account,
            password,
        };
        if folder.version().is_none() {
            this.make()?;
        }
        this.stop_leftover()?;
        Ok(this)
    }

    /// Runs initdb in a temporary folder next to the final one, so that an interrupted run is never
    /// mistaken for a complete cluster.
    fn make(&self) -> Result<(), Error> {
        let unfinished = self.folder.root().join("data.new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io(format!("removing {}", unfinished.display()))(
                    error,
                ));
            }
            _ => {}
        }
        let mut initdb = self.account.command(self.install.program("initdb"));
        initdb
            .arg("--pgdata")
            .arg(&unfinished)
            .arg("--pwfile")
            .arg(self.folder.root().join("password"));
        initdb.args(["--username", USER, "--encoding", "UTF8", "--locale", "C"]);
        // `password`, not `scram-sha-256`: loopback traffic cannot be read by others, and SCRAM
        // costs a client without optimisation about 50 ms per connection.
        initdb.args(["--auth-host", "password", "--auth-local", "reject"]);
        if self.folder.is_throwaway() {
            initdb.arg("--no-sync");
        }
        run(&mut initdb, "creating a Postgres cluster (initdb)")?;
        self.make_database(&unfinished)?;
        let data = self.folder.data();
        fs::rename(&unfinished, &data).map_err(Error::io(format!(
            "renaming {} to {}",
            unfinished.display(),
            data.display()
        )))
    }

    /// Creates the database with the server program alone, because some Postgres packages lack
    /// psql.
    fn make_database(&self, data: &Path) -> Result<(), Error> {
        const DOING: &str = "creating the database (postgres --single)";
        let mut postgres = self.account.command(self.install.program("postgres"));
        // Without `exit_on_error` it would exit successfully after an error.
        postgres
            .args(["--single", "-c", "exit_on_error=true", "-D"])
            .arg(data);
        if self.folder.is_throwaway() {
            postgres.arg("-F");
        }
        postgres
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = postgres.spawn().map_err(Error::io(DOING))?;
        if let Some(mut input) = child.stdin.take() {
            // If it ended early, its output says more than the broken pipe.
            let _ = input.write_all(format!("CREATE DATABASE {DATABASE}\n").as_bytes());
        }
        succeeded(child.wait_with_output().map_err(Error::io(DOING))?, DOING)
    }

    /// Stops a Postgres that a killed process left running, and removes a stale pid file.
    fn stop_leftover(&self) -> Result<(), Error> {
        let pid_file = self.folder.data().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&pid_file) else {
            return Ok(());
        };
        let pid = text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        if pid.is_some_and(|pid| self.is_our_postgres(pid)) {
            let mut pg_ctl = pg_ctl(self.install, self.account, &self.folder.data());
            pg_ctl
                .args(["stop", "-m", "fast", "-w", "-t"])
                .arg(STOP_PATIENCE.as_secs().to_string());
            return run(
                &mut pg_ctl,
                "stopping the Postgres that was left running (pg_ctl)",
            )
            .map(drop);
        }
        // A stale pid file prevents Postgres from starting if its number now belongs to another
        // process.
        match fs::remove_file(&pid_file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("removing {}", pid_file.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether the process `pid` is a Postgres on this cluster, not another process that reuses the
    /// number.
    fn is_our_postgres(&self, pid: u32) -> bool {
        let data = self.folder.data();
        if !Path::new("/proc/self").exists() {
            let mut pg_ctl = pg_ctl(self.install, self.account, &data);
            return pg_ctl
                .arg("status")
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        }
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = command_line.split(|byte| *byte == 0);
        let is_postgres = words
            .next()
            .is_some_and(|program| program.ends_with(b"postgres"));
        is_postgres && words.any(|word| word == data.as_os_str().as_encoded_bytes())
    }

    /// Starts Postgres and waits until it accepts connections.
    pub(crate) fn start(&self, options: &Options) -> Result<Server, Error> {
        let mut attempt = 1;
        loop {
            let started = self.launch(options);
            let try_again = match &started {
                Err(Error::PortTaken { .. }) => options.port.is_none(),
                // Children of a killed Postgres need a moment to notice.
                Err(Error::Failed { output, .. }) => {
                    output.contains("pre-existing shared memory block")
                }
                _ => false,
            };
            if !try_again || attempt == START_ATTEMPTS {
                return started;
            }
            attempt += 1;
            sleep(Duration::from_millis(300));
        }
    }

    fn launch(&self, options: &Options) -> Result<Server, Error> {
        let port = options.port.map_or_else(free_port, Ok)?;
        let data = self.folder.data();
        let log = new_log(self.folder.root())?;
        let log_too = log.try_clone().map_err(Error::io("sharing the log file"))?;
        let mut postgres = self.account.command(self.install.program("postgres"));
        postgres
            .arg("-D")
            .arg(&data)
            .arg("-p")
            .arg(port.to_string());
        for setting in settings(options.durable) {
            postgres.args(["-c", setting]);
        }
        postgres.process_group(0).stdout(log).stderr(log_too);
        let child = postgres.spawn().map_err(Error::io("starting Postgres"))?;
        let mut stop = pg_ctl(self.install, self.account, &data);
        stop.args(["stop", "-W", "-m"]);
        let mut server = Server {
            child,
            stop,
            mode: stop_mode(self.folder),
            port,
            password: self.password.clone(),
            ended: false,
            paused: false,
        };
        self.wait_until_ready(&mut server)?;
        Ok(server)
    }

    fn wait_until_ready(&self, server: &mut Server) -> Result<(), Error> {
        let pid_file = self.folder.data().join("postmaster.pid");
        let give_up = Instant::now() + START_PATIENCE;
        loop {
            if let Some(status) = server
                .child
                .try_wait()
                .map_err(Error::io("waiting for Postgres to start"))?
            {
                server.ended = true;
                return Err(self.why_not_started(status, server.port));
            }
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            if text
                .lines()
                .nth(7)
                .is_some_and(|status| status.trim() == "ready")
            {
                return Ok(());
            }
            if Instant::now() > give_up {
                let output = format!(
                    "not ready after {} s; its log:\n{}",
                    START_PATIENCE.as_secs(),
                    self.log_tail()
                );
                return Err(Error::Failed {
                    doing: "starting Postgres",
                    output,
                });
            }
            sleep(POLL_EVERY);
        }
    }

    fn why_not_started(&self, status: ExitStatus, port: u16) -> Error {
        let tail = self.log_tail();
        if tail.contains("could not bind") {
            return Error::PortTaken { port };
        }
        Error::Failed {
            doing: "starting Postgres",
            output: format!("{status}; its log:\n{tail}"),
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.folder.root().join("postgres.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4_000)..]).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The pg_ctl command, without the mode.
    stop: Command,
    mode: &'static str,
    port: u16,
    password: String,
    ended: bool,
    paused: bool,
}

impl Server {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Stops it and waits until it has exited.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.shut_down()
    }

    /// Stops it as a crash would, and waits until it has exited.
    pub(crate) fn crash(mut self) -> Result<(), Error> {
        self.mode = "immediate";
        self.shut_down()
    }

    /// Stops all its processes with SIGSTOP.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        self.paused = true;
        signals::stop(self.child.id())
    }

    /// Continues all its processes.
    pub(crate) fn resume(&mut self) -> Result<(), Error> {
        self.paused = false;
        signals::go_on(self.child.id())
    }

    /// Kills all its processes; returns when they have exited.
    pub(crate) fn kill(mut self) -> Result<(), Error> {
        signals::kill(self.child.id())?;
        self.ended = self.wait_for_end(KILL_PATIENCE)?;
        Ok(())
    }

    fn shut_down(&mut self) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        if self.paused {
            self.resume()?;
        }
        let asked = run(self.stop.arg(self.mode), "stopping Postgres (pg_ctl)");
        if self.wait_for_end(STOP_PATIENCE)? {
            return Ok(()); // even if pg_ctl found nothing to stop
        }
        let _ = self.child.kill();
        self.wait_for_end(KILL_PATIENCE)?;
        asked?;
        Err(Error::Failed {
            doing: "stopping Postgres",
            output: format!("it had to be killed after {} s", STOP_PATIENCE.as_secs()),
        })
    }

    fn wait_for_end(&mut self, patience: Duration) -> Result<bool, Error> {
        let give_up = Instant::now() + patience;
        while Instant::now() < give_up {
            if self
                .child
                .try_wait()
                .map_err(Error::io("waiting for Postgres to stop"))?
                .is_some()
            {
                return Ok(true);
            }
            sleep(POLL_EVERY);
        }
        Ok(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("private-postgres: {error}");
        }
    }
}

/// Settings that differ from Postgres's defaults.
fn settings(durable: bool) -> impl Iterator<Item = &'static str> {
    let always = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=128MB",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    let careless: &[&str] = if durable {
        &[]
    } else {
        &[
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ]
    };
    always.into_iter().chain(careless.iter().copied())
}

fn pg_ctl(install: &Install, account: &Account, data: &Path) -> Command {
    let mut command = account.command(install.program("pg_ctl"));
    command.arg("-D").arg(data);
    command
}

/// The password of the folder's cluster, created with the cluster. Initdb reads it from the same
/// file.
fn password(folder: &Folder, account: &Account) -> Result<String, Error> {
    let path = folder.root().join("password");
    let known = fs::read_to_string(&path).unwrap_or_default();
    if !known.trim().is_empty() {
        return Ok(known.trim().to_owned());
    }
    if folder.version().is_some() {
        return Err(Error::unfit(
            folder.root(),
            "its file `password` is missing or cannot be read",
        ));
    }
    let password = random::hex(16)?;
    keep_password(folder, account, &password)?;
    Ok(password)
}

/// Saves the password of the folder's cluster.
pub(crate) fn keep_password(
    folder: &Folder,
    account: &Account,
    password: &str,
) -> Result<(), Error> {
    let path = folder.root().join("password");
    let _ = fs::remove_file(&path);
    let writing = || Error::io(format!("writing {}", path.display()));
    let mut file = new_file(&path).map_err(writing())?;
    file.write_all(password.as_bytes()).map_err(writing())?;
    account.give(&path)
}

/// Creates an empty log; the previous one is kept next to it.
fn new_log(root: &Path) -> Result<File, Error> {
    let path = root.join("postgres.log");
    let _ = fs::rename(&path, root.join("postgres.log.before"));
    new_file(&path).map_err(Error::io(format!("opening {}", path.display())))
}

/// Creates a file that only its owner can read. It does not follow links, because root writes here
/// to folders where another user could have placed one.
pub(crate) fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

pub(crate) fn free_port() -> Result<u16, Error> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(Error::io("finding a free port"))
}

/// Runs a program to its end. If it fails, its output is the error's text.
pub(crate) fn run(command: &mut Command, doing: &'static str) -> Result<(), Error> {
    succeeded(command.output().map_err(Error::io(doing))?, doing)
}

fn succeeded(output: Output, doing: &'static str) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Error::Failed {
        doing,
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
