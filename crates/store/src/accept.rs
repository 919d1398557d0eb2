//! Stores one new export with its idempotency key, its first event and its place in the schedule,
//! or finds what it conflicts with.
//!
//! What callers ask for at the same time goes through [`super::accept_queue`], by the same
//! statement.

use std::time::Duration;

use super::insert::{First, NewExport, insert};
use super::rows::select_exports;
use super::{Store, StoreError};
use tableferry_domain::event::EventKind;
use tableferry_domain::export::Export;

/// What became of a request to store an export.
#[derive(Debug)]
pub enum Acceptance {
    /// It was stored.
    Stored,
    /// The idempotency key is known and came with the same request: this is its export.
    Replayed(Box<Export>),
    /// The idempotency key is known and came with another request; nothing was stored.
    KeyReused,
    /// The export of AWS is known already, or the export was retried before; nothing was stored.
    Known(Box<Export>),
}

/// A request that came with an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    /// The key.
    pub key: String,
    /// The fingerprint of the body.
    pub fingerprint: [u8; 32],
}

impl Store {
    /// Stores a new export of version 1, or says why not.
    ///
    /// # Errors
    /// The database did not take it; then nothing is stored.
    pub async fn accept(
        &self,
        export: &Export,
        key: Option<&KeyedRequest>,
        event: EventKind,
        detail: &str,
    ) -> Result<Acceptance, StoreError> {
        let first = First {
            event,
            detail,
            delay: Duration::ZERO,
        };
        if !insert(&self.pool, &[NewExport { export, key }], first)
            .await?
            .is_empty()
        {
            return Ok(Acceptance::Stored);
        }
        self.conflicting(export, key).await
    }

    /// What an export that could not be inserted conflicts with.
    ///
    /// # Errors
    /// The database does not answer, or the row that was in the way has just been deleted.
    pub(super) async fn conflicting(
        &self,
        export: &Export,
        key: Option<&KeyedRequest>,
    ) -> Result<Acceptance, StoreError> {
        match (key, export.attempt.retry_of) {
            // A row that conflicted can be gone by now, if it was just deleted: then the key is
            // free again and the caller may repeat.
            (Some(key), _) => self.known_by_key(key).await?.ok_or(StoreError::Stale),
            (None, Some(of)) => Ok(Acceptance::Known(Box::new(
                self.retry_of(of).await?.ok_or(StoreError::Stale)?,
            ))),
            (None, None) => self.known_by_arn(export).await,
        }
    }

    /// What an idempotency key stands for: an export to replay, or another request's. `None` when
    /// it is new.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn known_by_key(&self, key: &KeyedRequest) -> Result<Option<Acceptance>, StoreError> {
        let row = select_exports!("WHERE e.idempotency_key = $1", key.key)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let same = sqlx::query_scalar!(
            "SELECT request_fingerprint = $2 FROM exports WHERE idempotency_key = $1",
            key.key,
            key.fingerprint.as_slice()
        )
        .fetch_optional(&self.pool)
        .await?
        .flatten();
        Ok(Some(if same == Some(true) {
            Acceptance::Replayed(Box::new(row.try_into()?))
        } else {
            Acceptance::KeyReused
        }))
    }

    async fn known_by_arn(&self, export: &Export) -> Result<Acceptance, StoreError> {
        let arn = export
            .state
            .accepted()
            .map(|a| a.arn.as_str())
            .ok_or(StoreError::Stale)?;
        let known = self.find_by_arn(arn).await?.ok_or(StoreError::Stale)?;
        Ok(Acceptance::Known(Box::new(known)))
    }
}
