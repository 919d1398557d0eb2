//! S3: in which region a bucket lies, a client for it, and what a failed call means.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_types::service_config::ServiceConfigKey;

use super::Aws;
use super::call::{Call, make};
use super::error::classify;
use super::operations::Operation;
use super::s3_objects::Bucket;
use tableferry_domain::aws_failure::{AwsFailure, FailureClass};
use tableferry_domain::output::Output;

/// How many buckets' regions are remembered.
const MOST_REGIONS: usize = 1024;

/// Where each bucket lies, by account and bucket.
#[derive(Debug, Default)]
pub(super) struct Regions(Mutex<HashMap<(String, String), String>>);

impl Regions {
    fn get(&self, account_id: &str, bucket: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(account_id.to_owned(), bucket.to_owned()))
            .cloned()
    }

    fn put(&self, account_id: &str, bucket: &str, region: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REGIONS {
            // Callers can make up buckets.
            known.clear();
        }
        known.insert(
            (account_id.to_owned(), bucket.to_owned()),
            region.to_owned(),
        );
    }

    fn forget(&self, account_id: &str, bucket: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(account_id.to_owned(), bucket.to_owned()));
    }
}

impl Aws {
    /// The bucket that holds these files. Its region is asked for once and then remembered.
    ///
    /// # Errors
    /// S3 does not say where the bucket lies: there is no such bucket, or S3 does not answer.
    pub async fn bucket(&self, output: &Output) -> Result<Bucket, AwsFailure> {
        let account_id = self.reader_of(output);
        let region = match self.regions.get(account_id, &output.bucket) {
            Some(region) => region,
            None => {
                let region = self.find_region(account_id, output).await?;
                self.regions.put(account_id, &output.bucket, &region);
                region
            }
        };
        Ok(Bucket::new(self.s3(account_id, &region), output))
    }

    /// Forgets where the bucket of these files lies: S3 said that it lies elsewhere.
    pub fn forget_bucket(&self, output: &Output) {
        self.regions.forget(self.reader_of(output), &output.bucket);
    }

    /// In which account's name these files are read: the bucket owner's if the settings name a role
    /// there, since the objects belong to it; else the table's, in whose name AWS wrote them.
    fn reader_of<'a>(&self, output: &'a Output) -> &'a str {
        let owner = output
            .bucket_owner
            .as_deref()
            .filter(|owner| self.roles.contains_key(*owner));
        owner.unwrap_or(&output.account_id)
    }

    /// HeadBucket, whose answer names the bucket's region, also when it is a redirection or a
    /// refusal.
    async fn find_region(&self, account_id: &str, output: &Output) -> Result<String, AwsFailure> {
        let call = self
            .s3(account_id, &output.region)
            .head_bucket()
            .bucket(&output.bucket);
        let (answer, call) = make(
            Operation::HeadBucket,
            call.set_expected_bucket_owner(output.bucket_owner.clone())
                .send(),
        )
        .await;
        let named = answer
            .as_ref()
            .err()
            .and_then(SdkError::raw_response)
            .and_then(|raw| raw.headers().get("x-amz-bucket-region"));
        let named = named.map(str::to_owned);
        match (judged(call, answer), named) {
            (Ok(found), _) => Ok(found.bucket_region().unwrap_or(&output.region).to_owned()),
            (Err(_), Some(region)) => Ok(region),
            // Some stand-ins refuse HeadBucket without a region; the call that follows says what is
            // missing.
            (Err(failure), None)
                if failure.class == FailureClass::Denied && is_access_denied(&failure) =>
            {
                Ok(output.region.clone())
            }
            (Err(failure), None) if failure.code == "NotFound" => {
                let message = format!("there is no bucket {}", output.bucket);
                Err(AwsFailure {
                    class: FailureClass::Refused,
                    code: "NoSuchBucket".to_owned(),
                    message,
                })
            }
            (Err(failure), None) => Err(failure),
        }
    }

    /// The client for S3 in an account and region.
    pub(super) fn s3(&self, account_id: &str, region: &str) -> aws_sdk_s3::Client {
        self.s3.get(self.signer(account_id), region, || {
            let shared = self.config(account_id, region);
            let mut config = aws_sdk_s3::config::Builder::from(&shared);
            if let Some(url) = &self.s3_endpoint {
                config = config.endpoint_url(url);
            }
            // A stand-in's buckets have no host names of their own. Sums are checked here, against
            // the manifest's, not by the SDK.
            let config = config
                .force_path_style(self.s3_endpoint.is_some() || has_own_s3(&shared))
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }
}

/// Whether the environment or a profile names another endpoint than AWS's for S3.
fn has_own_s3(config: &aws_config::SdkConfig) -> bool {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok();
    let own = key
        .zip(config.service_config())
        .and_then(|(key, service)| service.load_config(key));
    own.is_some() || config.endpoint_url().is_some()
}

/// Whether S3 says that the caller may not do this, and not that it does not know the caller.
#[must_use]
pub fn is_access_denied(failure: &AwsFailure) -> bool {
    matches!(
        failure.code.as_str(),
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem"
    )
}

/// Whether S3 says that the bucket lies in another region than it was asked in.
#[must_use]
pub fn is_elsewhere(failure: &AwsFailure) -> bool {
    matches!(
        failure.code.as_str(),
        "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
    )
}

/// What a failed call to S3 means. Answers to HEAD have no body: only their status says something.
fn classify_s3<E>(error: &SdkError<E, HttpResponse>) -> AwsFailure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(context) = error else {
        return classify(error);
    };
    let by_status = match context.raw().status().as_u16() {
        301 | 307 => "PermanentRedirect",
        400 => "BadRequest",
        403 => "AccessDenied",
        404 => "NotFound",
        416 => "InvalidRange",
        503 => "SlowDown",
        _ => "UnknownError",
    };
    let code = context.err().code().unwrap_or(by_status).to_owned();
    let class = match code.as_str() {
        "NoSuchBucket" | "NoSuchKey" | "NotFound" | "InvalidObjectState" | "InvalidRange"
        | "InvalidBucketName" | "MethodNotAllowed" => FailureClass::Refused,
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestTimeTooSkewed" => FailureClass::Denied,
        "SlowDown" | "RequestTimeout" | "BandwidthLimitExceeded" => FailureClass::Throttled,
        // Keys that are disabled, pending deletion, or gone; S3 passes on what KMS says.
        code if code.starts_with("KMS.") => FailureClass::Refused,
        _ => classify(error).class,
    };
    let message = context
        .err()
        .message()
        .unwrap_or("S3 gave no message")
        .to_owned();
    AwsFailure {
        class,
        code,
        message,
    }
}

/// Says how a call of S3 ended, and what its failure means.
pub(super) fn judged<T, E>(
    call: Call,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, AwsFailure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let answer = answer.map_err(|error| classify_s3(&error));
    // An object that is looked for and is not there is an answer like any other.
    call.ended(answer.as_ref().err().filter(|failure| !is_missing(failure)));
    answer
}

/// Whether S3 says that there is no such object.
pub(super) fn is_missing(failure: &AwsFailure) -> bool {
    matches!(failure.code.as_str(), "NoSuchKey" | "NotFound")
}

/// How long S3 may be silent in the middle of an object.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
