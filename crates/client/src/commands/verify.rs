//! `tableferry export verify`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::details::verification;
use super::duration;
use crate::connection::Answer;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::progress::Files;
use crate::session::Session;
use crate::wait::{MAX_OUTAGE, fetch};
use crate::wire::Export;
use crate::words::span;

const POLL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub struct Verify {
    /// The export's ID
    id: Uuid,
    /// Also read every file and check every record
    #[arg(long)]
    deep: bool,
    /// Wait until the verification ends; exit status 0 if no problem was found, otherwise 10
    #[arg(long)]
    wait: bool,
    /// Stop waiting after this time, for example 10m; the verification continues
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    timeout: Option<Duration>,
}

impl Verify {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let id = self.id.to_string();
        let call = session
            .service
            .post(&["v1", "exports", &id, "verify"])
            .json(&json!({"deep": self.deep}))
            .repeatable();
        let answer = session.service.send(call).await?;
        let export: Export = answer.read()?;
        if !self.wait {
            show(session, &answer, &export)?;
            session
                .screen
                .note("The verification runs in the background; use --wait to wait until it ends.");
            return Ok(Outcome::Done);
        }
        let bar = Files::start(session.screen);
        let checked = match self.timeout {
            None => Ok(until_checked(session, &id, &bar).await),
            Some(limit) => tokio::time::timeout(limit, until_checked(session, &id, &bar)).await,
        };
        bar.finish();
        let Ok(checked) = checked else {
            session.screen.note(&format!(
                "The verification has not ended within {}; it continues.",
                span(self.timeout.unwrap_or_default())
            ));
            return Ok(Outcome::StillRunning);
        };
        let (answer, export) = checked?;
        show(session, &answer, &export)?;
        let passed = export
            .verification
            .is_some_and(|verification| verification.status == "passed");
        Ok(if passed {
            Outcome::Done
        } else {
            Outcome::CheckFailed
        })
    }
}

fn show(session: &Session, answer: &Answer, export: &Export) -> Result<(), ClientError> {
    match &export.verification {
        Some(found) if !session.screen.json => session
            .screen
            .fields(&[("Verification", Some(verification(found)))])?,
        _ => session.screen.json(&answer.text)?,
    }
    Ok(())
}

async fn until_checked(
    session: &Session,
    id: &str,
    bar: &Files,
) -> Result<(Answer, Export), ClientError> {
    let mut lost_at = None::<Instant>;
    let mut shown = None;
    loop {
        match fetch(session, id).await {
            Ok((answer, export)) => match &export.verification {
                Some(verification) if verification.status == "running" => {
                    lost_at = None;
                    bar.show(verification.files_checked, verification.files_total);
                    if !session.screen.draws_progress() && shown != Some(verification.files_checked)
                    {
                        shown = Some(verification.files_checked);
                        session
                            .screen
                            .note(&super::details::verification(verification));
                    }
                }
                _ => return Ok((answer, export)),
            },
            Err(error)
                if error.is_temporary()
                    && lost_at.get_or_insert_with(Instant::now).elapsed() < MAX_OUTAGE =>
            {
                bar.note("The service does not answer; retrying.");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
