//! `tableferry import`.

use clap::Args;
use serde_json::json;

use super::details::show_made;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct Import {
    /// The export's ARN
    #[arg(value_name = "ARN")]
    export_arn: String,
}

impl Import {
    /// Safe to repeat: importing the same ARN twice returns the same record.
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let call = session
            .service
            .post(&["v1", "exports", "import"])
            .json(&json!({"export_arn": self.export_arn}))
            .repeatable();
        show_made(session, &session.service.send(call).await?)?;
        Ok(Outcome::Done)
    }
}
