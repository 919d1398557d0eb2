//! The log of webhook deliveries, for callers, and the resending of one.

use std::collections::HashMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::deliveries::PING_BEGINS_AT;
use super::listed::{Listed, listed};
use super::{Store, StoreError};
use tableferry_domain::ids::{DeliveryId, ExportId};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::delivery::{Attempt, Delivery, DeliveryStatus};
use tableferry_domain::webhook::endpoint::EndpointId;
use tableferry_domain::webhook::error_class::ErrorClass;

/// The filter of a list of deliveries; all conditions that are given must hold. An endpoint or an
/// export is always given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub endpoint_id: Option<Uuid>,
    pub export_id: Option<Uuid>,
    pub status: Option<&'static str>,
    pub event_type: Option<&'static str>,
}

/// A row of `webhook_deliveries`, without the columns that only workers use.
struct DeliveryRow {
    id: Uuid,
    endpoint_id: Option<Uuid>,
    export_id: Option<Uuid>,
    event_type: String,
    url: String,
    status: String,
    due_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl Store {
    /// Finds a delivery with its attempts.
    pub async fn find_delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let row = sqlx::query_as!(
            DeliveryRow,
            "SELECT id, endpoint_id, export_id, event_type, url, status, due_at, created_at FROM webhook_deliveries WHERE id = $1",
            id.0
        )
        .fetch_optional(&self.pool)
        .await?;
        let row = self.with_attempts(row.into_iter().collect()).await?.pop();
        row.map(Delivery::try_from).transpose()
    }

    /// At most `size` deliveries that match and are older than `before`, newest first, with their
    /// attempts.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<Uuid>,
        size: i64,
    ) -> Result<Vec<Listed<Delivery>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // Planned with the values of this call, so that conditions that are not given disappear
        // from the plan.
        sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan")
            .execute(&mut *tx)
            .await?;
        let rows = sqlx::query_as!(
            DeliveryRow,
            "SELECT id, endpoint_id, export_id, event_type, url, status, due_at, created_at FROM webhook_deliveries
            WHERE ($1::uuid IS NULL OR endpoint_id = $1) AND ($2::uuid IS NULL OR export_id = $2)
                AND ($3::text IS NULL OR status = $3) AND ($4::text IS NULL OR event_type = $4)
                AND ($5::uuid IS NULL OR id < $5)
            ORDER BY id DESC
            LIMIT $6",
            filter.endpoint_id,
            filter.export_id,
            filter.status,
            filter.event_type,
            before,
            size,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(listed(self.with_attempts(rows).await?, |stored| {
            stored.row.id
        }))
    }

    /// Makes a delivery of any status due at once, with the whole schedule of retries again (a
    /// ping: one attempt). Returns false if it does not exist.
    pub async fn resend(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'PENDING', due_at = now(),
                schedule_attempts = CASE WHEN event_type = 'ping' THEN $2 ELSE 0 END
            WHERE id = $1",
            id.0,
            PING_BEGINS_AT,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn with_attempts(
        &self,
        rows: Vec<DeliveryRow>,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let made = sqlx::query!(
            "SELECT delivery_id, attempt, at, duration_ms, status_code, error_class, error, response_excerpt FROM webhook_attempts
            WHERE delivery_id = ANY ($1) ORDER BY delivery_id, attempt",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let mut attempts: HashMap<Uuid, Vec<Attempt>> = HashMap::new();
        for row in made {
            attempts.entry(row.delivery_id).or_default().push(Attempt {
                attempt: row.attempt.unsigned_abs(),
                at: row.at.into(),
                duration_ms: row.duration_ms.unsigned_abs(),
                status_code: row.status_code.and_then(|code| u16::try_from(code).ok()),
                error_class: row.error_class.as_deref().and_then(ErrorClass::parse),
                error: row.error,
                response_excerpt: row.response_excerpt,
            });
        }
        let made = |row: DeliveryRow| {
            let attempts = attempts.remove(&row.id).unwrap_or_default();
            StoredDelivery { row, attempts }
        };
        Ok(rows.into_iter().map(made).collect())
    }
}

struct StoredDelivery {
    row: DeliveryRow,
    attempts: Vec<Attempt>,
}

impl TryFrom<StoredDelivery> for Delivery {
    type Error = StoreError;

    fn try_from(StoredDelivery { row, attempts }: StoredDelivery) -> Result<Self, StoreError> {
        let unknown = || StoreError::InconsistentRow {
            table: "webhook_deliveries",
            id: row.id,
            what: "unknown status".into(),
        };
        Ok(Self {
            id: DeliveryId(row.id),
            endpoint_id: row.endpoint_id.map(EndpointId),
            export_id: row.export_id.map(ExportId),
            status: DeliveryStatus::parse(&row.status).ok_or_else(unknown)?,
            attempts,
            event_type: row.event_type,
            url: row.url,
            next_attempt_at: row.due_at.map(Timestamp::from),
            created_at: row.created_at.into(),
        })
    }
}
