//! Checks of the bucket and the key. AWS reports their errors only after it has accepted an export.

use super::facts::is_missing;
use super::{
    BucketProbe, CheckStatus, Facts, Finding, failed, key_region, passed, skipped, unanswered,
    warning,
};
use crate::aws::iam::{PolicyVerdict, bucket_policy_statement, caller_statement, verdict};
use crate::aws::s3::Encryption;
use crate::export::request::ExportRequest;

fn name(request: &ExportRequest) -> &str {
    request.destination.bucket.as_str()
}

/// The statement that allows the service to call HeadBucket.
fn head_bucket_statement(request: &ExportRequest) -> String {
    caller_statement(
        &["s3:ListBucket"],
        &format!(
            "arn:{}:s3:::{}",
            request.table_arn.partition(),
            name(request)
        ),
    )
}

/// DynamoDB accepts names that S3 allows only for old buckets, so a bucket with such a name may
/// exist.
pub(super) fn name_rules(request: &ExportRequest, facts: &Facts) -> Finding {
    let bucket = name(request);
    let Some(why) = request.destination.bucket.broken_rule() else {
        return passed("The name follows S3's rules for new buckets.");
    };
    match &facts.bucket {
        Ok(
            BucketProbe::Seen { .. }
            | BucketProbe::Elsewhere { .. }
            | BucketProbe::Closed { region: Some(_) },
        ) => passed(format!(
            "S3 would not allow a new bucket named {bucket} ({why}), but this one exists."
        )),
        _ => warning(
            format!(
                "S3 does not allow new buckets named {bucket}: {why}. Old buckets may have such names."
            ),
            "Correct s3_bucket, unless it is such an old bucket.",
        ),
    }
}

pub(super) fn exists(request: &ExportRequest, facts: &Facts) -> Finding {
    let bucket = name(request);
    match &facts.bucket {
        Ok(BucketProbe::Missing) => failed(
            format!("The bucket {bucket} does not exist."),
            "Create the bucket, or correct s3_bucket.",
        ),
        Ok(BucketProbe::Seen { .. } | BucketProbe::Elsewhere { .. }) => {
            passed(format!("The bucket {bucket} exists."))
        }
        Ok(BucketProbe::Closed { region: Some(_) }) => passed(format!(
            "The bucket {bucket} exists, but S3 denies access to it."
        )),
        Ok(BucketProbe::Closed { region: None }) => (
            CheckStatus::Skipped,
            format!("S3 denies access to the bucket {bucket}, so this could not be checked."),
            Some(format!(
                "To have it checked, allow the service {}",
                head_bucket_statement(request)
            )),
        ),
        Err(failure) => unanswered("HeadBucket", &head_bucket_statement(request), failure),
    }
}

/// A bucket in another region works (observed), but AWS bills the transfer between regions.
pub(super) fn region(request: &ExportRequest, facts: &Facts) -> Finding {
    let own = request.table_arn.region();
    match (facts.bucket_region(), &facts.bucket) {
        (Some(region), _) if region == own => {
            passed(format!("The bucket and the table are in {region}."))
        }
        (Some(region), _) => warning(
            format!(
                "The bucket is in {region}, the table in {own}: AWS exports across regions, and bills the transfer."
            ),
            format!("Use a bucket in {own}, unless the data is meant to leave the region."),
        ),
        (None, Ok(BucketProbe::Missing)) => skipped("The bucket does not exist."),
        (None, Err(failure)) => unanswered("HeadBucket", &head_bucket_statement(request), failure),
        (None, Ok(_)) => skipped("S3 did not name the bucket's region."),
    }
}

pub(super) fn owner(request: &ExportRequest, facts: &Facts) -> Finding {
    let bucket = name(request);
    let account = request.table_arn.account_id();
    let named = request
        .destination
        .bucket_owner
        .as_ref()
        .map(|owner| owner.as_str());
    let expected = named.unwrap_or(account);
    match (&facts.bucket, &facts.owned) {
        (Ok(BucketProbe::Missing), _) | (_, Ok(BucketProbe::Missing)) => {
            skipped("The bucket does not exist.")
        }
        (_, Ok(BucketProbe::Seen { .. })) => policy(request, facts, expected != account),
        (Ok(BucketProbe::Seen { .. }), Ok(BucketProbe::Closed { .. })) => match named {
            Some(named) => failed(
                format!("The bucket {bucket} is not owned by account {named}."),
                "Correct s3_bucket_owner, or leave it out if the table's account owns the bucket.",
            ),
            None => failed(
                format!(
                    "The bucket {bucket} is not owned by the table's account {account}, and the request does not name another owner."
                ),
                format!(
                    "Set s3_bucket_owner to the 12-digit id of the bucket's account, and add this statement to the bucket policy: {}",
                    bucket_policy_statement(request)
                ),
            ),
        },
        (Err(failure), _) | (_, Err(failure)) => {
            unanswered("HeadBucket", &head_bucket_statement(request), failure)
        }
        (Ok(_), Ok(_)) => (
            CheckStatus::Skipped,
            format!(
                "S3 denies access to the bucket {bucket}: it is not owned by account {expected}, or the service may not access it."
            ),
            Some(format!(
                "If another account owns the bucket, set s3_bucket_owner and add this statement to its policy: {}; to have it checked, allow the service {}",
                bucket_policy_statement(request),
                head_bucket_statement(request)
            )),
        ),
    }
}

/// The owner is correct; checks the bucket's policy.
fn policy(request: &ExportRequest, facts: &Facts, foreign: bool) -> Finding {
    let bucket = name(request);
    let wanted = || {
        format!(
            "Add this statement to the policy of the bucket {bucket}: {}",
            bucket_policy_statement(request)
        )
    };
    let judged = match &facts.policy {
        Ok(Some(policy)) => Some(verdict(policy, request)),
        Ok(None) => Some(PolicyVerdict::Silent),
        Err(_) => None,
    };
    match (judged, foreign) {
        (Some(PolicyVerdict::Denies { statement }), _) => failed(
            format!(
                "The bucket's owner is correct, but its policy (statement {statement}) denies the writes that AWS makes with the caller's credentials."
            ),
            format!(
                "Exclude the export's principal from that statement. {}",
                wanted()
            ),
        ),
        (Some(PolicyVerdict::MayDeny { statement }), _) => warning(
            format!(
                "The bucket's owner is correct, but its policy (statement {statement}) denies writes to some principals or under a condition."
            ),
            format!(
                "Check whether that statement applies to the export's principal. {}",
                wanted()
            ),
        ),
        (Some(PolicyVerdict::Silent), true) => warning(
            "The bucket's owner is correct, but its policy does not allow the table's account to write.",
            wanted(),
        ),
        (None, true) => warning(
            "The bucket's owner is correct. The service may not read its policy (s3:GetBucketPolicy), so whether it allows the table's account to write could not be checked.",
            wanted(),
        ),
        (Some(_), _) => passed(format!(
            "The owner of the bucket {bucket} is correct, and its policy denies no writes."
        )),
        (None, false) => passed(format!(
            "The owner of the bucket {bucket} is correct. The service may not read its policy (s3:GetBucketPolicy), so whether it denies writes could not be checked."
        )),
    }
}

pub(super) fn key(request: &ExportRequest, facts: &Facts) -> Finding {
    let key = match &request.destination.encryption {
        None | Some(Encryption::Aes256) => {
            return skipped("The request does not ask for KMS encryption.");
        }
        Some(Encryption::Kms { key_id: None }) => {
            return skipped("The request names no key; S3 uses the account's key aws/s3.");
        }
        Some(Encryption::Kms { key_id: Some(key) }) => key.as_str(),
    };
    if matches!(facts.bucket, Ok(BucketProbe::Missing)) {
        return skipped("The bucket does not exist, so the key's region could not be checked.");
    }
    let region = facts.bucket_region();
    if let (Some(of_key), Some(of_bucket)) = (key_region(key), region)
        && of_key != of_bucket
    {
        return failed(
            format!(
                "The key is in region {of_key}, the bucket in {of_bucket}; S3 accepts only keys of the bucket's region."
            ),
            format!("Name a key of {of_bucket} in s3_sse_kms_key_id."),
        );
    }
    match &facts.key {
        None => skipped("The bucket's region is unknown, and the key must be in it."),
        Some(Ok(found)) if found.state != "Enabled" => failed(
            format!("The key exists, but it is {}.", found.state),
            "Enable the key, or name another in s3_sse_kms_key_id.",
        ),
        Some(Ok(found))
            if found.usage != "ENCRYPT_DECRYPT" || found.spec != "SYMMETRIC_DEFAULT" =>
        {
            failed(
                format!(
                    "The key is {} for {}; S3 accepts only symmetric encryption keys.",
                    found.spec, found.usage
                ),
                "Name a symmetric encryption key in s3_sse_kms_key_id.",
            )
        }
        Some(Ok(_)) => passed("The key exists in the bucket's region and is enabled."),
        Some(Err(failure)) if is_missing(failure) => failed(
            format!("The key does not exist: {}", failure.message),
            format!(
                "Name a key of {} in s3_sse_kms_key_id.",
                region.unwrap_or("the bucket's region")
            ),
        ),
        Some(Err(failure)) => {
            let resource = if key.starts_with("arn:") { key } else { "*" };
            unanswered(
                "DescribeKey",
                &caller_statement(&["kms:DescribeKey"], resource),
                failure,
            )
        }
    }
}
