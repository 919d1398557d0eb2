//! What S3 says of a bucket that an export is to be written to: whether it is there, where, whose,
//! and what its policy says.
//!
//! S3 is asked with the credentials that start the export, those of the table's account, since AWS
//! writes in their name. Answers to HeadBucket have no body: status and headers tell all (404 there
//! is none, 403 denied or of another owner, 301 and sometimes 400 in another region, and
//! `x-amz-bucket-region` wherever there is a bucket).

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use serde_json::Value;

use super::Aws;
use super::call::make;
use super::operations::Operation;
use super::s3::judged;
use tableferry_domain::aws_failure::{AwsFailure, FailureClass};
use tableferry_domain::preflight::BucketLook;

impl Aws {
    /// HeadBucket in a region, with the owner that the bucket is expected to have, if any.
    ///
    /// # Errors
    /// S3 throttles, does not know the credentials, or does not answer.
    pub async fn look_at_bucket(
        &self,
        account_id: &str,
        region: &str,
        bucket: &str,
        owner: Option<&str>,
    ) -> Result<BucketLook, AwsFailure> {
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
        let look = match (&answer, status) {
            (Ok(found), _) => {
                let region = found
                    .bucket_region()
                    .map_or_else(|| region.to_owned(), str::to_owned);
                Some(BucketLook::Seen {
                    region: Some(region),
                })
            }
            (Err(_), Some(301 | 307)) => Some(BucketLook::Elsewhere { region: named }),
            (Err(_), Some(400)) if named.as_deref().is_some_and(|named| named != region) => {
                Some(BucketLook::Elsewhere { region: named })
            }
            (Err(_), Some(403)) => Some(BucketLook::Closed { region: named }),
            (Err(_), Some(404)) => Some(BucketLook::Missing),
            _ => None,
        };
        // What is an answer here is not counted as a failure.
        match look {
            Some(look) => {
                call.ended(None);
                Ok(look)
            }
            None => judged(call, answer).map(|_| BucketLook::Seen { region: None }),
        }
    }

    /// GetBucketPolicy; `None` when the bucket has none. A policy that is no JSON is null.
    ///
    /// # Errors
    /// S3 denies it (also to every account but the bucket's), throttles or does not answer.
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
        let answer = judged(call, answer).map_err(|failure| match status {
            // 405 is the answer to accounts that do not own the bucket.
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
