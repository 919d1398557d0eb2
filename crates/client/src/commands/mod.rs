//! The client's commands, one file each. [`ClientCommand`] is the entry for `src/cli`.

mod completions;
mod create;
mod deliveries;
mod details;
mod discover;
mod download;
mod endpoint_changes;
mod endpoints;
mod events;
mod export;
mod files;
mod import;
mod items;
mod list;
mod preflight;
mod verify;
mod webhook;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::ClientError;
use super::exit::{EXIT_STATUSES, Outcome, code_of};
use super::session::SessionArgs;
use tableferry_clock::Clock;
use tableferry_domain::duration::parse_duration;

pub use completions::Completions;

/// Commands that call a running service.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Create, watch, verify and download exports (calls a running service)
    #[command(after_long_help = EXIT_STATUSES)]
    Export(With<export::Export>),
    /// Adopt an export that was started elsewhere
    Import(WithArgs<import::Import>),
    /// List the exports that AWS knows of a table or an account, and adopt them
    Discover(WithArgs<discover::Discover>),
    /// Manage webhook endpoints and their deliveries
    Webhook(With<webhook::Webhook>),
}

/// A group of commands, with the options of every client command.
#[derive(Debug, Args)]
pub struct With<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    session: SessionArgs,
}

/// A command, with the options of every client command.
#[derive(Debug, Args)]
pub struct WithArgs<C: Args> {
    #[command(flatten)]
    command: C,
    #[command(flatten)]
    session: SessionArgs,
}

impl ClientCommand {
    /// Runs the command and prints its error. Returns the exit status.
    pub async fn run(self, clock: Clock) -> ExitCode {
        let (json, ended) = match self {
            Self::Export(with) => (with.session.screen().json, run_export(with, clock).await),
            Self::Import(with) => (with.session.screen().json, run_import(with, clock).await),
            Self::Discover(with) => (with.session.screen().json, run_discover(with, clock).await),
            Self::Webhook(with) => (with.session.screen().json, run_webhook(with, clock).await),
        };
        if let Err(error) = &ended {
            print_error(error, json);
        }
        code_of(&ended)
    }
}

async fn run_export(with: With<export::Export>, clock: Clock) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(clock)?).await
}

async fn run_import(with: WithArgs<import::Import>, clock: Clock) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(clock)?).await
}

async fn run_discover(
    with: WithArgs<discover::Discover>,
    clock: Clock,
) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(clock)?).await
}

async fn run_webhook(with: With<webhook::Webhook>, clock: Clock) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(clock)?).await
}

/// Prints to standard error. A failure to print is ignored.
fn print_error(error: &ClientError, json: bool) {
    let mut stderr = std::io::stderr().lock();
    let _ = match error {
        ClientError::Output(source) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        ClientError::Refused(problem) if json => writeln!(stderr, "{}", problem.raw.trim_end()),
        error => writeln!(
            stderr,
            "{} {error}",
            console::style("error:").for_stderr().red().bold()
        ),
    };
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .ok_or_else(|| "must be a duration, for example 90s, 15m or 1h30m".to_owned())
}
