//! The clients' actions.

use tableferry::domain::aws::arn::TableArn;
use tableferry::domain::aws::s3::{S3Bucket, S3Destination, S3Prefix};
use tableferry::domain::duration::CreateTimeout;
use tableferry::domain::export::attempt::Attempt;
use tableferry::domain::export::request::ExportRequest;
use tableferry::domain::export::{Export, ExportState, Origin};
use tableferry::domain::ids::{ClientToken, ExportId};
use tableferry::domain::timestamp::Timestamp;
use tableferry::domain::webhook::Callback;
use tableferry::domain::webhook::url::WebhookUrl;

use super::dice::Dice;

/// The focus of a run. Narrow races are found sooner by runs that aim at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// No focus.
    Anything,
    /// Timeouts of seconds, and responses that are as late.
    Haste,
    /// The same, without any other fault.
    Doubt,
    /// Starts that do not succeed until their token is old.
    Age,
}

#[derive(Debug, Clone)]
pub enum ClientAction {
    /// Requests an export, with its number as the idempotency key; repeats until the response says
    /// that it was stored.
    Create(u32, Box<ExportRequest>),
    Cancel(ExportId),
    /// Deletes an export, optionally with `force`.
    Delete(ExportId, bool),
}

pub fn tables() -> Vec<TableArn> {
    let arn = |name| {
        TableArn::parse(&format!(
            "arn:aws:dynamodb:eu-west-1:123456789012:table/{name}"
        ))
        .expect("an ARN")
    };
    vec![arn("Orders"), arn("Customers")]
}

pub fn request(number: u32, tables: &[TableArn], theme: Theme, dice: &mut Dice) -> ExportRequest {
    let timeout = match theme {
        Theme::Anything => dice.pick(&["2s", "20s", "60s", "10m", "60m", "60m", "7h", "9h", "24h"]),
        Theme::Haste => dice.pick(&["1s", "2s", "5s", "10s", "30s", "60s"]),
        Theme::Doubt => dice.pick(&["1s", "2s", "5s", "20s"]),
        Theme::Age => dice.pick(&["7h", "9h", "24h", "24h"]),
    };
    let url = WebhookUrl::from_db("https://receiver.example/hook").expect("a URL");
    let table_arn = tables[dice.below(tables.len())].clone();
    let destination = S3Destination {
        bucket: S3Bucket::parse("exports").expect("a bucket"),
        bucket_owner: None,
        prefix: S3Prefix::parse(&number.to_string()).expect("a prefix"),
        encryption: None,
    };
    ExportRequest {
        create_timeout: CreateTimeout::parse(timeout).expect("a duration"),
        callback: dice.chance(0.7).then_some(Callback {
            url,
            secret: None,
            headers: None,
        }),
        ..ExportRequest::new(table_arn, destination)
    }
}

/// The export that the API stores for a request.
pub fn new_export(request: ExportRequest, id: ExportId, now: Timestamp, dice: &mut Dice) -> Export {
    Export {
        id,
        version: 1,
        created_by: None,
        created_at: now,
        updated_at: now,
        origin: Origin::Created {
            client_token: ClientToken::from_uuid(dice.uuid()),
            token_made_at: now,
        },
        request,
        state: ExportState::Pending,
        status_reason: None,
        verification: None,
        attempt: Attempt::default(),
        estimate: None,
        trace_parent: None,
    }
}

impl ClientAction {
    /// A description for the trace.
    pub fn in_words(&self) -> String {
        match self {
            Self::Create(number, request) => {
                format!(
                    "create request {number} of {} within {}",
                    request.table_arn.table_name(),
                    request.create_timeout.as_str()
                )
            }
            Self::Cancel(id) => format!("cancel export {}", id.0.as_u128()),
            Self::Delete(id, force) => format!("delete export {}, force: {force}", id.0.as_u128()),
        }
    }
}
