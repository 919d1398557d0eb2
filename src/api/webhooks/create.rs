//! `POST /v1/webhook-endpoints`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{self, CreateEndpoint};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::api::shown_once::created_with_secret;
use crate::domain::webhook::endpoint::EndpointView;

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// Verifies the `v1` signatures of its webhooks. Shown now and never again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub secret: String,
}

problems! {
    /// What can go wrong.
    CreateProblems: MalformedJson, InvalidParameter, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Create a webhook endpoint
///
/// It hears of every export from now on, or of some by type and label. The answer holds its secret,
/// which is shown this once.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    request_body(content = CreateEndpoint),
    responses(
        (status = 201, description = "Created", body = EndpointWithSecret,
            headers(("Location" = String, description = "The endpoint's URL")),
            links(
                ("Get" = (operation_id = "get_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Change" = (operation_id = "update_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Ping" = (operation_id = "ping_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Rotate" = (operation_id = "rotate_endpoint_secret", parameters(("id" = "$response.body#/id")))),
                ("Deliveries" = (operation_id = "list_endpoint_deliveries", parameters(("id" = "$response.body#/id")))),
                ("Delete" = (operation_id = "delete_endpoint", parameters(("id" = "$response.body#/id")))),
            )),
        CreateProblems
    )
)]
pub async fn create_endpoint(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let said = request::read(&state, &body, true).await?;
    let (id, now) = (state.chance.endpoint_id(), state.chance.now());
    let endpoint = said.create(id, calling.name(), now).ok_or_else(|| {
        Problem::new(
            ProblemType::Internal,
            "a new endpoint was read without a URL",
        )
    })?;
    let secret = state.chance.webhook_secret();
    state
        .store
        .add_endpoint(&endpoint, &state.vault.seal(secret.expose()))
        .await?;
    tracing::info!(endpoint.id = %endpoint.id, caller.name = calling.logged(), "webhook endpoint created");
    let body = EndpointWithSecret {
        endpoint: EndpointView::from(&endpoint),
        secret: secret.expose().to_owned(),
    };
    Ok(created_with_secret(
        "/v1/webhook-endpoints",
        endpoint.id,
        &body,
    ))
}
