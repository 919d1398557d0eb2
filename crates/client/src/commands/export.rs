//! `tableferry export …`: its commands.

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

#[derive(Debug, Subcommand)]
pub enum Export {
    /// Create an export
    #[command(after_long_help = EXIT_STATUSES)]
    Create(Box<Create>),
    /// Check a request with AWS without creating the export; exit status 10 if a check fails
    Preflight(Box<Preflight>),
    /// Show an export
    Get(One),
    /// List exports, newest first
    List(List),
    /// Wait until an export ends; the exit status says how it ended
    #[command(after_long_help = EXIT_STATUSES)]
    Wait(Wait),
    /// Show an export's events, or follow them
    Events(Events),
    /// Cancel an export that AWS has not accepted yet
    Cancel(One),
    /// Retry an export that failed, was cancelled, or timed out before AWS accepted it
    Retry(One),
    /// Delete an export's record; the exported data stays in S3
    Delete(Delete),
    /// Show the export's manifests from S3
    Manifest(One),
    /// List an export's data files
    Files(Files),
    /// Show some items of an export
    Items(Items),
    /// Verify that the files in S3 are complete and unchanged
    #[command(after_long_help = EXIT_STATUSES)]
    Verify(Verify),
    /// Download an export's files and verify their checksums
    ///
    /// Files are placed below the folder by their S3 keys: FOLDER/PREFIX/AWSDynamoDB/… Characters
    /// that a file system does not allow are written as %XX (docs/loading.md). If a download is
    /// interrupted, repeat the command to resume it.
    #[command(after_long_help = EXIT_STATUSES)]
    Download(Download),
}

#[derive(Debug, Args)]
pub struct One {
    /// The export's ID
    id: Uuid,
}

#[derive(Debug, Args)]
pub struct Wait {
    /// The export's ID
    id: Uuid,
    /// Stop waiting after this time, for example 90s or 2h; the export continues
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Delete {
    /// The export's ID
    id: Uuid,
    /// Delete it even if it has not ended; the service then stops tracking it
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
    /// An export is retried only once, and a cancellation is final, so both are safe to send again.
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
            "Deleted the record of {}. The exported data stays in S3.",
            self.id
        ));
        Ok(Outcome::Done)
    }
}
