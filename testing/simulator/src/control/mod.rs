//! The control interface: what a test, or a person with curl, can do to the simulated world and an
//! AWS client cannot.

mod calls;
mod http;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

pub use calls::Call;
pub(crate) use calls::CallLog;
pub(crate) use http::routes;

use crate::dynamodb::write_item;
use crate::faults::Fault;
use crate::item::normalise;
use crate::s3::{BucketInfo, StoreError};
use crate::seed::{self, BucketSeed, SeedError, TableSeed};
use crate::world::{Outcome, PointInTimeRecovery, World};

/// A handle on a running simulator. Clones control the same simulator.
#[derive(Clone)]
pub struct Control {
    world: Arc<World>,
}

/// Summary of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportSummary {
    pub arn: String,
    pub client_token: String,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub status: String,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the export will end or has ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
    pub failure_code: Option<String>,
    /// The key of `manifest-summary.json`.
    pub manifest_key: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("there is no table {0}")]
    NoSuchTable(String),
    #[error("{0}")]
    BadItem(String),
    /// The bucket could not be created or changed.
    #[error(transparent)]
    Bucket(#[from] StoreError),
    /// The table could not be created.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Control {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.world.clock.now()
    }

    /// Moves the clock forward. When this returns, every export that became due has ended and its
    /// output is in S3.
    pub async fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
        self.world.mark_changed();
        self.world.finish_due().await;
        self.world.due_changed.notify_one();
    }

    /// Freezes the clock, or lets it continue.
    pub fn freeze(&self, frozen: bool) {
        self.world.clock.freeze(frozen);
        self.world.due_changed.notify_one();
    }

    pub async fn finish_exports(&self) {
        self.world.finish_all().await;
    }

    pub fn add_fault(&self, fault: Fault) {
        self.world.faults().add(fault);
    }

    /// The fault rules that can still apply.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.world.faults().rules().to_vec()
    }

    pub fn clear_faults(&self) {
        self.world.faults().clear();
    }

    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all()
    }

    pub fn clear_calls(&self) {
        self.world
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Every export of every account, ordered by ARN.
    #[must_use]
    pub fn exports(&self) -> Vec<ExportSummary> {
        let state = self.world.state();
        let summaries = state.exports().map(|export| ExportSummary {
            arn: export.arn.clone(),
            client_token: export.client_token.clone(),
            status: export.status().to_owned(),
            started_at: export.started_at,
            ends_at: export
                .finish
                .as_ref()
                .map_or(export.due_at, |finish| finish.at),
            failure_code: match export.finish.as_ref().map(|finish| &finish.outcome) {
                Some(Outcome::Failed(failure)) => Some(failure.code.clone()),
                _ => None,
            },
            manifest_key: match export.finish.as_ref().map(|finish| &finish.outcome) {
                Some(Outcome::Completed { manifest_key, .. }) => Some(manifest_key.clone()),
                _ => None,
            },
        });
        summaries.collect()
    }

    pub fn create_bucket(&self, bucket: BucketSeed) -> Result<(), ControlError> {
        Ok(seed::add_bucket(&self.world, bucket)?)
    }

    pub fn change_bucket(
        &self,
        name: &str,
        change: impl FnOnce(&mut BucketInfo),
    ) -> Result<(), ControlError> {
        Ok(self.world.store.change_bucket(name, change)?)
    }

    /// Deletes a bucket and its contents.
    pub fn delete_bucket(&self, name: &str) -> Result<(), ControlError> {
        Ok(self.world.store.delete_bucket(name, true)?)
    }

    /// Adds a KMS key, by its ARN.
    pub fn add_kms_key(&self, arn: impl Into<String>) {
        self.world.change().kms_keys.insert(arn.into());
    }

    /// From now on the role can be assumed only with this external id.
    pub fn require_external_id(&self, role_arn: impl Into<String>, external_id: impl Into<String>) {
        self.world
            .change()
            .external_ids
            .insert(role_arn.into(), external_id.into());
    }

    /// Creates a table, with items and history if the description has them.
    pub fn create_table(&self, table: &TableSeed) -> Result<(), ControlError> {
        Ok(seed::add_table(&self.world, table)?)
    }

    /// Deletes a table. Returns whether it existed.
    pub async fn delete_table(&self, account: &str, region: &str, name: &str) -> bool {
        self.world
            .change()
            .delete_table(account, region, name)
            .is_some()
    }

    /// Enables point-in-time recovery from the given time on, or disables it.
    pub fn set_recovery(
        &self,
        account: &str,
        region: &str,
        name: &str,
        since: Option<OffsetDateTime>,
    ) -> Result<(), ControlError> {
        let mut state = self.world.change();
        let table = state
            .table_mut(account, region, name)
            .ok_or_else(|| ControlError::NoSuchTable(name.to_owned()))?;
        table.recovery = since.map(|enabled_at| PointInTimeRecovery {
            enabled_at,
            recovery_days: crate::dynamodb::MAX_RECOVERY_DAYS,
        });
        Ok(())
    }

    /// Writes an item, in DynamoDB JSON, at a time that may be in the past.
    pub fn put_item(
        &self,
        account: &str,
        region: &str,
        name: &str,
        item: &Value,
        at: OffsetDateTime,
    ) -> Result<(), ControlError> {
        self.write(account, region, name, item, true, at)
    }

    /// Deletes the item with this key at a time that may be in the past.
    pub fn delete_item(
        &self,
        account: &str,
        region: &str,
        name: &str,
        key: &Value,
        at: OffsetDateTime,
    ) -> Result<(), ControlError> {
        self.write(account, region, name, key, false, at)
    }

    fn write(
        &self,
        account: &str,
        region: &str,
        name: &str,
        given: &Value,
        put: bool,
        at: OffsetDateTime,
    ) -> Result<(), ControlError> {
        let given = given
            .as_object()
            .ok_or_else(|| ControlError::BadItem("an item is a JSON object".to_owned()))?;
        let item = normalise(given).map_err(ControlError::BadItem)?;
        let mut state = self.world.change();
        let table = state
            .table_mut(account, region, name)
            .ok_or_else(|| ControlError::NoSuchTable(name.to_owned()))?;
        let written = if put {
            write_item(table, Some(item), None, at)
        } else {
            write_item(table, None, Some(&item), at)
        };
        written
            .map(|_| ())
            .map_err(|refused| ControlError::BadItem(refused.body().to_string()))
    }
}
