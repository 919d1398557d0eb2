//! `private-postgres run -- COMMAND…`: runs a command with a private Postgres.
//!
//! The command finds the database's URL in `DATABASE_URL` and `TABLEFERRY_TEST_DATABASE_URL`. This
//! program exits with the command's exit code. When it is killed, by any signal, the command gets
//! SIGTERM and Postgres stops.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::{env, path::PathBuf};

use private_postgres::{DATABASE, Options, PrivatePostgres, Watchdog};

const USAGE: &str = "\
usage: private-postgres run [--durable] [--data-dir DIR] [--port PORT] -- COMMAND [ARGUMENT…]

Starts a private Postgres (a throwaway one without --data-dir), runs COMMAND with its URL in DATABASE_URL and
TABLEFERRY_TEST_DATABASE_URL, stops it, and exits with its status.";

/// Exit codes as shells use them: usage error, could not be run, ended by a signal.
const MISUSED: u8 = 2;
const NOT_RUN: u8 = 125;
const SIGNAL: i32 = 128;

fn main() -> ExitCode {
    let (options, command) = match parse(env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("private-postgres: {why}\n\n{USAGE}");
            return ExitCode::from(MISUSED);
        }
    };
    match run(options, &command) {
        Ok(status) => exit_code(status),
        Err(error) => {
            eprintln!("private-postgres: {error}");
            ExitCode::from(NOT_RUN)
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only names are read, to exclude them"
)]
fn run(options: Options, command: &[OsString]) -> Result<ExitStatus, Box<dyn std::error::Error>> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let postgres = PrivatePostgres::start(options)?;
    let url = postgres.url(DATABASE);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DATABASE_URL", &url)
        .env("TABLEFERRY_TEST_DATABASE_URL", &url);
    for (name, _) in env::vars_os().filter(|(name, _)| is_from_cargo_run(name)) {
        command.env_remove(name);
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let watchdog = Watchdog::over_process(child.id())?;
    let status = child.wait()?;
    watchdog.dismiss();
    postgres.stop()?;
    Ok(status)
}

/// Whether `cargo run` set this variable for this package. A cargo that runs as the command would
/// otherwise see a changed environment and rebuild everything.
fn is_from_cargo_run(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || [
            "CARGO_BIN_NAME",
            "CARGO_CRATE_NAME",
            "CARGO_PRIMARY_PACKAGE",
        ]
        .contains(&name.as_ref())
}

fn parse(
    mut arguments: impl Iterator<Item = OsString>,
) -> Result<(Options, Vec<OsString>), String> {
    if arguments.next().is_none_or(|word| word != "run") {
        return Err("the first argument must be `run`".to_owned());
    }
    let mut options = Options::default();
    loop {
        let word = arguments.next().ok_or("`-- COMMAND` is missing")?;
        match word.to_str() {
            Some("--") => break,
            Some("--durable") => options.durable = true,
            Some("--data-dir") => {
                options.data_dir = Some(PathBuf::from(
                    arguments.next().ok_or("--data-dir needs a folder")?,
                ));
            }
            Some("--port") => {
                let port = arguments
                    .next()
                    .and_then(|port| port.to_str()?.parse().ok());
                options.port = Some(port.ok_or("--port needs a number from 1 to 65535")?);
            }
            _ => return Err(format!("unknown argument {}", word.display())),
        }
    }
    let command: Vec<OsString> = arguments.collect();
    if command.is_empty() {
        Err("COMMAND is missing".to_owned())
    } else {
        Ok((options, command))
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNAL + signal));
    ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(NOT_RUN),
    )
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn parsed(line: &str) -> Result<(private_postgres::Options, Vec<std::ffi::OsString>), String> {
        parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn arguments_after_the_dashes_are_the_commands_own() {
        let (options, command) =
            parsed("run --durable --port 5 -- psql --port 6").expect("a right command line");
        assert!(options.durable && options.port == Some(5) && options.data_dir.is_none());
        assert_eq!(command, ["psql", "--port", "6"]);
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for line in [
            "",
            "start -- x",
            "run x",
            "run --",
            "run --port x -- y",
            "run --data-dir",
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }
}
