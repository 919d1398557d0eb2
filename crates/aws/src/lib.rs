//! AWS in our words: the only room that names its SDK.
//!
//! One SDK client for each service, region and credentials, built once and shared; account and
//! region are those of the table's ARN. Retries are ours, so the SDK's are off.

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

use tableferry_domain::account::AccountRole;
use tableferry_domain::timing::AWS_CALL_TIMEOUT;

pub use exports::SearchScope;
pub use operations::{ASSUME_ROLE, Operation};
pub use s3::{is_access_denied, is_elsewhere};
pub use s3_objects::{Bucket, ObjectBody};
pub use turns::{TurnKind, Turns};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The process's own credentials, among accounts.
const OWN: &str = "";

/// AWS, in every account and region.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    /// By account.
    roles: HashMap<String, AccountRole>,
    dynamodb: Clients<aws_sdk_dynamodb::Client>,
    s3: Clients<aws_sdk_s3::Client>,
    /// Where a stand-in for S3 is; `None` leaves it to the SDK.
    s3_endpoint: Option<String>,
    regions: s3::Regions,
    kms: Clients<aws_sdk_kms::Client>,
    /// Paces the calls that are made for callers who wait.
    pub turns: Turns,
}

impl Aws {
    /// Reads what the SDK reads: environment, profile files, and the credentials of containers and
    /// instances (lazily).
    pub async fn from_environment() -> Self {
        // A client's region comes from the ARN; this one only serves credentials that ask STS.
        // Never the instance's metadata, which would delay the start of a process outside EC2 by
        // seconds.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static("us-east-1"));
        Self::new(base().region(region).load().await, None)
    }

    /// Talks to a stand-in for AWS: DynamoDB at one URL, S3 at another, with its buckets as the
    /// first part of the path.
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

    /// The same, but calls in these accounts are made with the roles that are named for them.
    #[must_use]
    pub fn with_roles(self, roles: Vec<AccountRole>) -> Self {
        let roles = roles
            .into_iter()
            .map(|role| (role.account_id().to_owned(), role))
            .collect();
        Self { roles, ..self }
    }

    /// The configuration for calls in an account and a region: the one place that picks
    /// credentials. Those of the account's role if the settings name one, else the process's own.
    fn config(&self, account_id: &str, region: &str) -> SdkConfig {
        let region = Region::new(region.to_owned());
        // Connections of its own: a client that is built anew (`clients.rs`) must not find those
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

    /// Whose credentials calls in an account have, as clients are kept by it: those of the
    /// account's role, or the process's own.
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
