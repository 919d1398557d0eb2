//! The AWS calls of the service, in the types of the domain. The only crate that uses the AWS SDK.
//!
//! There is one SDK client per service, region and credentials, built once and shared; account and
//! region come from the table's ARN. The SDK's retries are off, because the service has its own.

mod buckets;
mod call;
mod clients;
mod convert;
mod error;
mod exports;
mod http;
mod keys;
mod operations;
pub mod pages;
mod roles;
mod s3;
mod s3_error;
mod s3_objects;
mod tables;
mod turns;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

use clients::Clients;
use roles::RoleCredentials;

use tableferry_domain::aws::account::AccountRole;
use tableferry_domain::lifecycle::timing::AWS_CALL_TIMEOUT;

pub use exports::SearchScope;
pub use operations::{ASSUME_ROLE, Operation};
pub use s3_error::{is_access_denied, is_elsewhere};
pub use s3_objects::{Bucket, ObjectBody};
pub use turns::{TurnKind, Turns};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The key of the process's own credentials in maps by account.
const OWN: &str = "";

/// AWS in every account and region.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    /// By account id.
    roles: HashMap<String, AccountRole>,
    dynamodb: Clients<aws_sdk_dynamodb::Client>,
    s3: Clients<aws_sdk_s3::Client>,
    /// The endpoint of a stand-in for S3; `None` leaves it to the SDK.
    s3_endpoint: Option<String>,
    regions: s3::Regions,
    kms: Clients<aws_sdk_kms::Client>,
    /// Paces the calls made for waiting API callers.
    pub turns: Turns,
}

impl Aws {
    /// Reads what the SDK reads: environment, profile files, and (lazily) the credentials of
    /// containers and instances.
    pub async fn from_environment() -> Self {
        // Clients get their region from ARNs; this one is only for credentials that call STS. The
        // instance metadata is never read for it, which would delay the start outside EC2 by
        // seconds.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static("us-east-1"));
        Self::new(base().region(region).load().await, None)
    }

    /// Uses a stand-in for AWS: DynamoDB at one URL, S3 at another with the bucket as the first
    /// part of the path.
    pub async fn at_endpoints(dynamodb_url: &str, s3_url: &str) -> Self {
        let credentials = Credentials::new("tableferry", "tableferry", None, None, "stand-in");
        let loader = base()
            .region(Region::from_static("us-east-1"))
            .endpoint_url(dynamodb_url)
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Self::new(loader.load().await, Some(s3_url.to_owned()))
    }

    fn new(config: SdkConfig, s3_endpoint: Option<String>) -> Self {
        Self {
            config,
            roles: HashMap::new(),
            dynamodb: Clients::default(),
            s3: Clients::default(),
            s3_endpoint,
            regions: s3::Regions::default(),
            kms: Clients::default(),
            turns: Turns::default(),
        }
    }

    /// Assumes the roles for calls in their accounts.
    #[must_use]
    pub fn with_roles(self, roles: Vec<AccountRole>) -> Self {
        let roles = roles
            .into_iter()
            .map(|role| (role.account_id().to_owned(), role))
            .collect();
        Self { roles, ..self }
    }

    /// The configuration for calls in an account and region, with the credentials of the account's
    /// role if the settings name one, otherwise the process's own. No other place chooses
    /// credentials.
    fn config(&self, account_id: &str, region: &str) -> SdkConfig {
        let region = Region::new(region.to_owned());
        // A separate connection pool: a rebuilt client (`clients.rs`) must not reuse connections
        // that went silent.
        let mut config = self.config.to_builder().region(region.clone());
        config.set_http_client(http::client());
        match self.roles.get(account_id) {
            Some(role) => {
                let credentials = RoleCredentials::new(role.clone(), self.config.clone(), region);
                config
                    .credentials_provider(SharedCredentialsProvider::new(credentials))
                    .build()
            }
            None => config.build(),
        }
    }

    /// The key by which clients are kept: the account if it has a role, otherwise the process's own
    /// credentials.
    fn signer<'a>(&self, account_id: &'a str) -> &'a str {
        if self.roles.contains_key(account_id) {
            account_id
        } else {
            OWN
        }
    }

    fn dynamodb(&self, account_id: &str, region: &str) -> aws_sdk_dynamodb::Client {
        self.dynamodb.get(self.signer(account_id), region, || {
            aws_sdk_dynamodb::Client::new(&self.config(account_id, region))
        })
    }
}

fn base() -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_timeout(AWS_CALL_TIMEOUT)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    match http::client() {
        Some(client) => loader.http_client(client),
        None => loader,
    }
}
