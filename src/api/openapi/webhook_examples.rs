//! An example of each type of webhook.

use serde_json::Value;
use uuid::Uuid;

use crate::api_types::webhook::{disabled_body, export_body, ping_body};
use crate::domain::aws::arn::{ExportArn, TableArn};
use crate::domain::aws::description::Written;
use crate::domain::aws::s3::{S3Bucket, S3Destination};
use crate::domain::caller::CallerName;
use crate::domain::export::attempt::Attempt;
use crate::domain::export::labels::Labels;
use crate::domain::export::request::{ExportKind, ExportRequest};
use crate::domain::export::{Accepted, Export, ExportState, Failed, Origin, TimedOut};
use crate::domain::ids::{ClientToken, ExportId};
use crate::domain::invalid::Invalid;
use crate::domain::public_url::PublicUrl;
use crate::domain::timestamp::Timestamp;

use crate::domain::webhook::announcement::Announcement;
use crate::domain::webhook::endpoint::{DisabledReason, Endpoint, EndpointId, EndpointSpec};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::domain::webhook::url::{UrlPolicy, WebhookUrl};

/// A body of this type, made by the functions that make real ones.
pub(super) fn example(kind: WebhookEventType) -> Value {
    let body = sample_export(kind).and_then(|export| {
        let at = export.updated_at;
        let endpoint = sample_endpoint(at)?;
        Ok(match kind {
            WebhookEventType::EndpointDisabled => disabled_body(&endpoint, at),
            WebhookEventType::Ping => ping_body(&endpoint, at),
            WebhookEventType::ExportStarted
            | WebhookEventType::ExportCompleted
            | WebhookEventType::ExportFailed
            | WebhookEventType::ExportTimedOut
            | WebhookEventType::ExportCancelled => export_body(
                &Announcement::late(&export, kind, 3, at),
                &PublicUrl::parse("https://exports.example.com")?,
            ),
        })
    });
    body.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn sample_endpoint(at: Timestamp) -> Result<Endpoint, Invalid> {
    let spec = EndpointSpec {
        url: WebhookUrl::parse(
            "https://hooks.example.com/tableferry",
            &UrlPolicy::default(),
        )?,
        description: Some("tells the warehouse team".to_owned()),
        event_types: vec![
            WebhookEventType::ExportCompleted,
            WebhookEventType::ExportFailed,
        ],
        labels: Labels::default(),
        headers: None,
    };
    Ok(Endpoint {
        id: EndpointId(Uuid::from_u128(0x019a_3b5c_7d2e_7f10_8a9b_0c1d_2e3f_4a5c)),
        created_by: Some(CallerName::for_api_key("platform")),
        created_at: Timestamp::parse("2026-03-20T08:00:00Z")?,
        updated_at: at,
        spec,
        disabled: Some((at, DisabledReason::Failing)),
        failing_since: Some(Timestamp::parse("2026-03-28T10:12:00Z")?),
    })
}

fn sample_export(kind: WebhookEventType) -> Result<Export, Invalid> {
    let (arn, table_arn) = ExportArn::parse(
        "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/export/01775128213000-2c2f422e",
    )?;
    let (asked, began, ended) = (
        Timestamp::parse("2026-04-02T11:10:12.5Z")?,
        Timestamp::parse("2026-04-02T11:10:13Z")?,
        Timestamp::parse("2026-04-02T11:22:19.113Z")?,
    );
    let accepted = Accepted {
        arn,
        table_id: Some("2f1d7c9e-5b3a-4d8f-9e61-0a7b8c9d0e1f".to_owned()),
        start_time: Some(began),
    };
    let manifest = "AWSDynamoDB/01775128213000-2c2f422e/manifest-summary.json";
    let (state, at, reason) = match kind {
        WebhookEventType::ExportStarted => (
            ExportState::InProgress(accepted),
            began,
            Some("AWS is working on it"),
        ),
        WebhookEventType::ExportFailed => {
            let (code, message) = (
                "S3NoSuchBucket",
                "The specified bucket does not exist (Service: Amazon S3; Status Code: 404)",
            );
            let failed = Failed::ByAws {
                accepted,
                end_time: Some(ended),
                code: code.to_owned(),
                message: message.to_owned(),
            };
            (ExportState::Failed(failed), ended, Some(message))
        }
        WebhookEventType::ExportTimedOut => (
            ExportState::TimedOut(TimedOut::Accepted(accepted)),
            ended,
            Some("it took longer than timeouts.create"),
        ),
        WebhookEventType::ExportCancelled => (ExportState::Cancelled, began, None),
        WebhookEventType::ExportCompleted
        | WebhookEventType::EndpointDisabled
        | WebhookEventType::Ping => {
            let written = Written {
                end_time: Some(ended),
                item_count: Some(1180),
                billed_size_in_bytes: Some(1_048_576),
                manifest_key: Some(manifest.to_owned()),
            };
            (ExportState::Completed(accepted, written), ended, None)
        }
    };
    let token = ClientToken::from_trusted("6f0f3a3e-6b1c-4b0e-9d57-5d3f1f9f7c55".to_owned());
    Ok(Export {
        id: ExportId(Uuid::from_u128(0x019a_3b5c_7d2e_7f10_8a9b_0c1d_2e3f_4a5b)),
        version: 3,
        created_by: Some(CallerName::for_api_key("orders-team")),
        created_at: asked,
        updated_at: at,
        origin: Origin::Created {
            client_token: token,
            token_made_at: asked,
        },
        request: sample_request(table_arn)?,
        state,
        status_reason: reason.map(str::to_owned),
        verification: None,
        attempt: Attempt::default(),
        estimate: None,
        trace_parent: None,
    })
}

fn sample_request(table_arn: TableArn) -> Result<ExportRequest, Invalid> {
    let destination = S3Destination {
        bucket: S3Bucket::parse("tableferry-exports")?,
        bucket_owner: None,
        prefix: None,
        encryption: None,
    };
    Ok(ExportRequest {
        kind: ExportKind::Full {
            export_time: Some(Timestamp::parse("2026-04-02T11:10:13Z")?),
        },
        labels: Labels::new([("team".to_owned(), "orders".to_owned())].into())?,
        ..ExportRequest::new(table_arn, destination)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_an_example_of_its_type() {
        for kind in WebhookEventType::CHOICES
            .into_iter()
            .chain([WebhookEventType::Ping])
        {
            let example = example(kind);
            assert_eq!(example["type"], kind.as_str());
            assert!(
                example["timestamp"].is_string() && example["data"].is_object(),
                "{example}"
            );
        }
    }
}
