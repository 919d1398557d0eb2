//! A small process that outlives us for as long as it takes to clean up after us.
//!
//! It is a shell that reads from a pipe whose only writer is this process. `done` on the pipe sends
//! it away; the end of the pipe without that word means that we died, by SIGKILL or otherwise, and
//! it does its work. It is in a process group of its own and ignores SIGINT and SIGHUP, so what
//! ends us does not end it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::folder::Folder;
use crate::install::Install;
use crate::{Error, cluster};

/// What every watchdog begins with.
const WAIT: &str = "trap '' INT HUP; read -r word; [ \"$word\" = done ] && exit 0;";

/// Arguments: pg_ctl, the cluster, how to stop it, the folder to remove (or nothing). The cluster
/// may just be in the making: then one second later there is something to stop, or initdb no longer
/// writes to what has to be removed.
const STOP_POSTGRES: &str = r#"
for _ in 1 2; do
    [ -e "$2/postmaster.pid" ] || sleep 1
    if [ -e "$2/postmaster.pid" ]; then
        # One that was stopped by SIGSTOP hears nothing; its children it kills itself.
        kill -s CONT "$(head -n 1 "$2/postmaster.pid")"
        "$1" stop -D "$2" -m "$3" -w -t 60 || "$1" stop -D "$2" -m immediate -w -t 10
    fi >/dev/null 2>&1
    [ -n "$4" ] || exit 0
    rm -rf -- "$4"
done"#;

/// Arguments: the process, and the folder to remove (or nothing).
const END_PROCESS: &str = r#" kill -TERM "$1"; [ -z "$2" ] || rm -rf -- "$2""#;

/// Cleans up when this process is gone. Dropping it lets it do so at once; [`Watchdog::dismiss`]
/// sends it away.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Ends the process `pid` with SIGTERM when this process is gone.
    ///
    /// # Errors
    /// When no shell can be started.
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

    /// Stops the Postgres of `folder`, and removes the folder if it is a throwaway one. It holds
    /// the folder's lock, so nobody starts a new Postgres there that it would then stop.
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

    /// Sends it away: nothing is left to clean up.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            // It may have been killed by somebody; then it needs no telling.
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}
