//! `tableferry export create`.

use std::time::Duration;

use clap::Args;
use reqwest::header::HeaderName;

use super::details::show_made;
use super::duration;
use crate::body::RequestArgs;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;
use crate::wait;
use crate::wire;

#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    request: RequestArgs,
    /// Idempotency key: repeating a request with the same key returns the same export [default:
    /// a new key]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Check the request with AWS first; if a check fails, no export is created
    #[arg(long)]
    preflight: bool,
    /// Wait until the export ends; the exit status says how it ended
    #[arg(long)]
    wait: bool,
    /// Stop waiting after this time, for example 90s or 2h; the export continues
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    wait_timeout: Option<Duration>,
}

impl Create {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        // Chosen once, so that repetitions of this call have the same key.
        let key = self
            .idempotency_key
            .unwrap_or_else(|| session.clock.ordered_id().to_string());
        let mut call = session
            .service
            .post(&["v1", "exports"])
            .json(&self.request.body()?)
            .repeatable();
        call = call.header(HeaderName::from_static("idempotency-key"), &key)?;
        if self.preflight {
            call = call.query("preflight", "true");
        }
        let answer = session.service.send(call).await.map_err(|error| match error {
            ClientError::Unreachable { server, why, advice } => {
                let advice = format!("{advice}\nThe request may have arrived: to get its export, repeat the command with --idempotency-key {key}.");
                ClientError::Unreachable { server, why, advice }
            }
            other => other,
        })?;
        if answer.headers.contains_key("idempotent-replayed") {
            session
                .screen
                .note("This idempotency key was used before; this is the export of that request.");
        }
        if !self.wait {
            let export = show_made(session, &answer)?;
            if !session.screen.json {
                session.screen.note(&format!(
                    "\nTo wait until it ends:  tableferry export wait {}",
                    export.id
                ));
            }
            return Ok(Outcome::Done);
        }
        let export: wire::Export = answer.read()?;
        if !session.screen.json {
            session
                .screen
                .note(&format!("Created export {}", export.id));
        }
        wait::wait_and_show(session, &export.id, self.wait_timeout).await
    }
}
