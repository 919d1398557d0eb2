//! `POST /v1/exports/{id}/verify`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::completed::completed;
use super::respond::respond;
use crate::api::ApiState;
use crate::api::body::OptionalJsonObject;
use crate::api::fields::{self, body};
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api::query::NoQuery;
use crate::api_types::export::ExportView;

body! {
    /// How to verify an export.
    pub struct VerifyExport, read as VerifyExportFields {
        /// Also read every byte of every data file, and check every record. Otherwise only the
        /// manifests, and what S3 reports about each file, are checked. Default: false.
        pub deep: Option<bool>,
    }
}

problems!(VerifyProblems = BODY_BY_ID, NotCompleted);

/// Verify a COMPLETED export
///
/// Compares the files in S3 with what AWS says it wrote, in the background. It checks the MD5 sums
/// of both manifests, that they belong to this export, that every file exists and has the right
/// ETag, and that the numbers of items agree. A deep verification also reads every file and checks
/// its MD5 sum, its compression and every item. The export's `verification` shows the progress and
/// the first 100 errors; the end is recorded as the event `export.verified`. While a verification
/// runs, this request returns it; afterwards it starts a new one.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/verify",
    tag = "Files",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The export's id")),
    request_body(content = Option<VerifyExport>, description = "Optional", example = json!({"deep": true})),
    responses((status = 202, description = "The verification is running", body = ExportView), VerifyProblems)
)]
pub async fn verify_export(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    _: NoQuery,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Response, Problem> {
    let deep = fields::read::<VerifyExport, _>(&body, |body| Some(body.deep.boolean()))?;
    let deep = deep.unwrap_or(false);
    completed(&state, id).await?;
    let export = state
        .store
        .start_verification(id, deep, state.clock.now())
        .await?
        .ok_or_else(ExportPath::not_found)?;
    state.signals.verification_due.send();
    tracing::info!(export.id = %id, verification.deep = deep, "verification asked for");
    Ok(respond(&state, StatusCode::ACCEPTED, &export, None))
}
