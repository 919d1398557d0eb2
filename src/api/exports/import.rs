//! `POST /v1/exports/import`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::adopting::{Adoption, adopt_one};
use super::respond::respond_with_location;
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::fields::{Errors, Fields};
use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::arn::ExportArn;
use crate::domain::view::ExportView;

/// Which export of AWS to adopt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportExport {
    /// The ARN that AWS gave the export.
    #[schema(
        max_length = 1024,
        pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}/export/[a-zA-Z0-9-]{1,64}$",
        example = "arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1/export/01580735656614-2c2f422e"
    )]
    pub export_arn: String,
}

problems! {
    /// What can go wrong.
    ImportProblems: MalformedJson, InvalidParameter, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, RefusedByAws, Internal, Unavailable, AwsUnavailable
}

/// Adopt an export that was started elsewhere
///
/// AWS is asked for its description at once, and the export is followed to its end like any other.
#[utoipa::path(
    post,
    path = "/v1/exports/import",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    request_body(content = ImportExport),
    responses(
        (status = 201, description = "Adopted", body = ExportView,
            headers(("Location" = String, description = "The export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        (status = 200, description = "Known already", body = ExportView,
            headers(("Location" = String, description = "The export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        ImportProblems
    )
)]
pub async fn import_export(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let mut errors = Errors::new();
    let mut fields = Fields::of(&body, "");
    let arn = fields.required_text("export_arn", &mut errors, ExportArn::parse);
    fields.finish(&mut errors);
    let Some((arn, table_arn)) = arn.filter(|_| errors.is_empty()) else {
        return Err(Problem::with_errors(ProblemType::ValidationFailed, errors));
    };
    calling.check_table("/export_arn", &table_arn)?;
    if let Some(known) = state.store.find_by_arn(arn.as_str()).await? {
        calling.check_adoption(&known.request)?;
        return Ok(respond_with_location(&state, StatusCode::OK, &known, None));
    }
    match adopt_one(&state, &calling, &table_arn, &arn).await? {
        Adoption::Known(known) => Ok(respond_with_location(&state, StatusCode::OK, &known, None)),
        Adoption::Adopted(export) => Ok(respond_with_location(
            &state,
            StatusCode::CREATED,
            &export,
            None,
        )),
    }
}
