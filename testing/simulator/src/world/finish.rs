//! Ends exports: writes the output, then records the result.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Export, Failure, Finish, Outcome, World};
use crate::filter;
use crate::output::{self, OutputError, Snapshot};
use crate::s3::{Access, KeyCheck};

impl World {
    /// Ends every export that is due, one after the other.
    pub(crate) async fn finish_due(self: &Arc<Self>) {
        let due = self.state().due(Some(self.clock.now()));
        for arn in due {
            self.finish_export(&arn, false).await;
        }
    }

    /// Ends every export in progress now, due or not.
    pub(crate) async fn finish_all(self: &Arc<Self>) {
        let all = self.state().due(None);
        for arn in all {
            self.finish_export(&arn, true).await;
        }
    }

    /// Ends one export if it is due, or now if forced. Returns when it has ended.
    pub(crate) async fn finish_export(self: &Arc<Self>, arn: &str, forced: bool) {
        let finishing = self
            .state()
            .export(arn)
            .map(|export| Arc::clone(&export.finishing));
        let Some(finishing) = finishing else { return };
        let _one_at_a_time = finishing.lock().await;
        let Some(export) = self
            .state()
            .export(arn)
            .filter(|export| export.finish.is_none())
            .cloned()
        else {
            return;
        };
        let now = self.clock.now();
        if export.due_at > now && !forced {
            return;
        }
        let ends_at = export.due_at.min(now).max(export.started_at);
        let world = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let outcome = world.outcome_of(&export, ends_at);
            world.change().finish_export(
                &export.arn,
                Finish {
                    at: ends_at,
                    outcome,
                },
            );
        });
        if let Err(broken) = work.await {
            tracing::error!(%arn, error = %broken, "an export could not be ended");
        }
    }

    fn outcome_of(&self, export: &Export, ends_at: time::OffsetDateTime) -> Outcome {
        let keys = self.state().kms_keys.clone();
        if let Some(failure) = export.doom.clone().or_else(|| self.obstacle(export, &keys)) {
            return Outcome::Failed(failure);
        }
        let filter = export
            .request
            .filter_specification
            .as_ref()
            .map(filter::read)
            .transpose();
        let filter = match filter {
            Ok(filter) => filter,
            // Accepted by an earlier version of the simulator, which checked less.
            Err(faults) => {
                let message = faults.first().map(ToString::to_string).unwrap_or_default();
                return Outcome::Failed(Failure {
                    code: "UNKNOWN".to_owned(),
                    message,
                });
            }
        };
        let snapshot = {
            let state = self.state();
            let Some(table) = state.table_by_id(&export.table_id) else {
                return Outcome::Failed(Failure {
                    code: "ResourceNotFoundException".to_owned(),
                    message: format!("Table not found: {}", export.request.table_arn),
                });
            };
            let partitions = self.partitions.unwrap_or_else(|| table.partitions());
            Snapshot::take(table, export.scope, partitions, filter.as_ref())
        };
        let written = snapshot
            .map_err(OutputError::from)
            .and_then(|snapshot| output::write(&self.store, export, &snapshot, ends_at));
        match written {
            Ok(written) => Outcome::Completed {
                manifest_key: written.manifest_key,
                item_count: written.item_count,
                billed_size_bytes: written.billed_size_bytes,
            },
            Err(trouble) => {
                tracing::error!(arn = %export.arn, error = %trouble, "the output of an export could not be written");
                Outcome::Failed(Failure {
                    code: "UNKNOWN".to_owned(),
                    message: trouble.to_string(),
                })
            }
        }
    }

    /// How S3 would reject this export, if it would.
    pub(crate) fn obstacle(&self, export: &Export, keys: &BTreeSet<String>) -> Option<Failure> {
        let request = &export.request;
        let bucket = &request.s3_bucket;
        let mut access =
            self.store
                .access(bucket, &export.account, request.s3_bucket_owner.as_deref());
        if access == Access::WrongOwner && self.any_account && request.s3_bucket_owner.is_none() {
            // If exports of any account are allowed, all accounts may use the default account's
            // buckets.
            access = self.store.access(bucket, &self.account_id, None);
        }
        let region = match access {
            Access::Granted { region } => region,
            Access::NoSuchBucket => {
                return Some(Failure {
                    code: "S3NoSuchBucket".to_owned(),
                    message: s3_says(
                        "The specified bucket does not exist",
                        404,
                        "NoSuchBucket",
                        &export.id,
                    ),
                });
            }
            Access::WrongOwner => {
                return Some(Failure {
                    code: "S3AccessDenied".to_owned(),
                    message: s3_says("Access Denied", 403, "AccessDenied", &export.id),
                });
            }
            Access::DeniedByPolicy => {
                let sentence = format!(
                    "User: arn:aws:sts::{}:assumed-role/exporter/session is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::{bucket}/{}/_started\" with an explicit deny in a resource-based policy",
                    export.account,
                    export.own_folder(),
                );
                return Some(Failure {
                    code: "S3AccessDenied".to_owned(),
                    message: s3_says(&sentence, 403, "AccessDenied", &export.id),
                });
            }
        };
        let key = request.s3_sse_kms_key_id.as_deref()?;
        let sentence = match KeyCheck::of(key, &region, &export.account, keys) {
            KeyCheck::Usable => return None,
            KeyCheck::Missing { arn } => format!("Key '{arn}' does not exist"),
            KeyCheck::OtherRegion { region } => format!("Invalid arn {region}"),
        };
        Some(Failure {
            code: "KmsNotFoundException".to_owned(),
            message: s3_says(&sentence, 400, "KMS.NotFoundException", &export.id),
        })
    }
}

/// The message in which an export reports S3's error. Request ids are derived from the export's id.
fn s3_says(sentence: &str, status: u16, code: &str, id: &str) -> String {
    let mut random = fastrand::Rng::with_seed(u64::from(crc32fast::hash(id.as_bytes())));
    let request_id: String = (0..16)
        .map(|_| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[random.usize(..32)]))
        .collect();
    let extended: String = (0..75).map(|_| random.alphanumeric()).collect();
    format!(
        "{sentence} (Service: Amazon S3; Status Code: {status}; Error Code: {code}; Request ID: {request_id}; S3 Extended Request ID: {extended}=; Proxy: null)"
    )
}
