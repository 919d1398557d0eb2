//! S3 clients, and the region of each bucket.

use std::sync::{Mutex, PoisonError};

use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::error::SdkError;
use aws_types::service_config::ServiceConfigKey;
use quick_cache::unsync::Cache;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_domain::export::output::Output;

use super::Aws;
use super::call::make;
use super::operations::Operation;
use super::s3_error::{finish, is_access_denied};
use super::s3_objects::Bucket;

/// Maximum number of buckets whose region is cached. Callers choose bucket names.
const MAX_REGIONS: usize = 1024;

/// The region of each bucket, by account and bucket.
#[derive(Debug)]
pub(super) struct Regions(Mutex<Cache<(String, String), String>>);

impl Default for Regions {
    fn default() -> Self {
        Self(Mutex::new(Cache::new(MAX_REGIONS)))
    }
}

impl Regions {
    fn get(&self, account_id: &str, bucket: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(account_id.to_owned(), bucket.to_owned()))
            .cloned()
    }

    fn put(&self, account_id: &str, bucket: &str, region: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// The bucket of these files. S3 is asked for its region once; then it is cached. Fails if the
    /// bucket does not exist or S3 does not answer.
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

    /// Drops the cached region of this bucket, after S3 said that it is in another one.
    pub fn forget_bucket(&self, output: &Output) {
        self.regions.forget(self.reader_of(output), &output.bucket);
    }

    /// The account whose credentials read these files: the bucket owner's if the settings name a
    /// role there, since the objects belong to it; otherwise the table's, for which AWS wrote them.
    fn reader_of<'a>(&self, output: &'a Output) -> &'a str {
        let owner = output
            .bucket_owner
            .as_deref()
            .filter(|owner| self.roles.contains_key(*owner));
        owner.unwrap_or(&output.account_id)
    }

    /// HeadBucket. Its response names the bucket's region, even if it is a redirect or a denial.
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
        match (finish(call, answer), named) {
            (Ok(found), _) => Ok(found.bucket_region().unwrap_or(&output.region).to_owned()),
            (Err(_), Some(region)) => Ok(region),
            // Some stand-ins for S3 deny HeadBucket without naming a region; the next call fails
            // with the reason.
            (Err(failure), None)
                if failure.class == FailureClass::Denied && is_access_denied(&failure) =>
            {
                Ok(output.region.clone())
            }
            (Err(failure), None) if failure.code == "NotFound" => {
                let message = format!("the bucket {} does not exist", output.bucket);
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
            // A stand-in's buckets have no host names. Checksums are compared with the manifest's
            // by this service, not by the SDK.
            let config = config
                .force_path_style(self.s3_endpoint.is_some() || has_own_s3(&shared))
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }
}

/// Whether the environment or a profile names a custom S3 endpoint.
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
