//! `POST /v1/webhook-endpoints/{id}/rotate-secret`.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create::EndpointWithSecret;
use super::{EndpointPath, find, no_such_endpoint};
use crate::api::ApiState;
use crate::api::body::OptionalJsonObject;
use crate::api::fields::{Errors, Fields};
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::api::shown_once::with_secret;
use crate::domain::duration::parse_duration;
use crate::domain::invalid::Invalid;
use crate::domain::webhook::endpoint::EndpointView;

/// How long secrets that are replaced go on to sign, unless it is said.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// The longest overlap.
const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

/// How to rotate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// How long the old secrets sign along with the new one: whole numbers with h, m, s, ms; at
    /// most 720h. `0s` ends them at once. Left out, it is 24h.
    #[schema(pattern = "^([0-9]{1,4}(h|m|s|ms)){1,4}$", example = "24h")]
    pub overlap: Option<String>,
}

problems! {
    /// What can go wrong.
    RotateProblems: MalformedJson, InvalidParameter, NotFound, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Give a webhook endpoint a new secret
///
/// For the time of the overlap every webhook is signed with the new secret and the old ones, so
/// that the receiver can change over when it likes. The answer holds the new secret, which is shown
/// this once. At most ten secrets sign at a time.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/rotate-secret",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = Option<RotateSecret>),
    responses((status = 200, description = "The endpoint, with its new secret", body = EndpointWithSecret), RotateProblems)
)]
pub async fn rotate_endpoint_secret(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let mut errors = Errors::new();
    let mut fields = Fields::of(&body, "");
    let overlap = fields.text("overlap", &mut errors, |text| {
        let wrong = || {
            Invalid::new(
                "must be a duration such as \"24h\" or \"0s\", at most 720h (units h, m, s, ms)",
            )
        };
        parse_duration(text)
            .filter(|overlap| *overlap <= LONGEST_OVERLAP)
            .ok_or_else(wrong)
    });
    fields.finish(&mut errors);
    if !errors.is_empty() {
        return Err(Problem::with_errors(ProblemType::ValidationFailed, errors));
    }
    let (secret, now) = (state.chance.webhook_secret(), state.chance.now());
    let old_until = now.plus(overlap.unwrap_or(DEFAULT_OVERLAP));
    if !state
        .store
        .rotate_secret(id, &state.vault.seal(secret.expose()), now, old_until)
        .await?
    {
        return Err(no_such_endpoint());
    }
    tracing::info!(endpoint.id = %id, "webhook secret rotated");
    let endpoint = EndpointView::from(&find(&state, id).await?);
    Ok(with_secret(&EndpointWithSecret {
        endpoint,
        secret: secret.expose().to_owned(),
    }))
}
