//! `POST /v1/api-keys`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::fields::{Errors, Fields};
use crate::api::guard::Calling;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::api::shown_once::created_with_secret;
use crate::domain::caller::Grant;
use crate::domain::caller::allow::{AllowList, MOST_PATTERNS, Pattern};
use crate::domain::caller::api_key::{ApiKey, ApiKeyView, KeyName, NewApiKey, rate_per_s};
use crate::domain::caller::scope::{Scope, Scopes};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

/// A new API key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What it is called: in `created_by`, in logs, in lists. No two keys ever have the same, also
    /// if one is revoked.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "^[A-Za-z0-9_.@-]+$",
        example = "orders-team"
    )]
    pub name: String,
    /// What its bearer may do; `admin` is everything.
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Vec<Scope>,
    /// The tables that it holds for: ARNs in which `*` stands for any text. Left out, all. Not with
    /// `webhooks:manage` or `admin`.
    #[schema(max_items = 100)]
    pub table_arns: Option<Vec<String>>,
    /// The buckets that it holds for, in the same way.
    #[schema(max_items = 100)]
    pub s3_buckets: Option<Vec<String>>,
    /// Requests a second in the long run, from each process of the service; left out, what the
    /// service gives everybody.
    #[schema(minimum = 0.01, maximum = 100_000)]
    pub rate_limit_per_s: Option<f64>,
    /// When it stops to work (RFC 3339, any offset); left out, never.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// An API key, with the key itself, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyWithSecret {
    /// Its record.
    #[serde(flatten)]
    pub api_key: ApiKeyView,
    /// The key: send it as `Authorization: Bearer …`. Shown now and never again.
    #[schema(example = "tferry_5f3a9c0d1b2e_0123456789abcdef0123456789abcdef0123456702468ace")]
    pub key: String,
}

problems! {
    /// What can go wrong.
    CreateProblems: MalformedJson, InvalidParameter, PayloadTooLarge, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Make an API key
///
/// The answer holds the key itself, which is shown this once: only a hash of it is kept.
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
        (status = 201, description = "Made", body = ApiKeyWithSecret, headers(("Location" = String, description = "Its record's URL")),
            links(
                ("Get" = (operation_id = "get_api_key", parameters(("id" = "$response.body#/id")))),
                ("Revoke" = (operation_id = "revoke_api_key", parameters(("id" = "$response.body#/id")))),
            )),
        CreateProblems
    )
)]
pub async fn create_api_key(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let now = state.chance.now();
    let said = read(&body, now)?;
    let secret = state.chance.api_key_secret();
    let key = ApiKey::new(
        state.chance.ordered_id(),
        &secret,
        said,
        calling.name(),
        now,
    );
    if !state.store.add_api_key(&key, &secret.hash()).await? {
        let taken =
            Invalid::new("is the name of another key, which may be revoked; choose another name");
        return Err(Problem::with_errors(
            ProblemType::ValidationFailed,
            vec![FieldError::new("/name", &taken)],
        ));
    }
    tracing::info!(api_key.id = %key.id, api_key.name = key.name.as_str(), caller.name = calling.logged(), "API key created");
    let body = ApiKeyWithSecret {
        api_key: ApiKeyView::from(&key),
        key: secret.expose().to_owned(),
    };
    Ok(created_with_secret("/v1/api-keys", key.id, &body))
}

/// Reads the body.
///
/// # Errors
/// A problem with every field that is wrong.
pub fn read(body: &Map<String, Value>, now: Timestamp) -> Result<NewApiKey, Problem> {
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let name = fields.required_text("name", &mut errors, KeyName::parse);
    let scopes = fields.texts("scopes", MOST_PATTERNS, &mut errors, Scope::parse);
    let tables = fields.texts("table_arns", MOST_PATTERNS, &mut errors, Pattern::of_table);
    let buckets = fields.texts("s3_buckets", MOST_PATTERNS, &mut errors, Pattern::of_bucket);
    let rate_per_s = fields.number("rate_limit_per_s", &mut errors, rate_per_s);
    let expires_at = fields.text("expires_at", &mut errors, |text| {
        let at = Timestamp::parse(text)?;
        if at > now {
            Ok(at)
        } else {
            Err(Invalid::new("must be in the future"))
        }
    });
    fields.finish(&mut errors);
    let grant = Grant::new(Scopes::of(scopes), AllowList::new(tables, buckets));
    let grant = grant.map_err(|e| {
        // A scope that is none was told already.
        if errors
            .iter()
            .all(|error| !error.pointer.starts_with("/scopes"))
        {
            errors.push(FieldError::new("/scopes", &e));
        }
    });
    match (name, grant) {
        (Some(name), Ok(grant)) if errors.is_empty() => Ok(NewApiKey {
            name,
            grant,
            rate_per_s,
            expires_at,
        }),
        _ => Err(Problem::with_errors(ProblemType::ValidationFailed, errors)),
    }
}
