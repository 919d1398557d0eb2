//! Sends one attempt of a delivery to a URL that a caller chose.
//!
//! The danger is a URL that leads into our own network. So the URL is checked against the policy
//! before each attempt, its name is looked up once, and the connection goes only to those of its
//! addresses that the policy permits (`dial.rs`): nothing can change between the check and the
//! connection. Redirects are not followed, requests are not repeated, proxies are not used, and
//! connections are not reused.
//!
//! The response is limited too: the whole attempt and reading the body in time, the body in length
//! (`response.rs`), and the head by the HTTP library to 100 header lines and about 400 KiB.
//!
//! Not every receiver follows the standard. A response that can be understood counts, even if its
//! header lines are folded or malformed, or if it was sent before the whole request was read.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::dial::{IgnoreWriteErrors, dial, system_tls};
use super::failure::{AttemptPhase, Forbidden, SendError};
use super::names::Names;
use super::response::{self, Answer};
use tableferry_domain::invalid::Invalid;
use tableferry_domain::lifecycle::timing::DELIVERY_ATTEMPT_TIMEOUT;
use tableferry_domain::trace::TraceParent;
use tableferry_domain::webhook::endpoint::check_header;
use tableferry_domain::webhook::url::{UrlPolicy, WebhookUrl};

#[derive(Debug, Clone, Copy)]
pub struct WebhookLimits {
    /// A whole attempt, including reading the body.
    pub attempt: Duration,
    /// The name look-up, the connection and the TLS handshake together.
    pub connect: Duration,
    /// Reading the body, after the head has arrived.
    pub body: Duration,
}

impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            attempt: DELIVERY_ATTEMPT_TIMEOUT,
            connect: Duration::from_secs(5),
            body: Duration::from_secs(3),
        }
    }
}

/// One signed request.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The receiver. Checked against the policy again.
    pub url: &'a str,
    /// The header `webhook-id`.
    pub webhook_id: &'a str,
    /// The header `webhook-timestamp`: the time of the attempt in seconds since the Unix epoch.
    pub timestamp_s: i64,
    /// The header `webhook-signature`.
    pub signature: &'a str,
    /// Additional headers that the endpoint asks for.
    pub extra: &'a [(String, String)],
    /// The header `traceparent`.
    pub trace_parent: Option<TraceParent>,
    /// The exact bytes that were signed.
    pub body: String,
}

#[derive(Debug, Clone)]
pub struct WebhookClient {
    policy: UrlPolicy,
    names: Arc<dyn Names>,
    limits: WebhookLimits,
    tls: Arc<ClientConfig>,
}

impl WebhookClient {
    /// A client that trusts the system's certificate authorities.
    pub fn new(
        policy: UrlPolicy,
        names: Arc<dyn Names>,
        limits: WebhookLimits,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::with_tls(policy, names, limits, system_tls()?))
    }

    /// A client with another TLS configuration.
    #[must_use]
    pub fn with_tls(
        policy: UrlPolicy,
        names: Arc<dyn Names>,
        limits: WebhookLimits,
        mut tls: ClientConfig,
    ) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            policy,
            names,
            limits,
            tls: Arc::new(tls),
        }
    }

    /// Sends one signed request.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, SendError> {
        let began = Instant::now();
        let deadline = began + self.limits.attempt;
        let url = WebhookUrl::from_db(outgoing.url).map_err(SendError::Url)?;
        url.check(&self.policy)
            .map_err(|e| SendError::Forbidden(Forbidden::Url(e)))?;
        let headers = headers(&url, &outgoing).ok_or(SendError::Header)?;
        let unwritable = |_| SendError::Url(Invalid::new("cannot be used in an HTTP request"));
        let mut request = Request::post(url.target())
            .body(Full::new(Bytes::from(outgoing.body)))
            .map_err(unwritable)?;
        *request.headers_mut() = headers;

        let stream = dial(
            &url,
            &self.policy,
            &*self.names,
            &self.tls,
            deadline.min(began + self.limits.connect),
        )
        .await?;
        let mut http = http1::Builder::new();
        http.allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true);
        let (mut sender, connection) = http
            .handshake(TokioIo::new(IgnoreWriteErrors::new(stream)))
            .await
            .map_err(SendError::Lost)?;
        // Stopped at the end of this attempt, whatever its outcome.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answering = timeout_at(deadline, sender.send_request(request));
        let response = answering
            .await
            .map_err(|_| SendError::TimedOut(AttemptPhase::Answer))?
            .map_err(SendError::Lost)?;
        let body_deadline = deadline.min(Instant::now() + self.limits.body);
        Ok(response::read(response, body_deadline, outgoing.timestamp_s).await)
    }
}

/// All headers of a request. `None` if one cannot be sent.
fn headers(url: &WebhookUrl, request: &Outgoing<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in request.extra {
        check_header(name, value).ok()?;
        headers.append(
            HeaderName::try_from(name).ok()?,
            HeaderValue::try_from(value).ok()?,
        );
    }
    headers.insert(HOST, HeaderValue::try_from(url.authority()).ok()?);
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("tableferry/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        "webhook-id",
        HeaderValue::try_from(request.webhook_id).ok()?,
    );
    headers.insert("webhook-timestamp", HeaderValue::from(request.timestamp_s));
    headers.insert(
        "webhook-signature",
        HeaderValue::try_from(request.signature).ok()?,
    );
    if let Some(trace_parent) = request.trace_parent {
        headers.insert(
            "traceparent",
            HeaderValue::try_from(trace_parent.to_string()).ok()?,
        );
    }
    Some(headers)
}
