//! Checks of the bucket and the key: what AWS finds out only after it has accepted an export.

use super::facts::is_missing;
use super::{
    BucketLook, CheckStatus, Facts, Finding, failed, key_region, passed, skipped, unanswered,
    warning,
};
use crate::iam::{PolicyVerdict, bucket_policy_statement, caller_statement, verdict};
use crate::request::ExportRequest;
use crate::s3::Encryption;

fn name(request: &ExportRequest) -> &str {
    request.destination.bucket.as_str()
}

/// What would let the service look at the bucket.
fn look_statement(request: &ExportRequest) -> String {
    caller_statement(
        &["s3:ListBucket"],
        &format!(
            "arn:{}:s3:::{}",
            request.table_arn.partition(),
            name(request)
        ),
    )
}

/// DynamoDB accepts names that S3 gives to no new bucket. Old buckets have such names, so it is
/// never certain that there is none.
pub(super) fn name_rules(request: &ExportRequest, facts: &Facts) -> Finding {
    let bucket = name(request);
    let Some(why) = request.destination.bucket.broken_rule() else {
        return passed("S3 creates buckets of such a name.");
    };
    match &facts.bucket {
        Ok(
            BucketLook::Seen { .. }
            | BucketLook::Elsewhere { .. }
            | BucketLook::Closed { region: Some(_) },
        ) => passed(format!(
            "S3 creates no new bucket named {bucket} ({why}), but this one exists."
        )),
        _ => warning(
            format!(
                "S3 does not allow new buckets named {bucket}: {why}. Older buckets may have such names."
            ),
            "Correct s3_bucket, unless it is such an old bucket.",
        ),
    }
}

pub(super) fn exists(request: &ExportRequest, facts: &Facts) -> Finding {
    let bucket = name(request);
    match &facts.bucket {
        Ok(BucketLook::Missing) => failed(
            format!("There is no bucket {bucket}."),
            "Create the bucket, or correct s3_bucket.",
        ),
        Ok(BucketLook::Seen { .. } | BucketLook::Elsewhere { .. }) => {
            passed(format!("The bucket {bucket} exists."))
        }
        Ok(BucketLook::Closed { region: Some(_) }) => passed(format!(
            "A bucket {bucket} exists, but S3 denies a look at it."
        )),
        Ok(BucketLook::Closed { region: None }) => (
            CheckStatus::Skipped,
            format!("S3 denies a look at the bucket {bucket}, so this cannot be told."),
            Some(format!(
                "To have it checked, allow the service {}",
                look_statement(request)
            )),
        ),
        Err(failure) => unanswered("HeadBucket", &look_statement(request), failure),
    }
}

/// Another region works, by AWS's live answers, but is paid for as transfer between regions.
pub(super) fn region(request: &ExportRequest, facts: &Facts) -> Finding {
    let own = request.table_arn.region();
    match (facts.bucket_region(), &facts.bucket) {
        (Some(region), _) if region == own => {
            passed(format!("The bucket is in {region}, as the table is."))
        }
        (Some(region), _) => warning(
            format!(
                "The bucket is in {region}, the table in {own}: AWS exports across regions, and bills the transfer."
            ),
            format!("Use a bucket in {own} unless the data shall leave the region."),
        ),
        (None, Ok(BucketLook::Missing)) => skipped("There is no such bucket."),
        (None, Err(failure)) => unanswered("HeadBucket", &look_statement(request), failure),
        (None, Ok(_)) => skipped("S3 did not tell the bucket's region."),
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
        (Ok(BucketLook::Missing), _) | (_, Ok(BucketLook::Missing)) => {
            skipped("There is no such bucket.")
        }
        (_, Ok(BucketLook::Seen { .. })) => policy(request, facts, expected != account),
        (Ok(BucketLook::Seen { .. }), Ok(BucketLook::Closed { .. })) => match named {
            Some(named) => failed(
                format!("The bucket {bucket} is not owned by account {named}."),
                "Correct s3_bucket_owner, or leave it out if the bucket is the table's account's.",
            ),
            None => failed(
                format!(
                    "The bucket {bucket} is not owned by the table's account {account}, and the request names no other owner."
                ),
                format!(
                    "Set s3_bucket_owner to the 12 digits of the bucket's account, and let its bucket policy hold {}",
                    bucket_policy_statement(request)
                ),
            ),
        },
        (Err(failure), _) | (_, Err(failure)) => {
            unanswered("HeadBucket", &look_statement(request), failure)
        }
        (Ok(_), Ok(_)) => (
            CheckStatus::Skipped,
            format!(
                "S3 denies a look at the bucket {bucket}: it is another account's than {expected}, or the service may not look."
            ),
            Some(format!(
                "If the bucket is another account's, set s3_bucket_owner and let its policy hold {}; to have it checked, allow the service {}",
                bucket_policy_statement(request),
                look_statement(request)
            )),
        ),
    }
}

/// The owner is right; what does the bucket's policy say?
fn policy(request: &ExportRequest, facts: &Facts, foreign: bool) -> Finding {
    let bucket = name(request);
    let wanted = || {
        format!(
            "Let the policy of the bucket {bucket} hold {}",
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
                "The bucket is of the right owner, but its policy (statement {statement}) denies what AWS writes in the caller's name."
            ),
            format!(
                "Take the export's principal out of that statement. {}",
                wanted()
            ),
        ),
        (Some(PolicyVerdict::MayDeny { statement }), _) => warning(
            format!(
                "The bucket is of the right owner, but its policy (statement {statement}) denies writes to some."
            ),
            format!(
                "See whether that statement strikes the export's principal. {}",
                wanted()
            ),
        ),
        (Some(PolicyVerdict::Silent), true) => warning(
            "The bucket is of the named owner, but its policy does not let the table's account write.",
            wanted(),
        ),
        (None, true) => warning(
            "The bucket is of the named owner; whether its policy lets the table's account write cannot be seen from here.",
            wanted(),
        ),
        (Some(_), _) => passed(format!(
            "The bucket {bucket} is of the right owner, and its policy denies no writes."
        )),
        (None, false) => passed(format!(
            "The bucket {bucket} is of the right owner. Its policy may not be read (s3:GetBucketPolicy), so whether it denies writes cannot be told."
        )),
    }
}

pub(super) fn key(request: &ExportRequest, facts: &Facts) -> Finding {
    let key = match &request.destination.encryption {
        None | Some(Encryption::Aes256) => {
            return skipped("The request asks for no KMS encryption.");
        }
        Some(Encryption::Kms { key_id: None }) => {
            return skipped("The request names no key: S3 uses the account's key aws/s3.");
        }
        Some(Encryption::Kms { key_id: Some(key) }) => key.as_str(),
    };
    if matches!(facts.bucket, Ok(BucketLook::Missing)) {
        return skipped("There is no bucket whose region the key must be of.");
    }
    let region = facts.bucket_region();
    if let (Some(of_key), Some(of_bucket)) = (key_region(key), region)
        && of_key != of_bucket
    {
        return failed(
            format!(
                "The key is of region {of_key}, the bucket of {of_bucket}; S3 takes only keys of the bucket's region."
            ),
            format!("Name a key of {of_bucket} in s3_sse_kms_key_id."),
        );
    }
    match &facts.key {
        None => skipped("The bucket's region is not known, and the key must be of it."),
        Some(Ok(found)) if found.state != "Enabled" => failed(
            format!("The key exists, but it is {}.", found.state),
            "Enable the key, or name another in s3_sse_kms_key_id.",
        ),
        Some(Ok(found))
            if found.usage != "ENCRYPT_DECRYPT" || found.spec != "SYMMETRIC_DEFAULT" =>
        {
            failed(
                format!(
                    "The key is {} for {}; S3 takes only symmetric encryption keys.",
                    found.spec, found.usage
                ),
                "Name a symmetric encryption key in s3_sse_kms_key_id.",
            )
        }
        Some(Ok(_)) => passed("The key exists in the bucket's region and is enabled."),
        Some(Err(failure)) if is_missing(failure) => failed(
            format!("KMS knows no such key: {}", failure.message),
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
