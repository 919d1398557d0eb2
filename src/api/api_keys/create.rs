//! `POST /v1/api-keys`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::fields::{self, body};
use crate::api::problem::docs::BodyProblems;
use crate::api::problem::{FieldError, Problem};
use crate::api::query::NoQuery;
use crate::api::shown_once::created_with_secret;
use crate::api_types::api_key::ApiKeyView;
use crate::domain::caller::Grant;
use crate::domain::caller::allow::{AllowList, MAX_PATTERNS, Pattern};
use crate::domain::caller::api_key::{ApiKey, KeyName, NewApiKey, rate_per_s};
use crate::domain::caller::scope::{Scope, Scopes};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

body! {
    /// A new API key.
    pub struct CreateApiKey, read as CreateApiKeyFields {
        /// The name of the key in `created_by`, logs and lists. It must not be the name of any
        /// other key, including revoked ones.
        #[schema(
            min_length = 1,
            max_length = 100,
            pattern = "^[A-Za-z0-9_.@-]+$",
            example = "orders-team"
        )]
        pub name: String,
        /// What the key permits; `admin` includes every scope.
        #[schema(min_items = 1, max_items = 4)]
        pub scopes: Vec<Scope>,
        /// The tables that the key allows: ARNs in which `*` matches any text. Default: all tables.
        /// Not allowed with `webhooks:manage` or `admin`.
        #[schema(max_items = 100)]
        pub table_arns: Option<Vec<String>>,
        /// The buckets that the key allows: names in which `*` matches any text. Default: all
        /// buckets. Not allowed with `webhooks:manage` or `admin`.
        #[schema(max_items = 100)]
        pub s3_buckets: Option<Vec<String>>,
        /// The rate limit of the key, in requests per second on average, for each process of the
        /// service. Default: the service's limit for every caller.
        #[schema(minimum = 0.01, maximum = 100_000)]
        pub rate_limit_per_s: Option<f64>,
        /// When the key expires (RFC 3339, any offset). Default: never.
        #[schema(format = DateTime)]
        pub expires_at: Option<String>,
    }
}

/// A new API key with the key itself, which is returned only this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyWithSecret {
    /// The record of the key.
    #[serde(flatten)]
    pub api_key: ApiKeyView,
    /// The key: send it as `Authorization: Bearer …`. It is never returned again.
    #[schema(example = "tferry_5f3a9c0d1b2e_0123456789abcdef0123456789abcdef0123456702468ace")]
    pub key: String,
}

/// Create an API key
///
/// The response contains the key itself. It is returned only this once, because only its hash is
/// stored.
#[utoipa::path(
    post,
    path = "/v1/api-keys",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    request_body(content = CreateApiKey, example = json!({
        "name": "orders-team",
        "scopes": ["exports:read", "exports:write"],
        "table_arns": ["arn:aws:dynamodb:*:123456789012:table/orders-*"],
        "s3_buckets": ["orders-exports"],
    })),
    responses(
        (status = 201, description = "Created", body = ApiKeyWithSecret, headers(("Location" = String, description = "The URL of the key's record")),
            links(
                ("Get" = (operation_id = "get_api_key", parameters(("id" = "$response.body#/id")))),
                ("Revoke" = (operation_id = "revoke_api_key", parameters(("id" = "$response.body#/id")))),
            )),
        BodyProblems
    )
)]
pub async fn create_api_key(
    State(state): State<ApiState>,
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let new = read(&body, now)?;
    let secret = state.clock.api_key_secret();
    let key = ApiKey::new(state.clock.ordered_id(), &secret, new, caller.name(), now);
    if !state.store.add_api_key(&key, &secret.hash()).await? {
        let taken =
            Invalid::new("is the name of another key, which may be revoked; choose another name");
        return Err(Problem::invalid_fields(vec![FieldError::new(
            "/name", &taken,
        )]));
    }
    tracing::info!(api_key.id = %key.id, api_key.name = key.name.as_str(), caller.name = caller.logged(), "API key created");
    let body = ApiKeyWithSecret {
        api_key: ApiKeyView::from(&key),
        key: secret.expose().to_owned(),
    };
    Ok(created_with_secret("/v1/api-keys", key.id, &body))
}

/// Reads the body, and reports every field that is invalid.
pub fn read(body: &Map<String, Value>, now: Timestamp) -> Result<NewApiKey, Problem> {
    fields::read::<CreateApiKey, _>(body, |body| {
        let name = body.name.text(KeyName::parse);
        let scopes = body.scopes.texts(MAX_PATTERNS, Scope::parse);
        let tables = body.table_arns.texts(MAX_PATTERNS, Pattern::for_table);
        let buckets = body.s3_buckets.texts(MAX_PATTERNS, Pattern::for_bucket);
        let rate_per_s = body.rate_limit_per_s.number(rate_per_s);
        let expires_at = body.expires_at.text(|text| {
            let at = Timestamp::parse(text)?;
            if at > now {
                Ok(at)
            } else {
                Err(Invalid::new("must be in the future"))
            }
        });
        let allow = AllowList::new(tables, buckets);
        let grant = Grant::new(Scopes::from_scopes(scopes), allow);
        // An invalid scope was reported already.
        if let Err(invalid) = &grant
            && !body.scopes.is_refused()
        {
            body.scopes.refuse(invalid);
        }
        Some(NewApiKey {
            name: name?,
            grant: grant.ok()?,
            rate_per_s,
            expires_at,
        })
    })
}
