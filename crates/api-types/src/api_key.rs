//! An API key's record as callers see it.

use serde::Serialize;
use tableferry_domain::caller::allow::Pattern;
use tableferry_domain::caller::api_key::ApiKey;
use tableferry_domain::caller::scope::Scope;
use tableferry_domain::caller::secret::PREFIX;
use tableferry_domain::timestamp::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;

/// The record of an API key, without the key itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// The id of the key.
    pub id: Uuid,
    /// The name of the key, as in `created_by` and logs.
    #[schema(example = "orders-team")]
    pub name: String,
    /// The beginning of the key itself.
    #[schema(example = "tferry_5f3a9c0d1b2e")]
    pub prefix: String,
    /// What the key permits.
    pub scopes: Vec<Scope>,
    /// Patterns of the tables that the key allows. If empty: all tables.
    #[schema(example = json!(["arn:aws:dynamodb:*:123456789012:table/orders-*"]))]
    pub table_arns: Vec<String>,
    /// Patterns of the buckets that the key allows. If empty: all buckets.
    #[schema(example = json!(["orders-exports"]))]
    pub s3_buckets: Vec<String>,
    /// The rate limit of the key, in requests per second on average; null means the service's limit
    /// for every caller.
    #[schema(required)]
    pub rate_limit_per_s: Option<f64>,
    /// When the key was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The caller that created the key; null if it was created from the command line, or if callers
    /// need not authenticate.
    #[schema(required)]
    pub created_by: Option<String>,
    /// When the key expires; null means never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When the key was revoked; null if it was not.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// When the key was last used, to the minute; null if never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for ApiKeyView {
    fn from(key: &ApiKey) -> Self {
        let texts = |patterns: &[Pattern]| {
            patterns
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect()
        };
        Self {
            id: key.id,
            name: key.name.as_str().to_owned(),
            prefix: format!("{PREFIX}{}", key.lookup),
            scopes: key.grant.scopes().iter().collect(),
            table_arns: texts(key.grant.allow().tables()),
            s3_buckets: texts(key.grant.allow().buckets()),
            rate_limit_per_s: key.rate_per_s,
            created_at: key.created_at,
            created_by: key.created_by.as_ref().map(|name| name.as_str().to_owned()),
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}
