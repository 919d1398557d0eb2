//! Verifications: started by a caller or by the end of an export, claimed when due, and done in
//! turns.
//!
//! Each claim and each new start increments `claims`, and each write names its claim, so a worker
//! that wakes up after another has taken over changes nothing. Transactions that lock an export and
//! its verification lock the export first.

use std::time::Duration;

use sqlx::types::Json;
use time::OffsetDateTime;

use super::export_row::select_exports;
use super::listed::readable;
use super::pool::Connection;
use super::{Store, StoreError};
use tableferry_domain::export::Export;
use tableferry_domain::export::event::EventKind;
use tableferry_domain::export::verification::{Findings, Progress, Verification};
use tableferry_domain::ids::ExportId;
use tableferry_domain::lifecycle::timing::VERIFICATION_LEASE;
use tableferry_domain::timestamp::Timestamp;

/// A verification that a worker has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedVerification {
    /// The export with its verification.
    pub export: Export,
    pub claim: i32,
    /// Consecutive turns in which AWS did not answer.
    pub failures: u32,
}

/// Starts a verification of a COMPLETED export, unless one is running.
pub(super) async fn start(
    connection: &mut Connection,
    id: ExportId,
    deep: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO export_verifications (export_id, deep, status, due_at, started_at)
        SELECT id, $2, 'running', now(), $3 FROM exports WHERE id = $1 AND export_status = 'COMPLETED' FOR KEY SHARE
        ON CONFLICT (export_id) DO UPDATE SET deep = $2, status = 'running', due_at = now(), claims = export_verifications.claims + 1,
            failures = 0, manifest_offset = 0, files_checked = 0, files_total = NULL, items_counted = 0, problems = '[]',
            problems_total = 0, started_at = $3, finished_at = NULL
        WHERE export_verifications.status <> 'running'",
        id.0,
        deep,
        OffsetDateTime::from(now),
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Starts a verification of a COMPLETED export, unless one is running. Returns the export with
    /// its verification; `None` if the export does not exist.
    pub async fn start_verification(
        &self,
        id: ExportId,
        deep: bool,
        now: Timestamp,
    ) -> Result<Option<Export>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        start(&mut connection, id, deep, now).await?;
        select_exports!("WHERE e.id = $1", id.0)
            .fetch_optional(&mut connection)
            .await?
            .map(Export::try_from)
            .transpose()
    }

    /// Claims at most `limit` verifications that are due within `ahead` from now, the one that has
    /// waited longest first.
    pub async fn claim_verifications(
        &self,
        limit: i64,
        ahead: Duration,
    ) -> Result<Vec<ClaimedVerification>, StoreError> {
        let claimed = sqlx::query!(
            "WITH due AS MATERIALIZED (
                SELECT export_id FROM export_verifications
                WHERE status = 'running' AND due_at <= now() + $2 * interval '1 second'
                ORDER BY due_at
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            )
            UPDATE export_verifications v SET claims = v.claims + 1, due_at = now() + $3 * interval '1 second'
            FROM due WHERE v.export_id = due.export_id
            RETURNING v.export_id, v.claims, v.failures",
            limit,
            ahead.as_secs_f64(),
            VERIFICATION_LEASE.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = claimed.iter().map(|row| row.export_id).collect();
        let rows = select_exports!("WHERE e.id = ANY($1)", &ids)
            .fetch_all(&self.pool)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id;
            let Some(claim_row) = claimed.iter().find(|row| row.export_id == id) else {
                continue;
            };
            let (claim, failures) = (claim_row.claims, claim_row.failures.unsigned_abs());
            found.extend(readable(row).map(|export| ClaimedVerification {
                export,
                claim,
                failures,
            }));
        }
        Ok(found)
    }

    /// Extends the lease of a claim by [`VERIFICATION_LEASE`] from now. Returns false if another
    /// worker has claimed the verification since.
    pub async fn renew_verification(
        &self,
        claimed: &ClaimedVerification,
    ) -> Result<bool, StoreError> {
        let renewed = sqlx::query!(
            "UPDATE export_verifications SET due_at = now() + $3 * interval '1 second'
            WHERE export_id = $1 AND claims = $2 AND status = 'running'",
            claimed.export.id.0,
            claimed.claim,
            VERIFICATION_LEASE.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Writes the progress of a claimed verification and releases it; it is due again after
    /// `delay`.
    ///
    /// Fails with [`StoreError::Conflict`] if another worker has claimed it since. On any error
    /// nothing is written.
    pub async fn keep_verification(
        &self,
        claimed: &ClaimedVerification,
        progress: &Progress,
        findings: &Findings,
        failures: u32,
        delay: Duration,
    ) -> Result<(), StoreError> {
        let written = sqlx::query!(
            "UPDATE export_verifications SET due_at = now() + $3 * interval '1 second', failures = $4, manifest_offset = $5,
                files_checked = $6, files_total = $7, items_counted = $8, problems = $9, problems_total = $10
            WHERE export_id = $1 AND claims = $2 AND status = 'running'",
            claimed.export.id.0,
            claimed.claim,
            delay.as_secs_f64(),
            i32::try_from(failures).unwrap_or(i32::MAX),
            big(progress.manifest_offset),
            big(progress.files_checked),
            progress.files_total.map(big),
            big(progress.items_counted),
            Json(findings.first()) as _,
            big(findings.total()),
        )
        .execute(&self.pool)
        .await?;
        if written.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    /// Ends a claimed verification and writes the event to the export's history, which gives the
    /// export a new version.
    ///
    /// Fails with [`StoreError::Conflict`] if another worker has claimed it since. On any error
    /// nothing is written.
    pub async fn finish_verification(
        &self,
        claimed: &ClaimedVerification,
        progress: &Progress,
        findings: &Findings,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = claimed.export.id.0;
        let deep = claimed
            .export
            .verification
            .as_ref()
            .is_some_and(|verification| verification.deep);
        let now = OffsetDateTime::from(now);
        let mut tx = self.pool.begin().await?;
        let export = sqlx::query!(
            "UPDATE exports SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING version, export_status",
            id,
            now
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::Conflict)?;
        let ended = sqlx::query!(
            "UPDATE export_verifications SET status = CASE WHEN $9::bigint = 0 THEN 'passed' ELSE 'failed' END, due_at = NULL, finished_at = $3,
                manifest_offset = $4, files_checked = $5, files_total = $6, items_counted = $7, problems = $8, problems_total = $9
            WHERE export_id = $1 AND claims = $2 AND status = 'running'",
            id,
            claimed.claim,
            now,
            big(progress.manifest_offset),
            big(progress.files_checked),
            progress.files_total.map(big),
            big(progress.items_counted),
            Json(findings.first()) as _,
            big(findings.total()),
        )
        .execute(&mut *tx)
        .await?;
        if ended.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
        sqlx::query!(
            "INSERT INTO export_events (export_id, sequence, type, at, export_status, detail) VALUES ($1, $2, $3, $4, $5, $6)",
            id,
            export.version,
            EventKind::Verified.as_str(),
            now,
            export.export_status,
            Verification::sentence(deep, progress, findings),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Counts never reach the end of a bigint.
fn big(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
