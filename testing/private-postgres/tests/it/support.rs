//! Shared by the tests: a temp folder, psql, and information about other processes.

use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A folder that is writable for all users, as /tmp is; removed at the end.
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "private-postgres-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a temp folder");
        fs::set_permissions(&path, Permissions::from_mode(0o1777))
            .expect("permissions of the temp folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0)
            .expect("the temp folder")
            .flatten()
            .map(|entry| entry.path())
            .collect()
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The single value that `sql` returns, or psql's error.
pub(crate) fn query(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ])
        .output();
    let output = output.expect("psql on PATH");
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Whether a server listens on the port of `url`.
pub(crate) fn listens(url: &str) -> bool {
    let address = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .expect("host and port");
    TcpStream::connect(address).is_ok()
}

/// Waits until `condition` holds; fails the test after half a minute.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < give_up, "not within 30 s: {what}");
        sleep(Duration::from_millis(20));
    }
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("sh")
        .args([
            "-c",
            "kill -s \"$1\" \"$2\"",
            "sh",
            signal,
            &pid.to_string(),
        ])
        .status();
    assert!(status.expect("sh").success(), "kill -s {signal} {pid}");
}

pub(crate) fn postmaster_pid(data_dir: &Path) -> u32 {
    let text = fs::read_to_string(data_dir.join("data/postmaster.pid")).expect("postmaster.pid");
    text.lines()
        .next()
        .expect("a first line")
        .parse()
        .expect("a number")
}

/// Field `number` (from 1) of a process's /proc/PID/stat, counted after the program's name.
pub(crate) fn stat_field(pid: u32, number: usize) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')')
        .next()?
        .split_whitespace()
        .nth(number - 1)?
        .parse()
        .ok()
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    const PARENT: usize = 2;
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat_field(*pid, PARENT) == Some(parent))
        .collect()
}
