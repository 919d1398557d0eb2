//! KMS's DescribeKey, as far as a service needs it before it uses a key: does the key exist here,
//! and can it be used?
//!
//! Keys are only names: every known key is enabled, symmetric and for encryption.

use serde_json::{Value, json};

use crate::arn::partition_of;
use crate::caller::Caller;
use crate::dynamodb::ApiError;
use crate::s3::KeyCheck;
use crate::world::World;

/// The prefix of the target header in KMS's JSON protocol.
pub(crate) const TARGET_PREFIX: &str = "TrentService.";

/// Answers DescribeKey for a key id, key ARN, alias or alias ARN.
pub(crate) fn describe_key(
    world: &World,
    caller: &Caller,
    key: Option<&str>,
) -> Result<Value, ApiError> {
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(ApiError::validation(
            "1 validation error detected: Value at 'keyId' failed to satisfy constraint: Member must not be null",
        ));
    };
    let arn = match KeyCheck::of(
        key,
        &caller.region,
        &caller.account,
        &world.state().kms_keys,
    ) {
        KeyCheck::Usable if key.starts_with("arn:") => key.to_owned(),
        KeyCheck::Usable => {
            let resource = if key.starts_with("alias/") {
                key.to_owned()
            } else {
                format!("key/{key}")
            };
            format!(
                "arn:{}:kms:{}:{}:{resource}",
                partition_of(&caller.region),
                caller.region,
                caller.account
            )
        }
        KeyCheck::Missing { arn } => {
            let what = if arn.contains(":alias/") {
                format!("Alias {arn} is not found.")
            } else {
                format!("Key '{arn}' does not exist")
            };
            return Err(ApiError::kms("NotFoundException", what));
        }
        KeyCheck::OtherRegion { region } => {
            return Err(ApiError::kms(
                "NotFoundException",
                format!("Invalid arn {region}"),
            ));
        }
    };
    let id = arn.rsplit('/').next().unwrap_or_default();
    Ok(json!({"KeyMetadata": {
        "AWSAccountId": arn.split(':').nth(4).unwrap_or_default(),
        "KeyId": id,
        "Arn": arn,
        "Enabled": true,
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyManager": "CUSTOMER",
    }}))
}
