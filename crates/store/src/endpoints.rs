//! Webhook endpoints and the secrets that sign for them.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::listed::{Listed, listed};
use super::pool::Connection;
use super::{Store, StoreError};
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::labels::Labels;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::endpoint::{
    DisabledReason, Endpoint, EndpointId, EndpointSpec, SealedHeaders,
};
use tableferry_domain::webhook::event_type::WebhookEventType;
use tableferry_domain::webhook::secret::Sealed;
use tableferry_domain::webhook::url::WebhookUrl;

/// The maximum number of secrets of an endpoint that sign at the same time.
pub const MAX_SECRETS: i64 = 10;

#[derive(Debug)]
struct EndpointRow {
    id: Uuid,
    created_at: OffsetDateTime,
    created_by: Option<String>,
    updated_at: OffsetDateTime,
    url: String,
    description: Option<String>,
    event_types: Vec<String>,
    labels: Json<BTreeMap<String, String>>,
    header_names: Vec<String>,
    sealed_headers: Option<String>,
    disabled_at: Option<OffsetDateTime>,
    disabled_reason: Option<String>,
    failing_since: Option<OffsetDateTime>,
}

/// `SELECT` of every column of [`EndpointRow`], followed by the rest of the query.
macro_rules! select_endpoints {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            EndpointRow,
            r#"SELECT w.id, w.created_at, w.created_by, w.updated_at, w.url, w.description, w.event_types, w.labels AS "labels: Json<BTreeMap<String, String>>", w.header_names,
                w.sealed_headers, w.disabled_at, w.disabled_reason, r.failing_since AS "failing_since?"
            FROM webhook_endpoints w LEFT JOIN webhook_receivers r ON r.receiver = w.id::text "# + $rest
            $(, $argument)*
        )
    };
}

impl TryFrom<EndpointRow> for Endpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Result<Self, StoreError> {
        let id = row.id;
        read_row(row).map_err(|what| StoreError::InconsistentRow {
            table: "webhook_endpoints",
            id,
            what: what.into(),
        })
    }
}

fn read_row(row: EndpointRow) -> Result<Endpoint, String> {
    let text = |e: tableferry_domain::invalid::Invalid| e.to_string();
    let event_types: Result<Vec<_>, _> = row
        .event_types
        .iter()
        .map(|name| WebhookEventType::parse_choice(name))
        .collect();
    let disabled = match (row.disabled_at, row.disabled_reason.as_deref()) {
        (None, None) => None,
        (Some(at), Some(reason)) => Some((
            at.into(),
            DisabledReason::parse(reason).ok_or("unknown disabled_reason")?,
        )),
        _ => return Err("disabled_at does not go with disabled_reason".to_owned()),
    };
    Ok(Endpoint {
        id: EndpointId(row.id),
        created_at: row.created_at.into(),
        created_by: row.created_by.as_deref().map(CallerName::from_db),
        updated_at: row.updated_at.into(),
        spec: EndpointSpec {
            url: WebhookUrl::from_db(&row.url).map_err(text)?,
            description: row.description,
            event_types: event_types.map_err(text)?,
            labels: Labels::from_db(row.labels.0),
            headers: row.sealed_headers.map(|sealed| SealedHeaders {
                names: row.header_names,
                sealed: Sealed::from_text(sealed),
            }),
        },
        disabled,
        failing_since: row.failing_since.map(Timestamp::from),
    })
}

impl Store {
    pub async fn add_endpoint(
        &self,
        endpoint: &Endpoint,
        secret: &Sealed,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let now = OffsetDateTime::from(endpoint.created_at);
        sqlx::query!(
            "INSERT INTO webhook_endpoints (id, created_at, updated_at, url, event_types, labels, header_names, created_by)
            VALUES ($1, $2, $2, $3, '{}', '{}', '{}', $4)",
            endpoint.id.0,
            now,
            endpoint.spec.url.as_str(),
            endpoint.created_by.as_ref().map(CallerName::as_str),
        )
        .execute(&mut *tx)
        .await?;
        write(&mut tx, endpoint).await?;
        insert_secret(&mut tx, endpoint.id, 1, secret, endpoint.created_at).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn find_endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        select_endpoints!("WHERE w.id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Endpoint::try_from)
            .transpose()
    }

    /// At most `size` endpoints that are older than `before`, newest first.
    pub async fn list_endpoints(
        &self,
        before: Option<Uuid>,
        size: i64,
    ) -> Result<Vec<Listed<Endpoint>>, StoreError> {
        let rows = select_endpoints!(
            "WHERE ($1::uuid IS NULL OR w.id < $1) ORDER BY w.id DESC LIMIT $2",
            before,
            size
        );
        Ok(listed(
            rows.fetch_all(&self.pool).await?,
            |row: &EndpointRow| row.id,
        ))
    }

    /// Changes an endpoint while its row is locked. `None` if it does not exist.
    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint),
    ) -> Result<Option<Endpoint>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let row = select_endpoints!("WHERE w.id = $1 FOR UPDATE OF w", id.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut endpoint = Endpoint::try_from(row)?;
        let was_disabled = endpoint.disabled.is_some();
        change(&mut endpoint);
        if was_disabled && endpoint.disabled.is_none() {
            // Earlier failures do not count against an endpoint that is enabled again.
            sqlx::query!(
                "DELETE FROM webhook_receivers WHERE receiver = $1::uuid::text",
                id.0
            )
            .execute(&mut *tx)
            .await?;
            endpoint.failing_since = None;
        }
        write(&mut tx, &endpoint).await?;
        tx.commit().await?;
        Ok(Some(endpoint))
    }

    /// Disables an endpoint for a reason that the service found at this URL. `None` if the endpoint
    /// is disabled already, was deleted, or has another URL now.
    pub async fn disable_endpoint(
        &self,
        id: EndpointId,
        url: &str,
        reason: DisabledReason,
        now: Timestamp,
        ids: &(dyn Fn() -> tableferry_domain::ids::DeliveryId + Sync),
    ) -> Result<Option<Endpoint>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let row = select_endpoints!(
            "WHERE w.id = $1 AND w.url = $2 AND w.disabled_at IS NULL FOR UPDATE OF w",
            id.0,
            url
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut endpoint = Endpoint::try_from(row)?;
        endpoint.disabled = Some((now, reason));
        endpoint.updated_at = now;
        write(&mut tx, &endpoint).await?;
        super::deliveries::announce_disabled(&mut tx, &endpoint, now, ids).await?;
        tx.commit().await?;
        Ok(Some(endpoint))
    }

    /// Deletes an endpoint with its secrets and jobs; its deliveries stay in the log. Returns false
    /// if it did not exist.
    pub async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!("DELETE FROM webhook_endpoints WHERE id = $1", id.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query!(
            "DELETE FROM webhook_receivers WHERE receiver = $1::uuid::text",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'ABANDONED', due_at = NULL WHERE receiver = $1::uuid::text AND status = 'PENDING'",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds a secret; older secrets sign until `old_until` at the latest. Returns false if the
    /// endpoint does not exist.
    pub async fn rotate_secret(
        &self,
        id: EndpointId,
        secret: &Sealed,
        now: Timestamp,
        old_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query_scalar!(
            "SELECT id FROM webhook_endpoints WHERE id = $1 FOR UPDATE",
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        if known.is_none() {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE webhook_secrets SET expires_at = least(expires_at, $2) WHERE endpoint_id = $1",
            id.0,
            OffsetDateTime::from(old_until)
        )
        .execute(&mut *tx)
        .await?;
        let newest =
            sqlx::query_scalar!(r#"SELECT coalesce(max(generation), 0) AS "newest!" FROM webhook_secrets WHERE endpoint_id = $1"#, id.0)
                .fetch_one(&mut *tx)
                .await?;
        insert_secret(&mut tx, id, newest + 1, secret, now).await?;
        // Deletes expired secrets and those above the maximum.
        sqlx::query!(
            "DELETE FROM webhook_secrets WHERE endpoint_id = $1 AND (expires_at <= $2 OR generation <= $3)",
            id.0,
            OffsetDateTime::from(now),
            i32::try_from(i64::from(newest) + 1 - MAX_SECRETS).unwrap_or(0),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn write(tx: &mut Connection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let spec = &endpoint.spec;
    let names: Vec<_> = spec
        .event_types
        .iter()
        .map(|kind| kind.as_str().to_owned())
        .collect();
    let header_names = spec
        .headers
        .as_ref()
        .map(|h| h.names.clone())
        .unwrap_or_default();
    sqlx::query!(
        "UPDATE webhook_endpoints SET updated_at = $2, url = $3, description = $4, event_types = $5, labels = $6, header_names = $7,
            sealed_headers = $8, disabled_at = $9, disabled_reason = $10
        WHERE id = $1",
        endpoint.id.0,
        OffsetDateTime::from(endpoint.updated_at),
        spec.url.as_str(),
        spec.description,
        &names,
        json!(spec.labels.as_map()),
        &header_names,
        spec.headers.as_ref().map(|h| h.sealed.as_str()),
        endpoint.disabled.map(|(at, _)| OffsetDateTime::from(at)),
        endpoint.disabled.map(|(_, reason)| reason.as_str()),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert_secret(
    tx: &mut Connection,
    id: EndpointId,
    generation: i32,
    secret: &Sealed,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO webhook_secrets (endpoint_id, generation, sealed_secret, created_at) VALUES ($1, $2, $3, $4)",
        id.0,
        generation,
        secret.as_str(),
        OffsetDateTime::from(now),
    )
    .execute(tx)
    .await?;
    Ok(())
}
