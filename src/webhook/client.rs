//! Sends one attempt of a delivery to a URL that a caller chose.
//!
//! The danger is a URL that leads into our own network. So the URL is held against the policy before each attempt, its name is
//! looked up once by a resolver of ours that keeps only addresses the policy permits, and the connection goes to exactly
//! those: nothing can change between the check and the connection. Literal addresses, which never reach a resolver, are
//! checked on the parsed URL. Redirects are not followed, nothing is sent a second time, the environment's proxies are not
//! used, and connections are not reused.
//!
//! What comes back is bounded too: the whole attempt and the reading of the body in time, the body in length
//! (`response.rs`), and the head by the HTTP library: at most 100 header lines and some 400 KiB, else the answer is none.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, retry};
use tokio::time::{Instant, timeout_at};

use super::names::Names;
use super::response::{self, Answer};
use crate::causes::chain;
use crate::domain::invalid::Invalid;
use crate::domain::timing::DELIVERY_ATTEMPT_TIMEOUT;
use crate::domain::trace::TraceParent;
use crate::domain::webhook::endpoint::check_header;
use crate::domain::webhook::error_class::ErrorClass;
use crate::domain::webhook::url::{UrlPolicy, WebhookUrl};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A whole attempt, the reading of the body included.
    pub attempt: Duration,
    /// Looking up the name, connecting, and the TLS handshake.
    pub connect: Duration,
    /// Reading the body once the head has come.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempt: DELIVERY_ATTEMPT_TIMEOUT, connect: Duration::from_secs(5), body: Duration::from_secs(3) }
    }
}

/// One signed request.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Where it goes; held against the policy once more.
    pub url: &'a str,
    /// The header `webhook-id`.
    pub webhook_id: &'a str,
    /// The header `webhook-timestamp`: the time of the attempt in seconds since the Unix epoch.
    pub timestamp_s: i64,
    /// The header `webhook-signature`.
    pub signature: &'a str,
    /// The receiver's own headers.
    pub extra: &'a [(String, String)],
    /// The header `traceparent`.
    pub trace_parent: Option<TraceParent>,
    /// The exact bytes that were signed.
    pub body: String,
}

/// Why an attempt got no answer. No text repeats the URL, which may carry a token of the receiver's.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The policy does not allow the URL, or any address of its name.
    #[error("the receiver is not allowed")]
    Forbidden(#[source] Forbidden),
    /// The URL cannot be used.
    #[error("the URL cannot be used")]
    Url(#[source] Invalid),
    /// An extra header cannot be sent.
    #[error("an extra header has a name or value that cannot be sent")]
    Header,
    /// The name has no address, or nobody answers for it.
    #[error("the receiver's name was not found")]
    NameNotFound(#[source] reqwest::Error),
    /// No connection could be made.
    #[error("the connection could not be made")]
    Connection(#[source] reqwest::Error),
    /// The receiver does not speak TLS, hangs up before it does, or its certificate is not valid.
    #[error("the connection could not be secured")]
    Tls(#[source] reqwest::Error),
    /// There was no answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke off before an answer had come, or what came is no answer.
    #[error("the connection was lost before there was an answer")]
    Lost(#[source] reqwest::Error),
}

/// Why a receiver is not allowed.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// Its URL breaks a rule.
    #[error("its URL {0}")]
    Url(Invalid),
    /// Its name leads to addresses, and none may be reached.
    #[error("its name resolves to no address that may be reached")]
    Address,
}

impl SendError {
    /// The class.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Forbidden(_) => ErrorClass::ForbiddenAddress,
            Self::Url(_) => ErrorClass::InvalidUrl,
            Self::Header => ErrorClass::InvalidHeader,
            Self::NameNotFound(_) => ErrorClass::NameNotFound,
            Self::Connection(_) => ErrorClass::ConnectionFailed,
            Self::Tls(_) => ErrorClass::TlsFailed,
            Self::TimedOut => ErrorClass::TimedOut,
            Self::Lost(_) => ErrorClass::ConnectionLost,
        }
    }
}

/// Sends webhooks.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    client: Client,
    policy: UrlPolicy,
    limits: Limits,
}

impl WebhookClient {
    /// A client that reaches what the policy permits, at the addresses that `names` tells.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(policy: UrlPolicy, names: Arc<dyn Names>, limits: Limits) -> Result<Self, reqwest::Error> {
        #[expect(clippy::disallowed_methods, reason = "this is the one client for addresses that callers chose")]
        let builder = Client::builder();
        let client = builder
            .dns_resolver(Arc::new(Resolver { policy: policy.clone(), names }))
            .redirect(Policy::none())
            .retry(retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .http1_only()
            .https_only(!policy.allows_http_somewhere())
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, policy, limits })
    }

    /// Sends one signed request.
    ///
    /// # Errors
    /// There was no answer, or the receiver is not allowed.
    pub async fn send(&self, request: Outgoing<'_>) -> Result<Answer, SendError> {
        let deadline = Instant::now() + self.limits.attempt;
        let url = WebhookUrl::stored(request.url).map_err(SendError::Url)?;
        url.check(&self.policy).map_err(|e| SendError::Forbidden(Forbidden::Url(e)))?;
        let headers = headers(&request).ok_or(SendError::Header)?;
        let sending = self.client.post(url.as_str()).headers(headers).body(request.body).send();
        let response = timeout_at(deadline, sending).await.map_err(|_| SendError::TimedOut)?.map_err(classify)?;
        let body_deadline = deadline.min(Instant::now() + self.limits.body);
        Ok(response::read(response, body_deadline, request.timestamp_s).await)
    }
}

/// Every header of a request, or nothing if one cannot be sent.
fn headers(request: &Outgoing<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.extra {
        check_header(name, value).ok()?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tableferry/", env!("CARGO_PKG_VERSION"))));
    headers.insert("webhook-id", HeaderValue::try_from(request.webhook_id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(request.timestamp_s));
    headers.insert("webhook-signature", HeaderValue::try_from(request.signature).ok()?);
    if let Some(trace_parent) = request.trace_parent {
        headers.insert("traceparent", HeaderValue::try_from(trace_parent.to_string()).ok()?);
    }
    Some(headers)
}

fn classify(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    if chain(&error).any(|e| e.is::<Forbidden>()) {
        SendError::Forbidden(Forbidden::Address)
    } else if error.is_timeout() {
        SendError::TimedOut
    } else if chain(&error).any(|e| e.is::<NameNotFound>()) {
        SendError::NameNotFound(error)
    } else if chain(&error).any(|e| is_of_tls(e, error.is_connect())) {
        SendError::Tls(error)
    } else if error.is_connect() {
        SendError::Connection(error)
    } else if error.is_builder() {
        SendError::Url(Invalid::new("cannot be written into a request"))
    } else {
        SendError::Lost(error)
    }
}

/// Whether a cause comes from TLS: an error of its own, or a connection that breaks off although it was made, before anything
/// was sent on it.
fn is_of_tls(cause: &(dyn Error + 'static), while_connecting: bool) -> bool {
    // What an I/O error wraps is not among its causes.
    let Some(io) = cause.downcast_ref::<io::Error>() else { return cause.is::<rustls::Error>() };
    match io.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() || inner.is::<io::Error>() => is_of_tls(inner, while_connecting),
        _ => {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            while_connecting && matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
    }
}

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("the look-up failed")]
struct NameNotFound(#[source] io::Error);

/// Looks names up, and keeps only the addresses that may be reached.
#[derive(Debug)]
struct Resolver {
    policy: UrlPolicy,
    names: Arc<dyn Names>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, name) = (self.policy.clone(), name.as_str().to_owned());
        let looking = self.names.look_up(name.clone());
        Box::pin(async move {
            let found = looking.await.map_err(NameNotFound)?;
            if found.is_empty() {
                return Err(NameNotFound(io::Error::other("it has no address")).into());
            }
            let allowed: Vec<_> = found.into_iter().filter(|ip| policy.permits(&name, *ip)).map(|ip| SocketAddr::new(ip, 0)).collect();
            if allowed.is_empty() {
                return Err(Forbidden::Address.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
