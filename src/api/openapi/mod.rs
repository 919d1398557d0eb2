//! The OpenAPI document, made from the handlers, and the forms in which it is offered. `openapi/`
//! holds what comes out of it.

mod answers;
mod older;
mod serve;

use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{self as oa, Info, License, Server};

use super::exports::events::EventView;
use super::exports::items::ItemFormat;
use super::exports::list::LabelFilter;
use super::problem::{ProblemDocument, ProblemType};
use super::webhooks::documented::{self, EndpointDisabledMessage, ExportMessage, PingMessage};
use super::{guard, problem_docs};
use crate::domain::view::ExportView;

pub(super) use serve::Documents;

/// The path of the document, which Swagger UI reads.
pub(super) const DOCUMENT: &str = "/openapi.json";

/// The path of the document's 3.0 form.
pub(super) const DOCUMENT_3_0: &str = "/openapi-3.0.json";

/// Where the calls are, unless it is said: beside the document, also below a prefix of a proxy.
pub(super) const SAME_SERVER: &str = ".";

/// What is not said at a handler: title, tags, and schemas that only problems and streams use.
#[derive(OpenApi)]
#[openapi(
    components(schemas(
        ProblemDocument, ExportView, EventView, ItemFormat, LabelFilter, ExportMessage, EndpointDisabledMessage, PingMessage
    )),
    tags(
        (name = "Exports", description = "Ask for exports of DynamoDB tables to S3 and follow them to their end."),
        (name = "Webhooks", description = "Hear of exports by signed webhooks, see what was delivered, and send it again."),
        (name = "Files", description = "What a COMPLETED export wrote: its manifest, its files, some of its items, and whether all of it is as AWS wrote it."),
        (name = "API keys", description = "Who may call: make, see and revoke API keys."),
        (name = "Operations", description = "Health, metrics and explanations.")
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
        "DynamoDB table exports to S3, run as a service: ask over REST, follow by polling, waiting, a live stream or a signed webhook. \
         Every error is an `application/problem+json` document (RFC 9457) whose `type` can be looked up."
            .to_owned(),
    );
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    document.info = info;
    document.servers = Some(vec![Server::new(server_url)]);
    document.webhooks = Some(documented::section());
    let webhooks = oa::tag::TagBuilder::new()
        .name(documented::TAG)
        .description(Some("What receivers of webhooks are sent."))
        .build();
    document.tags.get_or_insert_default().push(webhooks);
    secure(&mut document);
    answers::add_headers(&mut document);
    document
}

/// Says how callers say who they are, and what they hear if they may not do what they ask for.
fn secure(document: &mut oa::OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key (`tferry_…`), or a token of the OIDC issuer that the operator has set. Not needed where TABLEFERRY_AUTH is none. \
         Each call names the scope that it needs; `admin` holds all.",
    ));
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(
        guard::SCHEME.to_owned(),
        SecurityScheme::Http(scheme.build()).into(),
    );
    let refusals = problem_docs::responses(&[
        ProblemType::Unauthenticated,
        ProblemType::Forbidden,
        ProblemType::RateLimited,
    ]);
    for call in answers::calls(document).filter(|call| guard::is_closed(call)) {
        call.responses.responses.extend(refusals.clone());
        // Swagger UI does not show the scopes of a bearer token, and OpenAPI 3.0 has none.
        if let Some(scope) = guard::scope_of(call) {
            let said = call
                .description
                .take()
                .map_or_else(String::new, |said| said.trim_end().to_owned() + "\n\n");
            call.description = Some(format!("{said}Needs the scope `{}`.", scope.as_str()));
        }
        // Where TABLEFERRY_AUTH is none nobody must say who they are, and a client that was made
        // from this document must not insist.
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

/// Leaves out what receivers are sent. The schemas of the bodies stay, for those who want them as
/// types.
fn without_webhooks(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove("webhooks");
        if let Some(tags) = members.get_mut("tags").and_then(Value::as_array_mut) {
            tags.retain(|tag| tag["name"] != documented::TAG);
        }
    }
    document
}

/// The document as pretty JSON with a final newline.
///
/// # Errors
/// The document cannot be written as JSON, which would be a mistake in a handler's annotation.
pub fn document(form: Form) -> Result<String, serde_json::Error> {
    let (_, document) = super::routes().split_for_parts();
    let document = finish(document, SAME_SERVER);
    let text = match form {
        Form::Whole => document.to_pretty_json()?, // in the order of OpenAPI's own pages
        other => serde_json::to_string_pretty(&other.of(&document)?)?,
    };
    Ok(text + "\n")
}
