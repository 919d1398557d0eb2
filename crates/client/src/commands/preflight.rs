//! `tableferry export preflight`.

use clap::Args;
use console::Style;

use crate::body::RequestArgs;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::screen::status_style;
use crate::session::Session;
use crate::wire;
use crate::words::clean;

#[derive(Debug, Args)]
pub struct Preflight {
    #[command(flatten)]
    request: RequestArgs,
}

impl Preflight {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let call = session
            .service
            .post(&["v1", "exports", "preflight"])
            .json(&self.request.body()?)
            .repeatable();
        let answer = session.service.send(call).await?;
        let found: wire::Preflight = answer.read()?;
        if session.screen.json {
            session.screen.json(&answer.text)?;
        } else {
            let width = found
                .checks
                .iter()
                .map(|check| check.name.chars().count())
                .max()
                .unwrap_or_default();
            for check in &found.checks {
                let status =
                    status_style(&check.status).apply_to(format!("{:<7}", clean(&check.status)));
                session.screen.line(&format!(
                    "{status}  {:<width$}  {}",
                    clean(&check.name),
                    clean(&check.detail)
                ))?;
                if let Some(fix) = &check.fix {
                    session.screen.line(&format!(
                        "{:9}{:width$}  {}",
                        "",
                        "",
                        Style::new().dim().apply_to(clean(fix))
                    ))?;
                }
            }
        }
        Ok(if found.ok {
            Outcome::Done
        } else {
            Outcome::CheckFailed
        })
    }
}
