//! Signals to every process of a Postgres: the postmaster and its children, each of which is in a
//! process group of its own.

use std::fs;
use std::process::{Command, Stdio};

use crate::Error;

/// Everything stands still.
pub(crate) fn stop(postmaster: u32) -> Result<(), Error> {
    // First the postmaster, so that no child is born that nobody sees.
    send("STOP", &[postmaster])?;
    send("STOP", &children(postmaster)?)
}

/// Everything goes on.
pub(crate) fn go_on(postmaster: u32) -> Result<(), Error> {
    send("CONT", &children(postmaster)?)?;
    send("CONT", &[postmaster])
}

/// Everything is killed.
pub(crate) fn kill(postmaster: u32) -> Result<(), Error> {
    send("STOP", &[postmaster])?;
    let children = children(postmaster)?;
    send("KILL", &[postmaster])?;
    send("KILL", &children)
}

fn children(postmaster: u32) -> Result<Vec<u32>, Error> {
    let processes = fs::read_dir("/proc")
        .map_err(Error::io("looking for the processes of Postgres in /proc"))?;
    let pids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids
        .filter(|pid| parent(*pid) == Some(postmaster))
        .collect())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    stat.rsplit(')')
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// A process that has ended meanwhile is no trouble.
fn send(signal: &'static str, pids: &[u32]) -> Result<(), Error> {
    if pids.is_empty() {
        return Ok(());
    }
    let pids = pids.iter().map(ToString::to_string);
    let mut kill = Command::new("kill");
    kill.args(["-s", signal])
        .args(pids)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    kill.status()
        .map(drop)
        .map_err(Error::io("sending a signal to Postgres"))
}
