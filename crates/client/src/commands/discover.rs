//! `tableferry discover`.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::body::set_texts;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::screen::status_cell;
use crate::session::Session;
use crate::table::{Table, column};
use crate::wire::{Discovered, DiscoveredExport};
use crate::words::{clean, counted, one_line};

#[derive(Debug, Args)]
pub struct Discover {
    /// List the exports of this table
    #[arg(long, value_name = "ARN", required_unless_present = "account_id", conflicts_with_all = ["account_id", "region"])]
    table_arn: Option<String>,
    /// List the exports of this account, including those of deleted tables
    #[arg(long, value_name = "ACCOUNT", requires = "region")]
    account_id: Option<String>,
    /// The region of the account's exports
    #[arg(long, value_name = "REGION", requires = "account_id")]
    region: Option<String>,
    /// Adopt all listed exports that the service does not track yet
    #[arg(long, conflicts_with = "adopt_arns")]
    adopt: bool,
    /// Adopt this export; may be repeated
    #[arg(long = "adopt-arn", value_name = "ARN")]
    adopt_arns: Vec<String>,
    /// Continue after an earlier page
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
    /// List all pages; a page has at most 1,000 exports. With --json, prints one page per line
    #[arg(long)]
    all: bool,
}

impl Discover {
    pub(super) async fn run(mut self, session: &Session) -> Result<Outcome, ClientError> {
        let screen = session.screen;
        let mut table = Table::new(&[
            column("STATUS"),
            column("TYPE").rank(1),
            column("TRACKED AS"),
            column("ARN"),
        ])
        .whole();
        loop {
            let call = session
                .service
                .post(&["v1", "exports", "discover"])
                .json(&self.body())
                .repeatable();
            let answer = session.service.send(call).await?;
            let found: Discovered = answer.read()?;
            if screen.json {
                screen.json(&answer.text)?;
            } else {
                let row = |export: &DiscoveredExport| {
                    vec![
                        status_cell(&export.export_status),
                        if export.export_type == "INCREMENTAL_EXPORT" {
                            "incremental"
                        } else {
                            "full"
                        }
                        .into(),
                        export
                            .known_id
                            .as_deref()
                            .map(one_line)
                            .unwrap_or_else(|| "-".to_owned())
                            .into(),
                        one_line(&export.arn).into(),
                    ]
                };
                screen.rows(
                    &mut table,
                    &found.exports.iter().map(row).collect::<Vec<_>>(),
                )?;
                if self.adopt || !self.adopt_arns.is_empty() {
                    screen.note(&format!("Adopted {}.", counted(found.adopted, "export")));
                }
                for not in &found.not_adopted {
                    screen.note(&format!(
                        "Not adopted: {}: {}",
                        clean(&not.arn),
                        clean(&not.detail)
                    ));
                }
            }
            if let Some(reason) = &found.incomplete_reason {
                screen.note(&format!("The list is incomplete: {}", clean(reason)));
            }
            let Some(next) = found.next_page_token else {
                return Ok(Outcome::Done);
            };
            if !self.all {
                screen.note(&format!(
                    "There are more exports: use --all, or --page-token {}",
                    clean(&next)
                ));
                return Ok(Outcome::Done);
            }
            // The first call has adopted the named exports, or reported why not.
            self.adopt_arns.clear();
            self.page_token = Some(next);
        }
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        let texts = [
            ("table_arn", &self.table_arn),
            ("account_id", &self.account_id),
            ("region", &self.region),
            ("page_token", &self.page_token),
        ];
        set_texts(&mut body, &texts);
        let adopt = if self.adopt_arns.is_empty() {
            json!(self.adopt)
        } else {
            json!(self.adopt_arns)
        };
        body.insert("adopt".to_owned(), adopt);
        Value::Object(body)
    }
}
