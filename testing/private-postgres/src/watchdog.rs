//! A small process that outlives this one for as long as the cleanup takes.
//!
//! It is a shell that reads from a pipe whose only writer is this process. `done` on the pipe
//! dismisses it. The end of the pipe without that word means that this process died, by SIGKILL or
//! otherwise, and the watchdog cleans up. It is in its own process group and ignores SIGINT and
//! SIGHUP, so signals that end this process do not end it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::folder::Folder;
use crate::install::Install;
use crate::{Error, cluster};

/// The beginning of every watchdog's script.
const WAIT: &str = "trap '' INT HUP; read -r word; [ \"$word\" = done ] && exit 0;";

/// Arguments: pg_ctl, the cluster, how to stop it, the folder to remove (or nothing). The cluster
/// may still be under creation: one second later there is something to stop, or initdb no longer
/// writes to the folder that must be removed.
const STOP_POSTGRES: &str = r#"
for _ in 1 2; do
    [ -e "$2/postmaster.pid" ] || sleep 1
    if [ -e "$2/postmaster.pid" ]; then
        # A process that was stopped by SIGSTOP ignores other signals; the postmaster kills its children itself.
        kill -s CONT "$(head -n 1 "$2/postmaster.pid")"
        "$1" stop -D "$2" -m "$3" -w -t 60 || "$1" stop -D "$2" -m immediate -w -t 10
    fi >/dev/null 2>&1
    [ -n "$4" ] || exit 0
    rm -rf -- "$4"
done"#;

/// Arguments: the process, and the folder to remove (or nothing).
const END_PROCESS: &str = r#" kill -TERM "$1"; [ -z "$2" ] || rm -rf -- "$2""#;

/// Cleans up when this process has ended. Dropping it cleans up immediately; [`Watchdog::dismiss`]
/// ends it without cleanup.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Ends the process `pid` with SIGTERM when this process has ended.
    pub fn over_process(pid: u32) -> Result<Self, Error> {
        let mut shell = Command::new("sh");
        shell.current_dir("/").stdout(Stdio::null());
        Self::start(shell, END_PROCESS, &[pid.to_string().as_ref()])
    }

    /// The same, and removes a folder.
    pub(crate) fn over_process_and_folder(pid: u32, folder: &Path) -> Result<Self, Error> {
        let mut shell = Command::new("sh");
        shell.current_dir("/").stdout(Stdio::null());
        Self::start(
            shell,
            END_PROCESS,
            &[pid.to_string().as_ref(), folder.as_os_str()],
        )
    }

    /// Stops the Postgres of `folder`, and removes the folder if it is a throwaway one. The
    /// watchdog holds the folder's lock, so no other process can start a Postgres there that it
    /// would then stop.
    pub(crate) fn over_postgres(
        install: &Install,
        folder: &Folder,
        account: &Account,
    ) -> Result<Self, Error> {
        let mut shell = account.command("sh");
        shell.stdout(folder.lock_for_child()?);
        let pg_ctl = install.program("pg_ctl");
        let data = folder.data();
        let mode = cluster::stop_mode(folder);
        let remove = if folder.is_throwaway() {
            folder.root().as_os_str()
        } else {
            "".as_ref()
        };
        Self::start(
            shell,
            STOP_POSTGRES,
            &[pg_ctl.as_ref(), data.as_ref(), mode.as_ref(), remove],
        )
    }

    fn start(
        mut shell: Command,
        work: &str,
        arguments: &[&std::ffi::OsStr],
    ) -> Result<Self, Error> {
        shell
            .args(["-c", &format!("{WAIT}{work}"), "private-postgres-watchdog"])
            .args(arguments);
        shell
            .process_group(0)
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let shell = shell
            .spawn()
            .map_err(Error::io("starting the watchdog (sh)"))?;
        Ok(Self { shell })
    }

    /// Ends the watchdog: there is nothing left to clean up.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            // It may already have been killed; then there is nothing to dismiss.
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}
