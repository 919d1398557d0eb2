//! `tableferry export …`: which command does what.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use uuid::Uuid;

use super::create::Create;
use super::details::show_made;
use super::download::Download;
use super::events::Events;
use super::files::{Files, manifest};
use super::items::Items;
use super::list::List;
use super::preflight::Preflight;
use super::verify::Verify;
use super::{details, duration};
use crate::error::ClientError;
use crate::exit::{EXIT_STATUSES, Outcome};
use crate::session::Session;
use crate::wait;

/// Exports.
#[derive(Debug, Subcommand)]
pub enum Export {
    /// Ask for an export
    #[command(after_long_help = EXIT_STATUSES)]
    Create(Box<Create>),
    /// Check a request with AWS without asking for the export; exit status 10 if a check failed
    Preflight(Box<Preflight>),
    /// Show an export
    Get(One),
    /// List exports, newest first
    List(List),
    /// Wait for the end of an export; the exit status says how it ended
    #[command(after_long_help = EXIT_STATUSES)]
    Wait(Wait),
    /// Show an export's history, or follow it
    Events(Events),
    /// Cancel an export that AWS has not been asked to start
    Cancel(One),
    /// Retry an export that failed, was cancelled, or timed out before AWS accepted it
    Retry(One),
    /// Delete an export's record; exported data stays
    Delete(Delete),
    /// Show what both manifests in S3 say
    Manifest(One),
    /// List an export's data files
    Files(Files),
    /// Look at some items
    Items(Items),
    /// Check that what lies in S3 is what AWS wrote
    #[command(after_long_help = EXIT_STATUSES)]
    Verify(Verify),
    /// Download an export's files, with their checksums verified
    #[command(after_long_help = EXIT_STATUSES)]
    Download(Download),
}

/// An export.
#[derive(Debug, Args)]
pub struct One {
    /// The export's id
    id: Uuid,
}

/// How long to wait.
#[derive(Debug, Args)]
pub struct Wait {
    /// The export's id
    id: Uuid,
    /// Give up after so long, such as 90s or 2h; the export goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

/// What to delete.
#[derive(Debug, Args)]
pub struct Delete {
    /// The export's id
    id: Uuid,
    /// Also while it has not ended; nobody follows it then
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::Preflight(preflight) => preflight.run(session).await,
            Self::Get(one) => details::get(session, one.id).await,
            Self::List(list) => list.run(session).await,
            Self::Wait(wait) => {
                wait::wait_and_show(session, &wait.id.to_string(), wait.timeout).await
            }
            Self::Events(events) => events.run(session).await,
            Self::Cancel(one) => one.post(session, "cancel").await,
            Self::Retry(one) => one.post(session, "retry").await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Manifest(one) => manifest(session, one.id).await,
            Self::Files(files) => files.run(session).await,
            Self::Items(items) => items.run(session).await,
            Self::Verify(verify) => verify.run(session).await,
            Self::Download(download) => download.run(session).await,
        }
    }
}

impl One {
    /// An export is retried once and cancelled for good, so both may be sent again.
    async fn post(&self, session: &Session, what: &str) -> Result<Outcome, ClientError> {
        let mut call = session
            .service
            .post(&["v1", "exports", &self.id.to_string(), what]);
        if what == "retry" {
            call = call.repeatable();
        }
        show_made(session, &session.service.send(call).await?)?;
        Ok(Outcome::Done)
    }
}

impl Delete {
    async fn run(&self, session: &Session) -> Result<Outcome, ClientError> {
        let mut call = session
            .service
            .call(Method::DELETE, &["v1", "exports", &self.id.to_string()]);
        if self.force {
            call = call.query("force", "true");
        }
        session.service.send(call).await?;
        session.screen.note(&format!(
            "Forgot {}. What was exported stays in S3.",
            self.id
        ));
        Ok(Outcome::Done)
    }
}
