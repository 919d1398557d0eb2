//! `tableferry export items`.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::ClientError;
use crate::exit::Outcome;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct Items {
    /// The export's ID
    id: Uuid,
    /// Number of items, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// json, or dynamodb_json (with type tags)
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: String,
}

#[derive(Deserialize)]
struct ItemList {
    items: Vec<Box<RawValue>>,
}

impl Items {
    /// One item per line, so that jq and grep can read them.
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let call = session
            .service
            .get(&["v1", "exports", &self.id.to_string(), "items"]);
        let answer = session
            .service
            .send(
                call.query("limit", &self.limit.to_string())
                    .query("format", &self.format),
            )
            .await?;
        if session.screen.json {
            session.screen.json(&answer.text)?;
        } else {
            let list: ItemList = answer.read()?;
            list.items
                .iter()
                .try_for_each(|item| session.screen.json(item.get()))?;
        }
        Ok(Outcome::Done)
    }
}
