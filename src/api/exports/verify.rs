//! `POST /v1/exports/{id}/verify`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::IdPath;
use super::completed::completed;
use super::respond::respond;
use crate::api::ApiState;
use crate::api::body::OptionalJsonObject;
use crate::api::fields::{Errors, Fields};
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::view::ExportView;

/// How to verify an export.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyExport {
    /// Read every byte of every data file, instead of asking S3 for length and ETag of each. Left
    /// out, it is false.
    pub deep: Option<bool>,
}

problems! {
    /// What can go wrong.
    VerifyProblems: MalformedJson, InvalidParameter, NotFound, NotCompleted, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Verify a COMPLETED export
///
/// Compares what lies in S3 with what AWS says it wrote, in the background: the sums of both
/// manifests, that they belong to this export, that every file exists where it must, its ETag, and
/// the numbers of items. A deep verification also reads every file: its MD5 sum, its compression,
/// and its items one by one. `verification` of the export tells how far it has come and what is
/// wrong; its end is an event `export.verified`. While one runs, this call answers with it;
/// afterwards it begins anew.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/verify",
    tag = "Files",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The export's id")),
    request_body(content = Option<VerifyExport>, description = "May be left out", example = json!({"deep": true})),
    responses((status = 202, description = "It runs", body = ExportView), VerifyProblems)
)]
pub async fn verify_export(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    RawQuery(query): RawQuery,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let mut errors = Errors::new();
    let mut fields = Fields::of(&body, "");
    let deep = fields.boolean("deep", &mut errors).unwrap_or(false);
    fields.finish(&mut errors);
    if !errors.is_empty() {
        return Err(Problem::with_errors(ProblemType::ValidationFailed, errors));
    }
    completed(&state, id).await?;
    let export = state
        .store
        .start_verification(id, deep, state.chance.now())
        .await?
        .ok_or_else(Problem::no_such_export)?;
    state.verifications_due.notify_one();
    tracing::info!(export.id = %id, verification.deep = deep, "verification asked for");
    Ok(respond(&state, StatusCode::ACCEPTED, &export, None))
}
