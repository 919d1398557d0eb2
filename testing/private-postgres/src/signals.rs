//! Signals to all processes of a Postgres: the postmaster and its children, each of which is in its
//! own process group.

use std::fs;
use std::process::{Command, Stdio};

use crate::Error;

/// Stops all processes with SIGSTOP.
pub(crate) fn stop(postmaster: u32) -> Result<(), Error> {
    // The postmaster first, so that it does not start more children.
    send("STOP", &[postmaster])?;
    send("STOP", &children(postmaster)?)
}

pub(crate) fn go_on(postmaster: u32) -> Result<(), Error> {
    send("CONT", &children(postmaster)?)?;
    send("CONT", &[postmaster])
}

pub(crate) fn kill(postmaster: u32) -> Result<(), Error> {
    send("STOP", &[postmaster])?;
    let children = children(postmaster)?;
    send("KILL", &[postmaster])?;
    send("KILL", &children)
}

fn children(postmaster: u32) -> Result<Vec<u32>, Error> {
    let processes =
        fs::read_dir("/proc").map_err(Error::io("finding the processes of Postgres in /proc"))?;
    let pids = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids
        .filter(|pid| parent(*pid) == Some(postmaster))
        .collect())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may contain any character.
    stat.rsplit(')')
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// A process that has already exited is ignored.
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
