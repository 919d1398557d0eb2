//! DynamoDB's export calls in our words: the only room that names the AWS SDK.
//!
//! One SDK client a region, built once and shared; the region is the one in the ARN. Retries are ours, so the SDK's are off.

mod convert;
mod error;
mod exports;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

pub use exports::SearchScope;

/// How long one call may take, answer included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How many regions' clients are kept.
const MOST_CLIENTS: usize = 64;

/// DynamoDB's export calls, in every region.
#[derive(Debug)]
pub struct TableExports {
    config: SdkConfig,
    clients: Mutex<HashMap<String, Client>>,
}

impl TableExports {
    /// Reads what the SDK reads: environment, profile files, and the credentials of containers and instances (lazily).
    pub async fn from_environment() -> Self {
        // A client's region comes from the ARN; this one only serves credentials that ask STS. Never the instance's
        // metadata, which would delay the start of a process outside EC2 by seconds.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static("us-east-1"));
        Self::new(base().region(region).load().await)
    }

    /// Talks to a stand-in for AWS at this URL.
    pub async fn at_endpoint(url: &str) -> Self {
        let credentials = Credentials::new("tableferry", "tableferry", None, None, "stand-in");
        let loader = base()
            .region(Region::from_static("us-east-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Self::new(loader.load().await)
    }

    fn new(config: SdkConfig) -> Self {
        Self { config, clients: Mutex::default() }
    }

    fn client(&self, region: &str) -> Client {
        // A poisoned lock still holds a usable map: nothing is left half done in it.
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(region) {
            return client.clone();
        }
        if clients.len() >= MOST_CLIENTS {
            // Each holds connections of its own. AWS has some forty regions; more than that are made up by callers.
            clients.clear();
        }
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config).region(Region::new(region.to_owned())).build();
        let client = Client::from_conf(config);
        clients.insert(region.to_owned(), client.clone());
        client
    }
}

fn base() -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_timeout(CALL_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(RetryConfig::disabled()).timeout_config(timeouts)
}
