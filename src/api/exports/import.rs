//! `POST /v1/exports/import`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::adopting::{Adoption, adopt_one};
use super::respond::respond_with_location;
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::fields::{self, body};
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api::query::NoQuery;
use crate::api_types::export::ExportView;
use crate::domain::aws::arn::ExportArn;

body! {
    /// The export to adopt.
    pub struct ImportExport, read as ImportExportFields {
        /// The ARN that AWS gave the export.
        #[schema(
            max_length = 1024,
            pattern = "^arn:aws(-[a-z]{1,8}){0,3}:dynamodb:[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}:[0-9]{12}:table/[a-zA-Z0-9_.-]{3,255}/export/[a-zA-Z0-9-]{1,64}$",
            example = "arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1/export/01580735656614-2c2f422e"
        )]
        pub export_arn: String,
    }
}

problems!(ImportProblems = BODY, RefusedByAws, AwsUnavailable);

/// Adopt an export that was started elsewhere
///
/// Asks AWS to describe the export and creates a record of it. From then on the service follows it
/// like any other export.
#[utoipa::path(
    post,
    path = "/v1/exports/import",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    extensions(("x-asks-aws" = json!(true))),
    request_body(content = ImportExport),
    responses(
        (status = 201, description = "The export was adopted", body = ExportView,
            headers(("Location" = String, description = "The export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        (status = 200, description = "The export already had a record", body = ExportView,
            headers(("Location" = String, description = "The export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        ImportProblems
    )
)]
pub async fn import_export(
    State(state): State<ApiState>,
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let (arn, table_arn) =
        fields::read::<ImportExport, _>(&body, |body| body.export_arn.text(ExportArn::parse))?;
    caller.check_table("/export_arn", &table_arn)?;
    if let Some(known) = state.store.find_by_arn(arn.as_str()).await? {
        caller.check_adoption(&known.request)?;
        return Ok(respond_with_location(&state, StatusCode::OK, &known, None));
    }
    match adopt_one(&state, &caller, &table_arn, &arn).await? {
        Adoption::Known(known) => Ok(respond_with_location(&state, StatusCode::OK, &known, None)),
        Adoption::Adopted(export) => Ok(respond_with_location(
            &state,
            StatusCode::CREATED,
            &export,
            None,
        )),
    }
}
