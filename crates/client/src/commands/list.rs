//! `tableferry export list`.

use clap::{Args, ValueEnum};

use super::details::destination;
use crate::body::key_value;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::screen::status_cell;
use crate::session::Session;
use crate::table::{Table, column};
use crate::wire::Export;
use crate::words::{ago, count, one_line, size};

#[derive(Debug, Args)]
pub struct List {
    /// Only exports with this status
    #[arg(long, value_name = "STATUS", ignore_case = true)]
    export_status: Option<Status>,
    /// Only exports of this table
    #[arg(long, value_name = "ARN")]
    table_arn: Option<String>,
    /// Only exports to this bucket
    #[arg(long, value_name = "BUCKET")]
    s3_bucket: Option<String>,
    /// Only exports of this type
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    export_type: Option<Type>,
    /// Only exports with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Only exports created at or after this time, for example 2026-04-02T00:00:00Z
    #[arg(long, value_name = "TIME")]
    created_after: Option<String>,
    /// Only exports created before this time
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
    #[command(flatten)]
    how_much: HowMuch,
}

/// As in the API. Lower case and hyphens are accepted too.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    Pending,
    #[value(alias = "IN-PROGRESS")]
    InProgress,
    Completed,
    Failed,
    Cancelled,
    #[value(alias = "TIMED-OUT")]
    TimedOut,
}

/// As in the API. Lower case and hyphens are accepted too.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
enum Type {
    #[value(alias = "FULL-EXPORT", alias = "FULL")]
    FullExport,
    #[value(alias = "INCREMENTAL-EXPORT", alias = "INCREMENTAL")]
    IncrementalExport,
}

fn word(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

impl List {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome, ClientError> {
        let mut call = session.service.get(&["v1", "exports"]);
        let filters = [
            ("export_status", self.export_status.map(word)),
            ("table_arn", self.table_arn),
            ("s3_bucket", self.s3_bucket),
            ("export_type", self.export_type.map(word)),
            ("created_after", self.created_after),
            ("created_before", self.created_before),
        ];
        for (name, value) in filters {
            if let Some(value) = value {
                call = call.query(name, &value);
            }
        }
        for (key, value) in &self.labels {
            call = call.query("label", &format!("{key}:{value}"));
        }
        let table = Table::new(&[
            column("ID"),
            column("STATUS"),
            column("TABLE"),
            column("CREATED").rank(1),
            column("TYPE").rank(4),
            column("ITEMS").right().rank(3),
            column("BILLED").right().rank(2),
            column("TO").rank(5),
        ]);
        let now = session.clock.now();
        let row = |export: &Export| {
            let table = export
                .table_arn
                .rsplit_once('/')
                .map_or(export.table_arn.as_str(), |(_, name)| name);
            vec![
                one_line(&export.id).into(),
                status_cell(&export.export_status),
                one_line(table).into(),
                ago(&export.created_at, now).into(),
                if export.export_type == "INCREMENTAL_EXPORT" {
                    "incremental"
                } else {
                    "full"
                }
                .into(),
                export.item_count.map(count).unwrap_or_default().into(),
                export
                    .billed_size_in_bytes
                    .map(size)
                    .unwrap_or_default()
                    .into(),
                one_line(&destination(export)).into(),
            ]
        };
        self.how_much
            .show(session, call, "exports", table, row)
            .await?;
        Ok(Outcome::Done)
    }
}
