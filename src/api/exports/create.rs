//! `POST /v1/exports`.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::preflight;
use super::request::{self, CreateExport};
use super::respond::{respond_with_location, wait_for_end};
use super::vetting::vet_callback;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::prefer::Wait;
use crate::api::problem::docs::problems;
use crate::api::problem::{Problem, ProblemType};
use crate::api::query::{Query, boolean};
use crate::api::{ApiState, trace};
use crate::api_types::export::ExportView;
use crate::domain::export::attempt::Attempt;
use crate::domain::export::event::EventKind;
use crate::domain::export::request::ExportRequest;
use crate::domain::export::{Export, ExportState, Origin};
use crate::domain::fingerprint::fingerprint;
use crate::domain::timestamp::Timestamp;
use crate::store::accept::{Acceptance, KeyedRequest};
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

/// `true` if the response is that of an earlier request with the same key.
pub(in crate::api) const IDEMPOTENT_REPLAYED: HeaderName =
    HeaderName::from_static("idempotent-replayed");

problems!(CreateProblems = BODY, PreflightFailed, IdempotencyKeyReused);

/// Whether the query asks for a preflight before the export is stored.
pub struct Preflight(bool);

impl<S: Send + Sync> FromRequestParts<S> for Preflight {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut query = Query::from_raw(parts.uri.query());
        let preflight = query.one("preflight", boolean).unwrap_or(false);
        query.finish().map(|()| Self(preflight))
    }
}

/// Create an export
///
/// The service applies every rule that can be checked without calling AWS, stores the request, and
/// answers 202 at once. It starts the export at AWS in the background. With an `Idempotency-Key`
/// the request is safe to repeat: the same key and body return the same export.
#[utoipa::path(
    post,
    path = "/v1/exports",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    extensions(("x-asks-aws" = json!("preflight"))),
    params(
        ("preflight" = Option<bool>, Query, nullable = false, description = "Run the checks of POST /v1/exports/preflight first, and store nothing if one fails"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, description = "1 to 255 visible ASCII characters of your choice. The same key with a different body is rejected", max_length = 255, min_length = 1, pattern = "^[!-~]+$"),
        ("Prefer" = Option<String>, Header, nullable = false, description = "`wait=N`: wait up to N seconds for the export to end, at most 50 unless the operator has set another maximum. `Preference-Applied` gives the wait that was used. The status is 200 if the export ended"),
    ),
    request_body(content = CreateExport, description = "What to export and where to, at most 256 KiB", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
        "s3_bucket": "tableferry-exports",
        "s3_prefix": "daily",
        "labels": {"team": "orders"},
    })),
    responses(
        (status = 202, description = "The export was stored and will be started", body = ExportView,
            headers(
                ("Location" = String, description = "The export's URL"),
                ("Retry-After" = u32, description = "Seconds to wait before polling again"),
                ("Preference-Applied" = String, description = "The wait that was used"),
                ("Idempotent-Replayed" = bool, description = "`true` if the key was used before and this is its export; otherwise absent"),
            ),
            links(
                ("Get" = (operation_id = "get_export", parameters(("id" = "$response.body#/id")))),
                ("Cancel" = (operation_id = "cancel_export", parameters(("id" = "$response.body#/id")))),
                ("Events" = (operation_id = "list_export_events", parameters(("id" = "$response.body#/id")))),
                ("Delete" = (operation_id = "delete_export", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 200, description = "The export ended within the wait of `Prefer`", body = ExportView,
            headers(
                ("Location" = String, description = "The export's URL"),
                ("Preference-Applied" = String, description = "The wait that was used"),
                ("Idempotent-Replayed" = bool, description = "`true` if the key was used before and this is its export; otherwise absent"),
            )),
        CreateProblems
    )
)]
pub async fn create_export(
    State(state): State<ApiState>,
    Preflight(preflight): Preflight,
    caller: RequestCaller,
    Wait(waited): Wait,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let request = request::read(&body, &state.callbacks, &state.vault, now)
        .and_then(|request| caller.check(&request).map(|()| request));
    let request = vet_callback(&state, request).await;
    let key = idempotency_key(&headers)?.map(|key| KeyedRequest {
        key,
        fingerprint: fingerprint(&Value::Object(body)),
    });
    drop(headers); // they keep the connection's read buffer alive
    let checked = match request {
        // Boxed, because few requests do this.
        Ok(request) if preflight => Box::pin(check_first(&state, request, key.as_ref())).await,
        other => other.map(|request| (request, None)),
    };
    let acceptance = match (checked, key) {
        (Ok((request, table_size_bytes)), key) => {
            store_new(&state, &caller, request, table_size_bytes, key, now).await?
        }
        // A repeated request may be invalid by now, because its times are too old. It still gets
        // its export.
        (Err(problem), Some(key)) => match Box::pin(state.store.find_by_key(&key)).await? {
            Some(Acceptance::Replayed(known)) if caller.may(&known.request) => (*known, true),
            _ => return Err(problem),
        },
        (Err(problem), None) => return Err(problem),
    };
    let (mut export, replayed) = acceptance;
    if let Some(wait) = waited {
        // If it was deleted meanwhile, or the database is unavailable, answer with the export as it
        // was stored.
        export = Box::pin(wait_for_end(&state, export.id, wait))
            .await
            .ok()
            .flatten()
            .unwrap_or(export);
    }
    let status = if waited.is_some() && export.status().is_end() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let mut response = respond_with_location(&state, status, &export, waited);
    if replayed {
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Returns the request if no check fails, and the table's size if AWS reported it. A repeated
/// request is not checked, because its export exists.
async fn check_first(
    state: &ApiState,
    request: ExportRequest,
    key: Option<&KeyedRequest>,
) -> Result<(ExportRequest, Option<i64>), Problem> {
    if let Some(key) = key
        && state.store.find_by_key(key).await?.is_some()
    {
        return Ok((request, None));
    }
    let (report, facts) = preflight::check(state, &request).await?;
    let table_size_bytes = facts.table.ok().and_then(|table| table.size_bytes);
    preflight::refusal(&report).map_or(Ok((request, table_size_bytes)), Err)
}

/// Stores the export, or finds the one with the same key. Returns the export, and whether it
/// existed before.
async fn store_new(
    state: &ApiState,
    caller: &RequestCaller,
    request: ExportRequest,
    table_size_bytes: Option<i64>,
    key: Option<KeyedRequest>,
    now: Timestamp,
) -> Result<(Export, bool), Problem> {
    let export = Export {
        id: state.clock.export_id(),
        version: 1,
        created_at: now,
        created_by: caller.name(),
        updated_at: now,
        origin: Origin::Created {
            client_token: state.clock.client_token(),
            token_made_at: now,
        },
        status_reason: Some(accepted_in_words(&request)),
        request,
        state: ExportState::Pending,
        verification: None,
        attempt: Attempt::default(),
        estimate: None, // made when it is stored
        trace_parent: trace::current(),
    };
    match state.accepts.accept(export, key, table_size_bytes).await? {
        (export, Acceptance::Stored) => {
            metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Created.as_str()).increment(1);
            tracing::info!(export.id = %export.id, export.table_arn = %export.request.table_arn, caller.name = caller.logged(), "export accepted");
            state.signals.export_due.send();
            Ok((export, false))
        }
        (_, Acceptance::Replayed(known)) => Ok((*known, true)),
        (_, Acceptance::KeyReused | Acceptance::Known(_)) => Err(Problem::new(
            ProblemType::IdempotencyKeyReused,
            "this Idempotency-Key was used before with a different request",
        )),
    }
}

/// The status reason of a new export, with a warning if its bucket's name is unusual.
fn accepted_in_words(request: &ExportRequest) -> String {
    let warning = request.destination.bucket.broken_rule().map(|why| {
        format!(". Warning: S3 does not allow new buckets with this name ({why}); the export fails unless the bucket already exists")
    });
    format!(
        "accepted; AWS has not been asked yet{}",
        warning.unwrap_or_default()
    )
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    let text = key.to_str().ok().filter(|text| {
        (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    });
    match (text, given.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        (_, Some(_)) => Err(Problem::header(
            "Idempotency-Key",
            "is given more than once",
        )),
        (None, _) => Err(Problem::header(
            "Idempotency-Key",
            "must be 1 to 255 visible ASCII characters",
        )),
    }
}
