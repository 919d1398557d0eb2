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

/// What to ask for, and whether to wait for it.
#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    request: RequestArgs,
    /// The request's key: the same key with the same request is the same export, however often it
    /// is sent. Made up unless given
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Check with AWS first; if a check fails nothing is stored
    #[arg(long)]
    preflight: bool,
    /// Wait for its end; the exit status says how it ended
    #[arg(long)]
    wait: bool,
    /// Give up waiting after so long, such as 90s or 2h; the export goes on
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    wait_timeout: Option<Duration>,
}

impl Create {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        // Made once, so that a repetition of this call is the same request.
        let key = self
            .idempotency_key
            .unwrap_or_else(|| session.chance.ordered_id().to_string());
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
                let advice = format!("{advice}\nShould the request have arrived, --idempotency-key {key} with the same request finds it.");
                ClientError::Unreachable { server, why, advice }
            }
            other => other,
        })?;
        if answer.headers.contains_key("idempotent-replayed") {
            session
                .screen
                .note("The service knew this request by its idempotency key; this is its export.");
        }
        if !self.wait {
            let export = show_made(session, &answer)?;
            if !session.screen.json {
                session.screen.note(&format!(
                    "\nWait for its end:  tableferry export wait {}",
                    export.id
                ));
            }
            return Ok(Outcome::Done);
        }
        let export: wire::Export = answer.read()?;
        if !session.screen.json {
            session
                .screen
                .note(&format!("Asked for export {}", export.id));
        }
        wait::wait_and_show(session, &export.id, self.wait_timeout).await
    }
}
