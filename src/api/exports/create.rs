//! `POST /v1/exports`.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::preflight;
use super::request::{self, CreateExport};
use super::respond::{respond_with_location, wait_for_end};
use crate::api::body::JsonObject;
use crate::api::guard::Calling;
use crate::api::prefer::Wait;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::{Query, boolean};
use crate::api::{ApiState, trace};
use crate::domain::estimate::{Estimate, estimate};
use crate::domain::event::EventKind;
use crate::domain::export::{Export, ExportState, Origin};
use crate::domain::fingerprint::fingerprint;
use crate::domain::request::ExportRequest;
use crate::domain::retry::Attempt;
use crate::domain::timestamp::Timestamp;
use crate::domain::view::ExportView;
use crate::store::accept::{Acceptance, KeyedRequest};
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

/// Says that the answer is that of an earlier request with the same key.
pub(in crate::api) const IDEMPOTENT_REPLAYED: HeaderName =
    HeaderName::from_static("idempotent-replayed");

problems! {
    /// What can go wrong.
    CreateProblems: MalformedJson, InvalidParameter, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, PreflightFailed, IdempotencyKeyReused, Internal, Unavailable
}

/// Ask for an export
///
/// The request is checked by every rule that can be checked without AWS, stored, and answered with
/// 202 at once; AWS is asked in the background. With an `Idempotency-Key` the request is safe to
/// repeat: the same key and body answer the same export.
#[utoipa::path(
    post,
    path = "/v1/exports",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(
        ("preflight" = Option<bool>, Query, nullable = false, description = "Ask AWS first, and store nothing if a check fails; see POST /v1/exports/preflight"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, description = "1 to 255 visible ASCII characters of your choice; the same key with another body is refused", max_length = 255, min_length = 1, pattern = "^[!-~]+$"),
        ("Prefer" = Option<String>, Header, nullable = false, description = "`wait=N`: wait up to N seconds (at most 50, unless the operator has set another maximum; `Preference-Applied` says what was honoured) for the end; the answer is 200 if it came"),
    ),
    request_body(content = CreateExport, description = "What to export and where to; at most 256 KiB", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
        "s3_bucket": "tableferry-exports",
        "s3_prefix": "daily",
        "labels": {"team": "orders"},
    })),
    responses(
        (status = 202, description = "Accepted: stored, and worked on from now on", body = ExportView,
            headers(
                ("Location" = String, description = "The export's URL"),
                ("Retry-After" = u32, description = "Seconds to wait before polling again"),
                ("Preference-Applied" = String, description = "The wait that was honoured"),
                ("Idempotent-Replayed" = bool, description = "`true` if the key was known: this is the export it stands for; else absent"),
            ),
            links(
                ("Get" = (operation_id = "get_export", parameters(("id" = "$response.body#/id")))),
                ("Cancel" = (operation_id = "cancel_export", parameters(("id" = "$response.body#/id")))),
                ("Events" = (operation_id = "list_export_events", parameters(("id" = "$response.body#/id")))),
                ("Delete" = (operation_id = "delete_export", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 200, description = "It ended within the wait that `Prefer` asked for", body = ExportView,
            headers(
                ("Location" = String, description = "The export's URL"),
                ("Preference-Applied" = String, description = "The wait that was honoured"),
                ("Idempotent-Replayed" = bool, description = "`true` if the key was known: this is the export it stands for; else absent"),
            )),
        CreateProblems
    )
)]
pub async fn create_export(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    Wait(waited): Wait,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let mut query = Query::of(query.as_deref());
    let preflight = query.one("preflight", boolean).unwrap_or(false);
    query.finish()?;
    let now = state.chance.now();
    let request = request::read(&body, &state.callbacks, &state.vault, now)
        .and_then(|request| calling.check(&request).map(|()| request));
    let request = vetted(&state, request).await;
    let key = idempotency_key(&headers)?.map(|key| KeyedRequest {
        key,
        fingerprint: fingerprint(&Value::Object(body)),
    });
    drop(headers); // they hold the connection's buffer that they were read into
    let checked = match request {
        // What few requests do stays out of the future of all.
        Ok(request) if preflight => Box::pin(check_first(&state, request, key.as_ref())).await,
        other => other.map(|request| (request, None)),
    };
    let acceptance = match (checked, key) {
        (Ok((request, table_size_bytes)), key) => {
            store_new(&state, &calling, request, table_size_bytes, key, now).await?
        }
        // What was right when it was first sent may not be any more: times age. Its answer stays
        // the same.
        (Err(problem), Some(key)) => match Box::pin(state.store.known_by_key(&key)).await? {
            Some(Acceptance::Replayed(known)) if calling.may(&known.request) => (*known, true),
            _ => return Err(problem),
        },
        (Err(problem), None) => return Err(problem),
    };
    let (mut export, replayed) = acceptance;
    if let Some(wait) = waited {
        // Deleted while waiting, or the database went away: it is stored, so answer with what it
        // was.
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

/// Refuses a callback to a name that leads where it must not.
pub(super) async fn vetted(
    state: &ApiState,
    request: Result<ExportRequest, Problem>,
) -> Result<ExportRequest, Problem> {
    let request = request?;
    if let Some(callback) = &request.callback {
        Box::pin(state.vet("/callback_url", &callback.url)).await?;
    }
    Ok(request)
}

/// The request again if no check fails, and the table's size if AWS told. A repetition is not
/// checked: its export exists.
async fn check_first(
    state: &ApiState,
    request: ExportRequest,
    key: Option<&KeyedRequest>,
) -> Result<(ExportRequest, Option<i64>), Problem> {
    if let Some(key) = key
        && state.store.known_by_key(key).await?.is_some()
    {
        return Ok((request, None));
    }
    let (report, facts) = preflight::check(state, &request).await?;
    let table_size_bytes = facts.table.ok().and_then(|table| table.size_bytes);
    preflight::refusal(&report).map_or(Ok((request, table_size_bytes)), Err)
}

/// What is expected of an export that is accepted now.
///
/// # Errors
/// The database does not answer.
pub(super) async fn expected(
    state: &ApiState,
    request: &ExportRequest,
    table_size_bytes: Option<i64>,
) -> Result<Estimate, Problem> {
    let past = state.store.past_exports(request, table_size_bytes).await?;
    Ok(estimate(
        &request.kind,
        &past,
        table_size_bytes,
        state.prices.of(request.table_arn.region()),
    ))
}

/// Stores the export, or finds the one that its key stands for. The export, and whether it was
/// known.
async fn store_new(
    state: &ApiState,
    calling: &Calling,
    request: ExportRequest,
    table_size_bytes: Option<i64>,
    key: Option<KeyedRequest>,
    now: Timestamp,
) -> Result<(Export, bool), Problem> {
    let export = Export {
        id: state.chance.export_id(),
        version: 1,
        created_at: now,
        created_by: calling.name(),
        updated_at: now,
        origin: Origin::Created {
            client_token: state.chance.client_token(),
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
            tracing::info!(export.id = %export.id, export.table_arn = %export.request.table_arn, caller.name = calling.logged(), "export accepted");
            state.exports_due.notify_one();
            Ok((export, false))
        }
        (_, Acceptance::Replayed(known)) => Ok((*known, true)),
        (_, Acceptance::KeyReused | Acceptance::Known(_)) => Err(Problem::new(
            ProblemType::IdempotencyKeyReused,
            "this Idempotency-Key came before with another request",
        )),
    }
}

/// Why a new export is PENDING, with what its caller should know at once.
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
