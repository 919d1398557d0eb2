//! The `webhooks` section of the OpenAPI document: every type of event with its schema and an
//! example made by the code that sends it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Paths, Ref, Required, Response};
use uuid::Uuid;

use crate::domain::arn::{ExportArn, TableArn};
use crate::domain::caller::CallerName;
use crate::domain::description::Written;
use crate::domain::duration::CreateTimeout;
use crate::domain::export::{Accepted, Export, ExportState, Failed, Origin, TimedOut};
use crate::domain::ids::{ClientToken, ExportId};
use crate::domain::invalid::Invalid;
use crate::domain::labels::Labels;
use crate::domain::public_url::PublicUrl;
use crate::domain::request::{ExportFormat, ExportKind, ExportRequest};
use crate::domain::retry::{Attempt, RetryPolicy};
use crate::domain::s3::{S3Bucket, S3Destination};
use crate::domain::timestamp::Timestamp;
use crate::domain::view::ExportView;
use crate::domain::webhook::announcement::{Announcement, Links, disabled_body, ping_body};
use crate::domain::webhook::endpoint::{
    DisabledEndpoint, DisabledReason, Endpoint, EndpointId, EndpointWish,
};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::domain::webhook::url::{UrlPolicy, WebhookUrl};

/// The tag of the section. Not that of any call: generators that write a file for each tag would
/// write one over the other.
pub(in crate::api) const TAG: &str = "Webhook events";

/// What happened to an export.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportWebhook)]
pub struct ExportMessage {
    /// What happened.
    #[schema(value_type = WebhookEventType)]
    pub r#type: WebhookEventType,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What it is about.
    pub data: ExportData,
}

/// What a message about an export carries.
#[derive(Serialize, ToSchema)]
pub struct ExportData {
    /// The export as it was when this happened; in an event that was replayed, as it was then.
    pub export: ExportView<'static>,
    /// Where to look further. Only where the operator has set `TABLEFERRY_PUBLIC_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Links>,
}

/// An endpoint was disabled by this service. The other endpoints hear of it.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointDisabledWebhook)]
pub struct EndpointDisabledMessage {
    /// `webhook_endpoint.disabled`.
    #[schema(value_type = WebhookEventType)]
    pub r#type: WebhookEventType,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What it is about.
    pub data: EndpointData,
}

/// What a message about an endpoint carries.
#[derive(Serialize, ToSchema)]
pub struct EndpointData {
    /// The endpoint that is disabled now.
    pub webhook_endpoint: DisabledEndpoint,
}

/// A test that somebody asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = PingWebhook)]
pub struct PingMessage {
    /// `ping`.
    #[schema(value_type = WebhookEventType)]
    pub r#type: WebhookEventType,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What it is about.
    pub data: PingData,
}

/// What a ping carries.
#[derive(Serialize, ToSchema)]
pub struct PingData {
    /// The endpoint that is tested.
    pub webhook_endpoint: PingedEndpoint,
}

/// An endpoint, by its id alone.
#[derive(Serialize, ToSchema)]
pub struct PingedEndpoint {
    /// The endpoint's id.
    pub id: Uuid,
}

/// The whole section.
pub(in crate::api) fn section() -> Paths {
    let every = WebhookEventType::CHOICES
        .into_iter()
        .chain([WebhookEventType::Ping]);
    let add = |paths: PathsBuilder, kind: WebhookEventType| {
        paths.path(
            kind.as_str(),
            PathItem::new(HttpMethod::Post, operation(kind)),
        )
    };
    every.fold(PathsBuilder::new(), add).build()
}

/// What a receiver must be ready for.
fn operation(kind: WebhookEventType) -> Operation {
    let (summary, schema) = match kind {
        WebhookEventType::ExportStarted => ("AWS has accepted the export", "ExportWebhook"),
        WebhookEventType::ExportCompleted => ("The export was written", "ExportWebhook"),
        WebhookEventType::ExportFailed => ("AWS refused or failed the export", "ExportWebhook"),
        WebhookEventType::ExportTimedOut => (
            "The export took longer than timeouts.create",
            "ExportWebhook",
        ),
        WebhookEventType::ExportCancelled => ("A caller gave the export up", "ExportWebhook"),
        WebhookEventType::EndpointDisabled => (
            "A webhook endpoint was disabled by this service",
            "EndpointDisabledWebhook",
        ),
        WebhookEventType::Ping => ("Somebody tests the endpoint", "PingWebhook"),
    };
    let header = |name: &str, about: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    };
    let example = ExampleBuilder::new()
        .summary(summary)
        .value(Some(example(kind)))
        .build();
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter([(kind.as_str(), example)])
        .build();
    OperationBuilder::new()
        .summary(Some(summary))
        .description(Some(
            "Signed by Standard Webhooks 1.0.0. Any 2xx is success; everything else is tried again, ten attempts over some 75 hours with the same \
             `webhook-id`; 410 disables the endpoint.",
        ))
        .operation_id(Some(format!("webhook_{}", kind.as_str().replace('.', "_"))))
        .tag(TAG)
        .securities(Some(Vec::<SecurityRequirement>::new()))
        .parameter(header("webhook-id", "The same on every attempt: what was seen before can be dropped"))
        .parameter(header("webhook-timestamp", "The time of the attempt in seconds since the Unix epoch"))
        .parameter(header("webhook-signature", "One `v1,…` for each secret (HMAC-SHA256), one `v1a,…` for each public key (ed25519), separated by blanks"))
        .request_body(Some(RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()))
        .response("2XX", Response::new("Received"))
        .response("410", Response::new("Nothing more is wanted: the endpoint is disabled"))
        .build()
}

/// A body of this type, made by what makes the real ones.
fn example(kind: WebhookEventType) -> Value {
    let body = sample_export(kind).and_then(|export| {
        let at = export.updated_at;
        let endpoint = sample_endpoint(at)?;
        Ok(match kind {
            WebhookEventType::EndpointDisabled => disabled_body(&endpoint, at),
            WebhookEventType::Ping => ping_body(&endpoint, at),
            _ => Announcement::late(&export, kind, 3, at)
                .body(&PublicUrl::parse("https://exports.example.com")?),
        })
    });
    body.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn sample_endpoint(at: Timestamp) -> Result<Endpoint, Invalid> {
    let wish = EndpointWish {
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
        created_by: Some(CallerName::of_api_key("platform")),
        created_at: Timestamp::parse("2026-03-20T08:00:00Z")?,
        updated_at: at,
        wish,
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
        _ => {
            let written = Written {
                end_time: Some(ended),
                item_count: Some(1180),
                billed_size_in_bytes: Some(1_048_576),
                manifest_key: Some(manifest.to_owned()),
            };
            (ExportState::Completed(accepted, written), ended, None)
        }
    };
    let token = ClientToken::known("6f0f3a3e-6b1c-4b0e-9d57-5d3f1f9f7c55".to_owned());
    Ok(Export {
        id: ExportId(Uuid::from_u128(0x019a_3b5c_7d2e_7f10_8a9b_0c1d_2e3f_4a5b)),
        version: 3,
        created_by: Some(CallerName::of_api_key("orders-team")),
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
    Ok(ExportRequest {
        table_arn,
        destination: S3Destination {
            bucket: S3Bucket::parse("tableferry-exports")?,
            bucket_owner: None,
            prefix: None,
            encryption: None,
        },
        format: ExportFormat::DynamodbJson,
        kind: ExportKind::Full {
            export_time: Some(Timestamp::parse("2026-04-02T11:10:13Z")?),
        },
        filter: None,
        create_timeout: CreateTimeout::default(),
        callback: None,
        labels: Labels::new([("team".to_owned(), "orders".to_owned())].into())?,
        verify: false,
        retry: RetryPolicy::default(),
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
