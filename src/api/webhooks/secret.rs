//! `POST /v1/webhook-endpoints/{id}/rotate-secret`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::create::EndpointWithSecret;
use super::find;
use crate::api::ApiState;
use crate::api::body::OptionalJsonObject;
use crate::api::fields::{self, body};
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::BodyByIdProblems;
use crate::api::query::NoQuery;
use crate::api::shown_once::with_secret;
use crate::api_types::endpoint::EndpointView;
use crate::domain::duration::parse_duration;
use crate::domain::invalid::Invalid;

const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);
const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

body! {
    /// How to rotate the secret.
    pub struct RotateSecret, read as RotateSecretFields {
        /// How long the old secrets keep signing along with the new one: whole numbers with h, m, s
        /// or ms, at most 720h. `0s` retires them at once. Default: 24h.
        #[schema(pattern = "^([0-9]{1,4}(h|m|s|ms)){1,4}$", example = "24h")]
        pub overlap: Option<String>,
    }
}

/// Rotate a webhook endpoint's secret
///
/// During the overlap, every webhook is signed with the new secret and with the old ones, so the
/// receiver can switch at any time. At most ten secrets sign at the same time. The response
/// contains the new secret, which is returned only this once.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/rotate-secret",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = Option<RotateSecret>),
    responses((status = 200, description = "The endpoint with its new secret", body = EndpointWithSecret), BodyByIdProblems)
)]
pub async fn rotate_endpoint_secret(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
    OptionalJsonObject(body): OptionalJsonObject,
) -> Result<Response, Problem> {
    let overlap =
        fields::read::<RotateSecret, _>(&body, |body| Some(body.overlap.text(parse_overlap)))?;
    let (secret, now) = (state.clock.webhook_secret(), state.clock.now());
    let old_until = now.plus(overlap.unwrap_or(DEFAULT_OVERLAP));
    if !state
        .store
        .rotate_secret(id, &state.vault.seal(secret.expose()), now, old_until)
        .await?
    {
        return Err(EndpointPath::not_found());
    }
    tracing::info!(endpoint.id = %id, "webhook secret rotated");
    let endpoint = EndpointView::from(&find(&state, id).await?);
    Ok(with_secret(&EndpointWithSecret {
        endpoint,
        secret: secret.expose().to_owned(),
    }))
}

fn parse_overlap(text: &str) -> Result<Duration, Invalid> {
    parse_duration(text)
        .filter(|overlap| *overlap <= MAX_OVERLAP)
        .ok_or_else(|| {
            Invalid::new(
                "must be a duration such as \"24h\" or \"0s\", at most 720h (units h, m, s, ms)",
            )
        })
}
