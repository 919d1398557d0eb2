//! Adopts an export that was started elsewhere: its record is made from what AWS says of it.

use super::arn::TableArn;
use super::description::ExportDescription;
use super::duration::CreateTimeout;
use super::export::{Export, ExportState, Origin};
use super::ids::ExportId;
use super::invalid::Invalid;
use super::labels::Labels;
use super::request::{ExportKind, ExportRequest};
use super::retry::{Attempt, RetryPolicy};
use super::s3::{BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix};
use super::step::described_state;
use super::timestamp::Timestamp;

/// The record of an export that AWS describes. `table_arn` comes from the export's ARN.
///
/// # Errors
/// AWS's description lacks what a record needs (a bucket, or the start of an incremental window).
pub fn adopt(
    id: ExportId,
    table_arn: TableArn,
    described: &ExportDescription,
    now: Timestamp,
) -> Result<Export, Invalid> {
    let said = &described.request;
    let bucket = said
        .s3_bucket
        .as_deref()
        .ok_or_else(|| Invalid::new("AWS's description names no bucket"))?;
    let kind = if said.incremental {
        ExportKind::Incremental {
            from: described
                .export_from_time
                .ok_or_else(|| Invalid::new("AWS's description names no start of the window"))?,
            to: described.export_to_time,
            view: described.export_view_type.unwrap_or_default(),
        }
    } else {
        ExportKind::Full {
            export_time: described.export_time,
        }
    };
    let key_id = said
        .s3_sse_kms_key_id
        .as_deref()
        .map(KmsKeyId::parse)
        .transpose()?;
    let encryption = match described.s3_sse_algorithm.as_deref() {
        Some("AES256") => Some(Encryption::Aes256),
        Some("KMS") => Some(Encryption::Kms { key_id }),
        _ => None,
    };
    let request = ExportRequest {
        table_arn: said.table_arn.clone().unwrap_or(table_arn),
        destination: S3Destination {
            bucket: S3Bucket::parse(bucket)?,
            bucket_owner: said
                .s3_bucket_owner
                .as_deref()
                .map(BucketOwner::parse)
                .transpose()?,
            prefix: said
                .s3_prefix
                .as_deref()
                .map(S3Prefix::parse)
                .transpose()?
                .flatten(),
            encryption,
        },
        format: said.export_format.unwrap_or_default(),
        kind,
        filter: said.filter.clone(),
        create_timeout: CreateTimeout::default(),
        callback: None,
        labels: Labels::default(),
        verify: false,
        retry: RetryPolicy::default(),
    };
    let state = described_state(described);
    let status_reason = match &state {
        ExportState::Failed(_) => Some("AWS had failed it before it was adopted".to_owned()),
        _ => None,
    };
    let origin = Origin::Imported {
        client_token: described.client_token.clone(),
    };
    Ok(Export {
        id,
        version: 1,
        created_at: now,
        created_by: None, // whoever adopts it says so
        updated_at: now,
        origin,
        request,
        state,
        status_reason,
        verification: None,
        attempt: Attempt::default(),
        estimate: None,
        trace_parent: None,
    })
}
