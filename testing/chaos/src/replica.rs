//! A replica of the service: the real binary as a separate process, and the signals to it.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use private_postgres::Watchdog;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::Failed;

/// How long a replica may take to stop after SIGTERM, as the service promises.
pub const STOP_PROMISE: Duration = Duration::from_secs(10);

/// How long to wait for a replica that did not stop in time, to see whether it stops at all.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Replica {
    /// Its number.
    pub index: usize,
    pub address: SocketAddr,
    /// The file of its log.
    pub log: PathBuf,
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    running: Mutex<Option<Running>>,
    signals: AtomicU64,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Ends the replica if the harness is killed.
    watchdog: Watchdog,
}

/// The result of SIGTERM to a replica.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// How long the stop took.
    pub after: Duration,
    /// Whether it ended with status 0 and in time.
    pub in_order: bool,
}

impl Replica {
    /// A replica that is not running yet.
    #[must_use]
    pub fn new(
        index: usize,
        address: SocketAddr,
        program: PathBuf,
        log: PathBuf,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            index,
            address,
            log,
            program,
            variables,
            running: Mutex::new(None),
            signals: AtomicU64::new(0),
        }
    }

    /// The URL of a path of its API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A number that changes with each start, end, SIGSTOP and SIGCONT; odd while it is running and
    /// not disturbed.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.signals.load(Ordering::SeqCst)
    }

    /// Marks that it may run from now on, or not; changes [`Replica::life`].
    fn may_run(&self, let_run: bool) {
        let next = |life: u64| Some(life + 1 + u64::from(life.is_multiple_of(2) != let_run));
        let _ = self
            .signals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Starts it, if it is not running.
    pub async fn start(&self) -> Result<(), Failed> {
        let mut running = self.running.lock().await;
        if running.is_some() {
            return Ok(());
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .arg("serve")
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        // In a group of its own, so that the terminal's Ctrl-C only reaches the harness.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let watchdog = Watchdog::over_process(child.id().ok_or("the replica ended immediately")?)?;
        *running = Some(Running { child, watchdog });
        self.may_run(true);
        Ok(())
    }

    /// SIGKILL; returns when it has exited.
    pub async fn kill(&self) -> Result<(), Failed> {
        self.may_run(false);
        if let Some(Running {
            mut child,
            watchdog,
        }) = self.running.lock().await.take()
        {
            child.kill().await?;
            watchdog.dismiss();
        }
        Ok(())
    }

    /// SIGTERM; returns when it has exited. If it does not stop, it is killed.
    pub async fn terminate(&self) -> Result<Stopped, Failed> {
        self.may_run(false);
        self.signal("TERM").await?;
        let began = Instant::now();
        let Some(Running {
            mut child,
            watchdog,
        }) = self.running.lock().await.take()
        else {
            return Err("the replica is not running".into());
        };
        let status = tokio::time::timeout(STOP_PATIENCE, child.wait()).await;
        let after = began.elapsed();
        let in_order =
            after <= STOP_PROMISE && matches!(&status, Ok(Ok(status)) if status.success());
        if status.is_err() {
            child.kill().await?;
        }
        watchdog.dismiss();
        Ok(Stopped { after, in_order })
    }

    pub async fn pause(&self) -> Result<(), Failed> {
        self.may_run(false);
        self.signal("STOP").await
    }

    pub async fn resume(&self) -> Result<(), Failed> {
        self.signal("CONT").await?;
        self.may_run(true);
        Ok(())
    }

    /// Whether it exited although the harness did not end it.
    pub async fn has_died(&self) -> bool {
        let mut running = self.running.lock().await;
        running
            .as_mut()
            .is_some_and(|running| !matches!(running.child.try_wait(), Ok(None)))
    }

    /// Only to a process that was not waited for, so that its number has not been reused.
    async fn signal(&self, signal: &str) -> Result<(), Failed> {
        let mut running = self.running.lock().await;
        let child = &mut running.as_mut().ok_or("the replica is not running")?.child;
        let pid = child.id().ok_or("the replica is not running")?.to_string();
        let status = Command::new("kill")
            .args(["-s", signal, &pid])
            .stdin(Stdio::null())
            .status()
            .await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("kill -s {signal}: {status}").into())
        }
    }
}
