//! Responses for bucket and object settings that cannot be changed here: S3's defaults.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use super::bucket::BucketInfo;
use super::lists::owner;

/// The only grant of a bucket or object: full control for the owner.
pub(super) fn grants(bucket: &BucketInfo) -> Vec<Grant> {
    let grantee = Grantee {
        id: Some(bucket.owner.clone()),
        display_name: None,
        email_address: None,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}

pub(super) fn bucket_acl(bucket: &BucketInfo) -> S3Response<GetBucketAclOutput> {
    S3Response::new(GetBucketAclOutput {
        grants: Some(grants(bucket)),
        owner: Some(owner(bucket)),
    })
}

/// Objects are encrypted with S3's own keys; only this response says so.
pub(super) fn encryption() -> S3Response<GetBucketEncryptionOutput> {
    let by_default = ServerSideEncryptionByDefault {
        kms_master_key_id: None,
        sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(false),
    };
    let rules = ServerSideEncryptionConfiguration { rules: vec![rule] };
    S3Response::new(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(rules),
    })
}

pub(super) fn ownership() -> S3Response<GetBucketOwnershipControlsOutput> {
    let rule = OwnershipControlsRule {
        object_ownership: ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED),
    };
    S3Response::new(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(OwnershipControls { rules: vec![rule] }),
    })
}

pub(super) fn public_access() -> S3Response<GetPublicAccessBlockOutput> {
    let all = PublicAccessBlockConfiguration {
        block_public_acls: Some(true),
        block_public_policy: Some(true),
        ignore_public_acls: Some(true),
        restrict_public_buckets: Some(true),
    };
    S3Response::new(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(all),
    })
}

/// The error for a setting that a bucket does not have.
pub(super) fn unset<T>(code: S3ErrorCode, sentence: &'static str) -> S3Result<S3Response<T>> {
    Err(S3Error::with_message(code, sentence))
}
