//! The `webhooks` section of the OpenAPI document: every type of event, with its schema and an
//! example.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Paths, Ref, Required, Response};

use super::webhook_examples::example;
use crate::domain::webhook::event_type::WebhookEventType;

/// The tag of the section. It differs from every operation's tag, because generators write one file
/// per tag.
pub(super) const TAG: &str = "Webhook events";

pub(super) fn section() -> Paths {
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

fn operation(kind: WebhookEventType) -> Operation {
    let (summary, schema) = match kind {
        WebhookEventType::ExportStarted => ("AWS accepted the export", "ExportWebhook"),
        WebhookEventType::ExportCompleted => ("The export completed", "ExportWebhook"),
        WebhookEventType::ExportFailed => {
            ("AWS rejected the export, or it failed", "ExportWebhook")
        }
        WebhookEventType::ExportTimedOut => (
            "The export took longer than timeouts.create",
            "ExportWebhook",
        ),
        WebhookEventType::ExportCancelled => ("A caller cancelled the export", "ExportWebhook"),
        WebhookEventType::EndpointDisabled => (
            "This service disabled another webhook endpoint",
            "EndpointDisabledWebhook",
        ),
        WebhookEventType::Ping => ("A caller sent a test to the endpoint", "PingWebhook"),
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
            "Signed according to Standard Webhooks 1.0.0. Any 2xx response is a success. Any other response is retried with the same \
             `webhook-id`: ten attempts over about 75 hours. After a 410 response nothing more is sent: \
             an endpoint is disabled, and a delivery to a `callback_url` is abandoned.",
        ))
        .operation_id(Some(format!("webhook_{}", kind.as_str().replace('.', "_"))))
        .tag(TAG)
        .securities(Some(Vec::<SecurityRequirement>::new()))
        .parameter(header("webhook-id", "The same on every attempt, so that a receiver can ignore duplicates"))
        .parameter(header("webhook-timestamp", "The time of the attempt in seconds since the Unix epoch"))
        .parameter(header("webhook-signature", "One `v1,…` per secret (HMAC-SHA256) and one `v1a,…` per public key (ed25519), separated by spaces"))
        .request_body(Some(RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()))
        .response("2XX", Response::new("Received"))
        .response("410", Response::new("Send nothing more to this receiver"))
        .build()
}
