//! The OpenAPI document, made from the handlers. `openapi/openapi.json` is exactly this.

use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self as oa, Info, License, Server};

use super::exports::events::EventView;
use super::exports::items::ItemFormat;
use super::exports::list::LabelFilter;
use super::exports::request::ExportType;
use super::problem::{ProblemDocument, ProblemType};
use super::webhooks::documented::{self, EndpointDisabledMessage, ExportMessage, PingMessage};
use super::{guard, problem_docs};
use crate::domain::public_url::PublicUrl;
use crate::domain::view::ExportView;

/// What is not said at a handler: title, tags, and schemas that only problems and streams use.
#[derive(OpenApi)]
#[openapi(
    components(schemas(
        ProblemDocument, ExportView, EventView, ItemFormat, ExportType, LabelFilter, ExportMessage, EndpointDisabledMessage, PingMessage
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

/// The document after the handlers are added.
pub(super) fn finish(mut document: oa::OpenApi) -> oa::OpenApi {
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
    // Where the document is: right below a prefix of a proxy too, where the default, the root of the host, is not.
    document.servers = Some(vec![Server::new("./")]);
    document.webhooks = Some(documented::section());
    secure(&mut document);
    document
}

/// The document as it is served at this URL.
pub(super) fn served_at(mut document: oa::OpenApi, public_url: &PublicUrl) -> oa::OpenApi {
    if public_url.is_set() {
        document.servers = Some(vec![Server::new(public_url.as_str())]);
    }
    document
}

/// Says how callers say who they are, and what they hear if they may not do what they ask for.
fn secure(document: &mut oa::OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key (`tferry_…`), or a token of the OIDC issuer that the operator has set. Not needed where TABLEFERRY_AUTH is none. \
         The roles named at a call are the scope it needs; `admin` holds all.",
    ));
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(guard::SCHEME.to_owned(), SecurityScheme::Http(scheme.build()).into());
    let refusals = problem_docs::responses(&[ProblemType::Unauthenticated, ProblemType::Forbidden, ProblemType::RateLimited]);
    for item in document.paths.paths.values_mut() {
        let calls = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for call in calls.into_iter().flatten().filter(|call| guard::is_closed(call)) {
            call.responses.responses.extend(refusals.clone());
        }
    }
}

/// The whole document as pretty JSON with a final newline.
///
/// # Errors
/// The document cannot be written as JSON, which would be a mistake in a handler's annotation.
pub fn document() -> Result<String, serde_json::Error> {
    let (_, document) = super::routes().split_for_parts();
    Ok(finish(document).to_pretty_json()? + "\n")
}
