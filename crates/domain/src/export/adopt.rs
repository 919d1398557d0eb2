//! Adopts an export that was started elsewhere: creates its record from AWS's description.

use crate::aws::arn::TableArn;
use crate::aws::description::ExportDescription;
use crate::aws::s3::{BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix};
use crate::export::attempt::Attempt;
use crate::export::request::{ExportKind, ExportRequest};
use crate::export::{Export, ExportState, Origin};
use crate::ids::ExportId;
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// The record of an export that AWS describes. `table_arn` comes from the export's ARN. Fails if
/// the description lacks the bucket or the start of an incremental window.
pub fn adopt(
    id: ExportId,
    table_arn: TableArn,
    described: &ExportDescription,
    now: Timestamp,
) -> Result<Export, Invalid> {
    let request = request(table_arn, described)?;
    let state = ExportState::from_description(described);
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
        created_by: None, // set by the caller of this function
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

/// The request behind a description, with defaults for what AWS does not know.
fn request(table_arn: TableArn, described: &ExportDescription) -> Result<ExportRequest, Invalid> {
    let asked = &described.request;
    let destination = destination(described)?;
    let kind = if asked.incremental {
        ExportKind::Incremental {
            from: described
                .export_from_time
                .ok_or_else(|| Invalid::new("AWS's description has no start of the window"))?,
            to: described.export_to_time,
            view: described.export_view_type.unwrap_or_default(),
        }
    } else {
        ExportKind::Full {
            export_time: described.export_time,
        }
    };
    Ok(ExportRequest {
        format: asked.export_format.unwrap_or_default(),
        kind,
        filter: asked.filter.clone(),
        ..ExportRequest::new(asked.table_arn.clone().unwrap_or(table_arn), destination)
    })
}

fn destination(described: &ExportDescription) -> Result<S3Destination, Invalid> {
    let asked = &described.request;
    let bucket = asked
        .s3_bucket
        .as_deref()
        .ok_or_else(|| Invalid::new("AWS's description has no bucket"))?;
    let owner = asked.s3_bucket_owner.as_deref().map(BucketOwner::parse);
    let prefix = asked.s3_prefix.as_deref().map(S3Prefix::parse);
    let key_id = asked.s3_sse_kms_key_id.as_deref().map(KmsKeyId::parse);
    let key_id = key_id.transpose()?;
    Ok(S3Destination {
        bucket: S3Bucket::parse(bucket)?,
        bucket_owner: owner.transpose()?,
        prefix: prefix.transpose()?.flatten(),
        encryption: match described.s3_sse_algorithm.as_deref() {
            Some("AES256") => Some(Encryption::Aes256),
            Some("KMS") => Some(Encryption::Kms { key_id }),
            _ => None,
        },
    })
}
