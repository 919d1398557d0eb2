//! `POST /v1/api-keys`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::fields::{Errors, Fields, kind};
use crate::api::guard::Calling;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::caller::Grant;
use crate::domain::caller::allow::{AllowList, MOST_PATTERNS, Pattern};
use crate::domain::caller::api_key::{ApiKey, ApiKeyView, KeyName, rate_per_s};
use crate::domain::caller::scope::{Scope, Scopes};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

/// A new API key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What it is called: in `created_by`, in logs, in lists. No two keys ever have the same, also if one is revoked.
    #[schema(min_length = 1, max_length = 100, pattern = "^[A-Za-z0-9_.@-]+$", example = "orders-team")]
    pub name: String,
    /// What its bearer may do; `admin` is everything.
    #[schema(min_items = 1, max_items = 4)]
    pub scopes: Vec<Scope>,
    /// The tables that it holds for: ARNs in which `*` stands for any text. Left out, all. Not with `webhooks:manage` or `admin`.
    #[schema(max_items = 100, example = json!(null))]
    pub table_arns: Option<Vec<String>>,
    /// The buckets that it holds for, in the same way.
    #[schema(max_items = 100, example = json!(null))]
    pub s3_buckets: Option<Vec<String>>,
    /// Requests a second in the long run, from each process of the service; left out, what the service gives everybody.
    #[schema(minimum = 0.01, maximum = 100_000, example = json!(null))]
    pub rate_limit_per_s: Option<f64>,
    /// When it stops to work (RFC 3339, any offset); left out, never.
    #[schema(format = DateTime, example = json!(null))]
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
    let wish = read(&body, now)?;
    let secret = state.chance.api_key_secret();
    let key = ApiKey {
        id: state.chance.ordered_id(),
        lookup: secret.lookup().to_owned(),
        name: wish.name,
        grant: wish.grant,
        rate_per_s: wish.rate_per_s,
        created_at: now,
        created_by: calling.name(),
        expires_at: wish.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    if !state.store.add_api_key(&key, &secret.hash()).await? {
        let taken = Invalid::new("is the name of another key, which may be revoked; choose another name");
        return Err(Problem::with_errors(ProblemType::ValidationFailed, vec![FieldError::new("/name", &taken)]));
    }
    tracing::info!(api_key.id = %key.id, api_key.name = key.name.as_str(), caller.name = calling.logged(), "API key created");
    let body = ApiKeyWithSecret { api_key: ApiKeyView::from(&key), key: secret.expose().to_owned() };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/api-keys/{}", key.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What a caller says of a new key.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What it is called.
    pub name: KeyName,
    /// What its bearer may do.
    pub grant: Grant,
    /// Requests a second in the long run, if it is not what all have.
    pub rate_per_s: Option<f64>,
    /// When it stops to work.
    pub expires_at: Option<Timestamp>,
}

/// Reads the body.
///
/// # Errors
/// A problem with every field that is wrong.
pub fn read(body: &Map<String, Value>, now: Timestamp) -> Result<Wish, Problem> {
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let name = fields.required_text("name", &mut errors, KeyName::parse);
    let scopes = read_list(&mut fields, "scopes", &mut errors, Scope::parse);
    let tables = read_list(&mut fields, "table_arns", &mut errors, Pattern::of_table);
    let buckets = read_list(&mut fields, "s3_buckets", &mut errors, Pattern::of_bucket);
    let rate_per_s = fields.number("rate_limit_per_s", &mut errors, rate_per_s);
    let expires_at = fields.text("expires_at", &mut errors, |text| {
        let at = Timestamp::parse(text)?;
        if at > now { Ok(at) } else { Err(Invalid::new("must be in the future")) }
    });
    fields.finish(&mut errors);
    let grant = Grant::new(Scopes::of(scopes), AllowList::new(tables, buckets));
    let grant = grant.map_err(|e| {
        // A scope that is none was told already.
        if errors.iter().all(|error| !error.pointer.starts_with("/scopes")) {
            errors.push(FieldError::new("/scopes", &e));
        }
    });
    match (name, grant) {
        (Some(name), Ok(grant)) if errors.is_empty() => Ok(Wish { name, grant, rate_per_s, expires_at }),
        _ => Err(Problem::with_errors(ProblemType::ValidationFailed, errors)),
    }
}

/// A list of strings; empty when it is left out. Each that is wrong is named by its place.
fn read_list<T>(fields: &mut Fields<'_>, name: &'static str, errors: &mut Errors, parse: fn(&str) -> Result<T, Invalid>) -> Vec<T> {
    let at = fields.pointer(name);
    let Some(value) = fields.value(name) else { return Vec::new() };
    let Some(list) = value.as_array().filter(|list| list.len() <= MOST_PATTERNS) else {
        let what = if value.is_array() {
            format!("must have at most {MOST_PATTERNS} entries")
        } else {
            format!("must be a list, not {}", kind(value))
        };
        errors.push(FieldError::new(at, &Invalid::new(what)));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (number, one) in list.iter().enumerate() {
        let parsed = one.as_str().ok_or_else(|| Invalid::new(format!("must be a string, not {}", kind(one)))).and_then(parse);
        match parsed {
            Ok(one) => read.push(one),
            Err(e) => errors.push(FieldError::new(format!("{at}/{number}"), &e)),
        }
    }
    read
}
