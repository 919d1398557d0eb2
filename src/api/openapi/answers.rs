//! The headers that the responses of every operation have, declared once.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use crate::api::permissions;

const REQUEST_ID: &str = "X-Request-Id";
const RETRY_AFTER: &str = "Retry-After";
const RATE_LIMIT: &str = "RateLimit";
const RATE_LIMIT_POLICY: &str = "RateLimit-Policy";
const WWW_AUTHENTICATE: &str = "WWW-Authenticate";

/// The calls of the document, webhooks not among them.
pub(super) fn calls(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|item| {
        [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
    })
}

/// Adds them to the calls.
pub(super) fn add_headers(document: &mut OpenApi) {
    let headers = &mut document.components.get_or_insert_default().headers;
    headers.extend(described().map(|(name, header)| (name.to_owned(), RefOr::T(header))));
    for call in calls(document) {
        let is_closed = permissions::is_closed(call);
        for (status, response) in &mut call.responses.responses {
            let RefOr::T(response) = response else {
                continue;
            };
            add(response, REQUEST_ID);
            if ["429", "503"].contains(&status.as_str()) {
                add(response, RETRY_AFTER);
            }
            match status.as_str() {
                "401" => add(response, WWW_AUTHENTICATE),
                _ if is_closed => [RATE_LIMIT, RATE_LIMIT_POLICY]
                    .into_iter()
                    .for_each(|name| add(response, name)),
                _ => {}
            }
        }
    }
}

fn add(response: &mut Response, name: &str) {
    let reference = || RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
    response
        .headers
        .entry(name.to_owned())
        .or_insert_with(reference);
}

fn described() -> [(&'static str, Header); 5] {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(0));
    let header = |schema: ObjectBuilder, about: &str| {
        HeaderBuilder::new()
            .schema(Some(schema))
            .description(Some(about))
            .build()
    };
    [
        (
            REQUEST_ID,
            header(
                text(),
                "Identifies this request in the service's log: the one you sent, else a new one",
            ),
        ),
        (
            RETRY_AFTER,
            header(
                seconds,
                "Seconds to wait before sending the same request again",
            ),
        ),
        (
            RATE_LIMIT,
            header(
                text(),
                "`\"default\";r=R;t=T`: R requests are left, and the full quota is back in T seconds; absent if callers need not authenticate",
            ),
        ),
        (
            RATE_LIMIT_POLICY,
            header(
                text(),
                "`\"default\";q=Q;w=W`: the quota is Q requests in W seconds; absent if callers need not authenticate",
            ),
        ),
        (
            WWW_AUTHENTICATE,
            header(
                text(),
                "How to authenticate, and what is wrong with the credentials that were sent (RFC 6750)",
            ),
        ),
    ]
}
