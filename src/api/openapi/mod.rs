//! The OpenAPI document, made from the handlers, and the forms in which it is offered. `openapi/`
//! holds what comes out of it.

mod answers;
mod older;
mod serve;
mod webhook_examples;
mod webhooks;

use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{self as oa, Info, License, Server};

use super::exports::items::ItemFormat;
use super::exports::list::LabelFilter;
use super::permissions::{self, ASKS_AWS};
use super::problem::docs;
use crate::api_types::event::EventView;
use crate::api_types::export::ExportView;
use crate::api_types::problem::ProblemDocument;
use crate::api_types::webhook::{EndpointDisabledMessage, ExportMessage, PingMessage};

pub(super) use serve::Documents;

/// The path of the document, which Swagger UI reads.
pub(super) const DOCUMENT: &str = "/openapi.json";

/// The path of the document's 3.0 form.
pub(super) const DOCUMENT_3_0: &str = "/openapi-3.0.json";

/// The default server: relative to the document, so that it works below a proxy's prefix too.
pub(super) const SAME_SERVER: &str = ".";

/// What no handler declares: tags, and schemas that only problems, streams and webhooks use.
#[derive(OpenApi)]
#[openapi(
    components(schemas(
        ProblemDocument, ExportView, EventView, ItemFormat, LabelFilter, ExportMessage, EndpointDisabledMessage, PingMessage
    )),
    tags(
        (name = "Exports", description = "Create exports of DynamoDB tables to S3 and follow them until they end."),
        (name = "Webhooks", description = "Receive signed webhooks about exports, see what was delivered, and send it again."),
        (name = "Files", description = "The output of a COMPLETED export: its manifest, its files, some of its items, and its verification."),
        (name = "API keys", description = "Create, list and revoke API keys."),
        (name = "Operations", description = "Health, metrics and explanations of problems.")
    )
)]
struct Base;

/// The document before the handlers are added.
pub(super) fn base() -> oa::OpenApi {
    Base::openapi()
}

/// The document after the handlers are added; `server_url` is where the calls are.
fn finish(mut document: oa::OpenApi, server_url: &str) -> oa::OpenApi {
    let mut info = Info::new("Tableferry", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Exports DynamoDB tables to S3. Create an export over REST, then follow it by polling, long polling, a live event stream or \
         signed webhooks. Every error is an `application/problem+json` document (RFC 9457) whose `type` can be looked up."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    document.info = info;
    document.servers = Some(vec![Server::new(server_url)]);
    document.webhooks = Some(webhooks::section());
    let webhooks = oa::tag::TagBuilder::new()
        .name(webhooks::TAG)
        .description(Some("The webhooks that receivers are sent."))
        .build();
    document.tags.get_or_insert_default().push(webhooks);
    secure(&mut document);
    for call in answers::calls(&mut document) {
        if let Some(extensions) = &mut call.extensions {
            extensions.remove(ASKS_AWS);
        }
        call.extensions.take_if(|extensions| extensions.is_empty());
    }
    answers::add_headers(&mut document);
    document
}

/// Documents authentication, and the responses to callers without it or without the scope.
fn secure(document: &mut oa::OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key (`tferry_…`), or a token of the OIDC issuer that the operator has configured. Not needed if TABLEFERRY_AUTH is none. \
         Each operation states the scope that it requires; `admin` includes every scope.",
    ));
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(
        permissions::SCHEME.to_owned(),
        SecurityScheme::Http(scheme.build()).into(),
    );
    let refusals = docs::refusals();
    for call in answers::calls(document).filter(|call| permissions::is_closed(call)) {
        call.responses.responses.extend(refusals.clone());
        // Swagger UI does not show the scopes of a bearer token, and OpenAPI 3.0 has none.
        if let Some(scope) = permissions::scope_of(call) {
            let said = call
                .description
                .take()
                .map_or_else(String::new, |said| said.trim_end().to_owned() + "\n\n");
            call.description = Some(format!("{said}Requires the scope `{}`.", scope.as_str()));
        }
        // If TABLEFERRY_AUTH is none, callers need no credentials, so clients that are generated
        // from this document must not require them.
        call.security
            .get_or_insert_default()
            .push(SecurityRequirement::default());
    }
}

/// A form of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything, in OpenAPI 3.1.
    Whole,
    /// Without the section `webhooks`, for generators that fail on it.
    WithoutWebhooks,
    /// In OpenAPI 3.0, which has no such section, for generators that do not know 3.1.
    Version30,
}

impl Form {
    /// That form of the finished document.
    fn of(self, document: &oa::OpenApi) -> Result<Value, serde_json::Error> {
        let document = serde_json::to_value(document)?;
        Ok(match self {
            Self::Whole => document,
            Self::WithoutWebhooks => without_webhooks(document),
            Self::Version30 => older::to_3_0(without_webhooks(document)),
        })
    }
}

/// Leaves out the webhooks. The schemas of their bodies stay, for generated types.
fn without_webhooks(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove("webhooks");
        if let Some(tags) = members.get_mut("tags").and_then(Value::as_array_mut) {
            tags.retain(|tag| tag["name"] != webhooks::TAG);
        }
    }
    document
}

/// The document as pretty JSON with a final newline.
///
/// Fails only if a handler's annotation cannot be written as JSON.
pub fn document(form: Form) -> Result<String, serde_json::Error> {
    let (_, document) = super::routes().split_for_parts();
    let document = finish(document, SAME_SERVER);
    let text = match form {
        Form::Whole => document.to_pretty_json()?, // in the order of OpenAPI's own pages
        other => serde_json::to_string_pretty(&other.of(&document)?)?,
    };
    Ok(text + "\n")
}
