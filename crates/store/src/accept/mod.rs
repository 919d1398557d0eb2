//! Stores a new export with its idempotency key, its first event and its place in the schedule, or
//! finds the export that it conflicts with.
//!
//! Exports that callers create go through [`AcceptQueue`], which stores many of them by one
//! statement.

pub(crate) mod insert;
mod queue;

use std::time::Duration;

use super::export_row::select_exports;
use super::{Store, StoreError};
use insert::{InitialEvent, NewExport, insert};
use tableferry_domain::export::Export;
use tableferry_domain::export::event::EventKind;

pub use insert::KeyedRequest;
pub use queue::AcceptQueue;

/// The result of a request to store an export.
#[derive(Debug)]
pub enum Acceptance {
    /// It was stored.
    Stored,
    /// The idempotency key was used before, with the same request; this is the export.
    Replayed(Box<Export>),
    /// The idempotency key was used before, with another request; nothing was stored.
    KeyReused,
    /// The ARN was imported before, or the export was retried before; nothing was stored. This is
    /// the export that exists.
    Known(Box<Export>),
}

impl Store {
    /// Stores a new export of version 1 unless it conflicts with another.
    pub async fn accept(
        &self,
        export: &Export,
        key: Option<&KeyedRequest>,
        event: EventKind,
        detail: &str,
    ) -> Result<Acceptance, StoreError> {
        let initial = InitialEvent {
            event,
            detail,
            delay: Duration::ZERO,
        };
        if !insert(&self.pool, &[NewExport { export, key }], initial)
            .await?
            .is_empty()
        {
            return Ok(Acceptance::Stored);
        }
        self.conflicting(export, key).await
    }

    /// Finds what an export conflicts with that could not be inserted.
    pub(super) async fn conflicting(
        &self,
        export: &Export,
        key: Option<&KeyedRequest>,
    ) -> Result<Acceptance, StoreError> {
        match (key, export.attempt.retry_of) {
            // The row in the way may have been deleted in the meantime: then the key is free again
            // and the caller may repeat the request.
            (Some(key), _) => self.find_by_key(key).await?.ok_or(StoreError::Conflict),
            (None, Some(of)) => Ok(Acceptance::Known(Box::new(
                self.retry_of(of).await?.ok_or(StoreError::Conflict)?,
            ))),
            (None, None) => self.imported_before(export).await,
        }
    }

    /// Finds the use of an idempotency key: `Replayed` or `KeyReused`; `None` if the key is new.
    pub async fn find_by_key(&self, key: &KeyedRequest) -> Result<Option<Acceptance>, StoreError> {
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

    async fn imported_before(&self, export: &Export) -> Result<Acceptance, StoreError> {
        let arn = export
            .state
            .accepted()
            .map(|a| a.arn.as_str())
            .ok_or(StoreError::Conflict)?;
        let known = self.find_by_arn(arn).await?.ok_or(StoreError::Conflict)?;
        Ok(Acceptance::Known(Box::new(known)))
    }
}
