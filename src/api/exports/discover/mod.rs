//! `POST /v1/exports/discover`: lists the exports that AWS knows, and adopts those without a
//! record.

mod request;
mod search;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api::query::NoQuery;

use request::{DiscoverExports, read};
use search::Search;

/// The exports that AWS lists.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Discovered {
    /// Exports in the order of AWS's list. An export can appear in two responses.
    pub exports: Vec<DiscoveredExport>,
    /// The number of exports that this request adopted.
    pub adopted: u64,
    /// Exports that could not be adopted, with the reason.
    pub not_adopted: Vec<NotAdoptedExport>,
    /// Send it as `page_token` to get the rest; null if there is nothing more.
    #[schema(required)]
    pub next_page_token: Option<String>,
    /// Why AWS's list could not be read to its end, and what to do; null if it was read to its end,
    /// or if `next_page_token` continues it.
    #[schema(required)]
    pub incomplete_reason: Option<String>,
}

/// An export that AWS lists.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveredExport {
    /// The ARN of the export.
    pub arn: String,
    /// The status at AWS: `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    #[schema(example = "COMPLETED")]
    pub export_status: String,
    /// `FULL_EXPORT` or `INCREMENTAL_EXPORT`.
    #[schema(example = "FULL_EXPORT")]
    pub export_type: String,
    /// The id of the export's record in this service; null if it has none.
    #[schema(required)]
    pub known_id: Option<Uuid>,
}

/// An export that was not adopted.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotAdoptedExport {
    /// The ARN of the export.
    pub arn: String,
    /// The reason.
    pub detail: String,
}

problems!(DiscoverProblems = BODY, RefusedByAws, AwsUnavailable);

/// List the exports that AWS knows, and adopt them
///
/// AWS lists exports for 90 days. A response contains at most 1,000 exports and takes about 20
/// seconds at most; `next_page_token` continues the list. The service limits the rate of these
/// calls to AWS so that they do not slow down running exports; one request can therefore adopt
/// about 80 exports.
#[utoipa::path(
    post,
    path = "/v1/exports/discover",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    extensions(("x-asks-aws" = json!(true))),
    request_body(content = DiscoverExports, description = "A table, or an account and a region", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders", "adopt": false,
    })),
    responses((status = 200, description = "The exports that AWS lists, and those that were adopted", body = Discovered), DiscoverProblems)
)]
pub async fn discover_exports(
    State(state): State<ApiState>,
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Json<Discovered>, Problem> {
    let wanted = read(&body)?;
    if let Some(table) = &wanted.place.table {
        caller.check_table("/table_arn", table)?;
    }
    for (_, table) in &wanted.named {
        caller.check_table("/adopt", table)?;
    }
    let mut search = Search::new(&state, &caller, wanted);
    search.adopt_named().await?;
    search.list().await?;
    Ok(Json(search.found))
}
