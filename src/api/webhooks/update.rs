//! `PATCH /v1/webhook-endpoints/{id}`.

use axum::Json;
use axum::extract::{RawQuery, State};

use super::request::{self, UpdateEndpoint};
use super::{EndpointPath, no_such_endpoint};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::webhook::endpoint::EndpointView;

problems! {
    /// What can go wrong.
    UpdateProblems: MalformedJson, InvalidParameter, NotFound, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Change a webhook endpoint
///
/// What is left out stays. Enabling it again forgets its failures; what failed before can be
/// recovered, what it never got can be replayed.
#[utoipa::path(
    patch,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = UpdateEndpoint),
    responses((status = 200, description = "The endpoint as it stands now", body = EndpointView), UpdateProblems)
)]
pub async fn update_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
    JsonObject(body): JsonObject,
) -> Result<Json<EndpointView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let said = request::read(&state, &body, false).await?;
    let now = state.chance.now();
    let changed = state
        .store
        .change_endpoint(id, |endpoint| said.change(endpoint, now))
        .await?;
    let endpoint = changed.ok_or_else(no_such_endpoint)?;
    tracing::info!(endpoint.id = %id, endpoint.disabled = endpoint.disabled.is_some(), "webhook endpoint changed");
    Ok(Json(EndpointView::from(&endpoint)))
}
