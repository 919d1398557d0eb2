//! Sends one attempt of a delivery to a URL that a caller chose.
//!
//! The danger is a URL that leads into our own network. So names are resolved by a resolver of ours that keeps only
//! public addresses, and the connection goes to exactly those: nothing can change between the check and the connection.
//! Literal addresses, which never reach a resolver, are checked on the parsed URL. Redirects are not followed, the
//! environment's proxies are not used, connections are not reused, and of an answer only its status is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::domain::address::is_public;

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends webhooks.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    client: Client,
    allow_private: bool,
}

/// A receiver's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status; any 2xx means delivered.
    pub status_code: u16,
    /// After how long the receiver wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// Why an attempt got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL names, or resolves to, an address that is not public.
    #[error("the receiver's address is not public, and private addresses are not allowed")]
    Forbidden,
    /// The receiver did not answer in time.
    #[error("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    TimedOut,
    /// The URL cannot be used.
    #[error("the URL cannot be used")]
    Url(#[source] url::ParseError),
    /// The connection could not be made or broke off.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
}

impl WebhookClient {
    /// A client that reaches public addresses only, or any.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(allow_private: bool) -> Result<Self, reqwest::Error> {
        #[expect(clippy::disallowed_methods, reason = "this is the one client for addresses that callers chose")]
        let builder = Client::builder();
        let client = builder
            .dns_resolver(Arc::new(Resolver { allow_private }))
            .redirect(Policy::none())
            .no_proxy()
            .https_only(!allow_private)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("tableferry/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, allow_private })
    }

    /// Sends one signed request.
    ///
    /// # Errors
    /// There was no answer, or the address is forbidden.
    pub async fn send(&self, url: &str, webhook_id: &str, timestamp_s: i64, signature: &str, body: String) -> Result<Answer, SendError> {
        let url = Url::parse(url).map_err(SendError::Url)?;
        let literal = match url.host() {
            Some(url::Host::Ipv4(v4)) => Some(IpAddr::from(v4)),
            Some(url::Host::Ipv6(v6)) => Some(IpAddr::from(v6)),
            _ => None,
        };
        if literal.is_some_and(|ip| !self.allow_private && !is_public(ip)) {
            return Err(SendError::Forbidden);
        }
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", webhook_id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(body);
        let response = request.send().await.map_err(classify)?;
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        Ok(Answer { status_code: response.status().as_u16(), retry_after: retry_after.map(Duration::from_secs) })
    }
}

fn classify(error: reqwest::Error) -> SendError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.is::<ForbiddenAddress>() {
            return SendError::Forbidden;
        }
        cause = current.source();
    }
    // The URL is in the row already, and may carry a token of the receiver's.
    if error.is_timeout() { SendError::TimedOut } else { SendError::Connection(error.without_url()) }
}

/// A name that resolves to no address that may be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to no public address")]
struct ForbiddenAddress;

/// Resolves names by the system, and keeps only the addresses that may be reached.
#[derive(Debug)]
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| allow_private || is_public(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(ForbiddenAddress) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
