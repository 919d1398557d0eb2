//! Runs psql against a running Postgres.

use std::io::Write;
use std::process::Stdio;

use crate::account::Account;
use crate::install::Install;
use crate::{Error, USER};

/// Runs commands in the maintenance database; returns their output.
pub(crate) fn run(
    install: &Install,
    account: &Account,
    port: u16,
    password: &str,
    sql: &str,
    doing: &'static str,
) -> Result<String, Error> {
    let mut psql = account.command(install.program("psql"));
    psql.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-U",
        USER,
        "-d",
        "postgres",
        "-p",
    ]);
    psql.arg(port.to_string())
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "30");
    psql.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = psql.spawn().map_err(Error::io("starting psql"))?;
    if let Some(mut input) = child.stdin.take() {
        // If psql ended early, its output says more than the broken pipe.
        let _ = input.write_all(sql.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(Error::io("waiting for psql"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Failed {
        doing,
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
