//! The client's commands, one file each; [`ClientCommand`] is the door that src/cli knows.

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
use tableferry_clock::Chance;
use tableferry_domain::duration::parse_duration;

pub use completions::Completions;

/// Commands that use a running service.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Create, follow, check and download exports at a running service
    #[command(after_long_help = EXIT_STATUSES)]
    Export(With<export::Export>),
    /// Adopt an export that was started elsewhere
    Import(WithArgs<import::Import>),
    /// List what AWS remembers of a table or an account, and adopt it
    Discover(WithArgs<discover::Discover>),
    /// Webhook endpoints, and what was delivered to them
    Webhook(With<webhook::Webhook>),
}

/// A group of commands with the options that all of them have.
#[derive(Debug, Args)]
pub struct With<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    session: SessionArgs,
}

/// A command with the options that all of them have.
#[derive(Debug, Args)]
pub struct WithArgs<C: Args> {
    #[command(flatten)]
    command: C,
    #[command(flatten)]
    session: SessionArgs,
}

impl ClientCommand {
    /// Runs the command and tells what went wrong. The exit status.
    pub async fn run(self, chance: Chance) -> ExitCode {
        let (json, ended) = match self {
            Self::Export(with) => (with.session.screen().json, run_export(with, chance).await),
            Self::Import(with) => (with.session.screen().json, run_import(with, chance).await),
            Self::Discover(with) => (with.session.screen().json, run_discover(with, chance).await),
            Self::Webhook(with) => (with.session.screen().json, run_webhook(with, chance).await),
        };
        if let Err(error) = &ended {
            tell(error, json);
        }
        code_of(&ended)
    }
}

async fn run_export(with: With<export::Export>, chance: Chance) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(chance)?).await
}

async fn run_import(
    with: WithArgs<import::Import>,
    chance: Chance,
) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(chance)?).await
}

async fn run_discover(
    with: WithArgs<discover::Discover>,
    chance: Chance,
) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(chance)?).await
}

async fn run_webhook(with: With<webhook::Webhook>, chance: Chance) -> Result<Outcome, ClientError> {
    with.command.run(&with.session.open(chance)?).await
}

/// Says on standard error what went wrong; that this cannot be said is no further failure.
fn tell(error: &ClientError, json: bool) {
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

/// A duration of the command line.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a duration such as 90s, 15m or 1h30m".to_owned())
}
