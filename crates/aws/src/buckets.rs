//! Buckets that exports are written to: existence, region, owner and policy.
//!
//! S3 is called with the credentials that start the export, those of the table's account, because
//! AWS writes with them. Responses to HeadBucket have no body; status and headers say everything:
//! 404 missing, 403 denied or owned by another account, 301 and sometimes 400 another region.
//! `x-amz-bucket-region` is set whenever the bucket exists.

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use serde_json::Value;

use super::Aws;
use super::call::make;
use super::operations::Operation;
use super::s3_error::finish;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_domain::preflight::BucketProbe;

impl Aws {
    /// HeadBucket in a region, with the expected owner, if any.
    pub async fn head_bucket(
        &self,
        account_id: &str,
        region: &str,
        bucket: &str,
        owner: Option<&str>,
    ) -> Result<BucketProbe, AwsFailure> {
        let call = self.s3(account_id, region).head_bucket().bucket(bucket);
        let (answer, call) = make(
            Operation::HeadBucket,
            call.set_expected_bucket_owner(owner.map(str::to_owned))
                .send(),
        )
        .await;
        let raw = answer.as_ref().err().and_then(SdkError::raw_response);
        let status = raw.map(|raw| raw.status().as_u16());
        let named = raw
            .and_then(|raw| raw.headers().get("x-amz-bucket-region"))
            .map(str::to_owned);
        let probe = match (&answer, status) {
            (Ok(found), _) => {
                let region = found
                    .bucket_region()
                    .map_or_else(|| region.to_owned(), str::to_owned);
                Some(BucketProbe::Seen {
                    region: Some(region),
                })
            }
            (Err(_), Some(301 | 307)) => Some(BucketProbe::Elsewhere { region: named }),
            (Err(_), Some(400)) if named.as_deref().is_some_and(|named| named != region) => {
                Some(BucketProbe::Elsewhere { region: named })
            }
            (Err(_), Some(403)) => Some(BucketProbe::Closed { region: named }),
            (Err(_), Some(404)) => Some(BucketProbe::Missing),
            _ => None,
        };
        // An answer such as 403 or 404 is not counted as a failure.
        match probe {
            Some(probe) => {
                call.ended(None);
                Ok(probe)
            }
            None => finish(call, answer).map(|_| BucketProbe::Seen { region: None }),
        }
    }

    /// GetBucketPolicy; `None` if the bucket has no policy, null if the policy is not JSON. S3
    /// denies it to every account but the bucket's.
    pub async fn bucket_policy(
        &self,
        account_id: &str,
        region: &str,
        bucket: &str,
    ) -> Result<Option<Value>, AwsFailure> {
        let (answer, call) = make(
            Operation::GetBucketPolicy,
            self.s3(account_id, region)
                .get_bucket_policy()
                .bucket(bucket)
                .send(),
        )
        .await;
        let status = answer
            .as_ref()
            .err()
            .and_then(SdkError::raw_response)
            .map(|raw| raw.status().as_u16());
        if answer
            .as_ref()
            .err()
            .is_some_and(|error| error.code() == Some("NoSuchBucketPolicy"))
        {
            call.ended(None);
            return Ok(None);
        }
        let answer = finish(call, answer).map_err(|failure| match status {
            // S3 answers 405 to accounts that do not own the bucket.
            Some(403 | 405) => AwsFailure {
                class: FailureClass::Denied,
                ..failure
            },
            _ => failure,
        })?;
        Ok(Some(
            answer
                .policy()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        ))
    }
}
