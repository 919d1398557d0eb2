//! The headers that answers of every call bear, said once for all of them.

use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use crate::api::guard;

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
        let is_closed = guard::is_closed(call);
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
                "Names this request in the service's log: yours if you sent one, else a new one",
            ),
        ),
        (
            RETRY_AFTER,
            header(
                seconds,
                "After how many seconds the same request makes sense again",
            ),
        ),
        (
            RATE_LIMIT,
            header(
                text(),
                "`\"default\";r=R;t=T`: R requests are left, and all are back in T seconds; absent where callers need not say who they are",
            ),
        ),
        (
            RATE_LIMIT_POLICY,
            header(
                text(),
                "`\"default\";q=Q;w=W`: Q requests in W seconds; absent where callers need not say who they are",
            ),
        ),
        (
            WWW_AUTHENTICATE,
            header(
                text(),
                "How to say who calls, and what is wrong with what was sent (RFC 6750)",
            ),
        ),
    ]
}
