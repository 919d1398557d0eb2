//! Calls a service over HTTP. Retries calls that are safe to repeat when there is no response or
//! the service asks for it.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::ClientError;
use super::problem::ProblemDocument;
use super::screen::Screen;
use super::words::span;
use tableferry_clock::Clock;
use tableferry_domain::error_chain::chain;
use tableferry_domain::retry_after::retry_after;
use tableferry_domain::timestamp::Timestamp;

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// If the service asks for a longer pause, the call fails.
const MAX_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Repeating the call has no further effect.
    Safe,
    /// The call may be repeated only if it certainly had no effect.
    OnlyIfUndone,
}

#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
    repeat: Repeat,
}

/// A successful response.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub text: String,
    server: String,
}

#[derive(Debug, Clone)]
pub struct Connection {
    base: Url,
    http: reqwest::Client,
    authorization: Option<HeaderValue>,
    retries: u32,
    screen: Screen,
    clock: Clock,
}

impl Call {
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ClientError> {
        let parsed = HeaderValue::from_str(value);
        let value = parsed.map_err(|_| {
            ClientError::Usage(format!(
                "the {name} contains characters that a header cannot contain"
            ))
        })?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.headers.insert(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        self.body = Some(body.to_string());
        self
    }

    /// Marks the call as safe to repeat.
    pub fn repeatable(self) -> Self {
        Self {
            repeat: Repeat::Safe,
            ..self
        }
    }
}

impl Answer {
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.text).map_err(|error| ClientError::Foreign {
            server: self.server.clone(),
            what: format!("its JSON is not as expected ({error})"),
        })
    }
}

/// Why one attempt got no response.
enum Miss {
    /// No connection was made, so the call had no effect.
    NotReached(reqwest::Error),
    /// The connection broke, or nothing arrived within [`RESPONSE_TIMEOUT`] (`None`). Whether the
    /// call had an effect is not known.
    Lost(Option<reqwest::Error>),
}

impl Connection {
    pub(super) fn new(
        server: &str,
        key: Option<&SecretString>,
        retries: u32,
        screen: Screen,
        clock: Clock,
    ) -> Result<Self, ClientError> {
        let wrong = |what: &str| ClientError::Usage(format!("--server (TABLEFERRY_SERVER) {what}"));
        let base = Url::parse(server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| {
            wrong("must be a URL, for example http://127.0.0.1:8080 or https://tableferry.example.com")
        })?;
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(wrong(
                "must not contain a user name, a password, a query or a fragment; set the API key with TABLEFERRY_API_KEY",
            ));
        }
        let authorization = match key {
            None => None,
            Some(key) => {
                let value =
                    HeaderValue::from_str(&format!("Bearer {}", key.expose_secret().trim()));
                let mut value = value.map_err(|_| {
                    ClientError::Usage(
                        "the API key contains characters that are not allowed in API keys"
                            .to_owned(),
                    )
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let http = http_client(&base)?;
        Ok(Self {
            base,
            http,
            authorization,
            retries,
            screen,
            clock,
        })
    }

    /// `path` is below the service's URL.
    pub fn call(&self, method: Method, path: &[&str]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let repeat = if method == Method::GET {
            Repeat::Safe
        } else {
            Repeat::OnlyIfUndone
        };
        Call {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            repeat,
        }
    }

    pub fn get(&self, path: &[&str]) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &[&str]) -> Call {
        self.call(Method::POST, path)
    }

    /// Sends a call, retries it if necessary, and reads the whole response.
    pub async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        let response = self.open(&call).await?;
        let headers = response.headers().clone();
        let text = response
            .text()
            .await
            .map_err(|error| self.unreachable(Some(error), call.repeat))?;
        Ok(Answer {
            headers,
            text,
            server: self.base.to_string(),
        })
    }

    /// Sends a call and retries it if necessary. Returns a successful response before its body is
    /// read.
    pub async fn open(&self, call: &Call) -> Result<reqwest::Response, ClientError> {
        let mut tries = 0;
        loop {
            let (error, pause) = match self.once(call).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let (status, asked) = (
                        response.status(),
                        asked_pause(response.headers(), self.clock.now()),
                    );
                    let error = self.refusal(response).await;
                    // A call refused with 429 had no effect. Whether one with 503 had is not known.
                    let again = status == StatusCode::TOO_MANY_REQUESTS
                        || (call.repeat == Repeat::Safe && is_temporary(status));
                    (error, again.then_some(asked))
                }
                Err(Miss::NotReached(error)) => {
                    (self.unreachable(Some(error), Repeat::Safe), Some(None))
                }
                Err(Miss::Lost(error)) => (
                    self.unreachable(error, call.repeat),
                    (call.repeat == Repeat::Safe).then_some(None),
                ),
            };
            let Some(asked) = pause.filter(|_| tries < self.retries) else {
                return Err(error);
            };
            let pause = asked.unwrap_or_else(|| self.backoff(tries));
            if pause > MAX_PAUSE {
                return Err(error);
            }
            tries += 1;
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default();
            self.screen.note(&format!(
                "{what}; retrying in {} ({tries} of {})",
                span(pause.max(Duration::from_secs(1))),
                self.retries
            ));
            tokio::time::sleep(pause).await;
        }
    }

    /// Half a second, doubling, with jitter.
    fn backoff(&self, tries: u32) -> Duration {
        let whole = Duration::from_millis(500).saturating_mul(1 << tries.min(5));
        whole.mul_f64(0.75 + self.clock.jitter().0 / 2.0)
    }

    async fn once(&self, call: &Call) -> Result<reqwest::Response, Miss> {
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .headers(call.headers.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        // A stream stays open as long as it sends something; its reader has the timeout.
        let streams = call
            .headers
            .get(reqwest::header::ACCEPT)
            .is_some_and(|accept| accept == "text/event-stream");
        if !streams {
            request = request.timeout(RESPONSE_TIMEOUT);
        }
        // The head of a stream arrives as soon as that of any other response.
        let sent = tokio::time::timeout(RESPONSE_TIMEOUT, request.send())
            .await
            .map_err(|_| Miss::Lost(None))?;
        sent.map_err(|error| {
            if error.is_connect() {
                Miss::NotReached(error)
            } else {
                Miss::Lost(Some(error))
            }
        })
    }

    async fn refusal(&self, response: reqwest::Response) -> ClientError {
        let status = response.status();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (kind, request_id) = (header("content-type"), header("x-request-id"));
        let text = tokio::time::timeout(RESPONSE_TIMEOUT, response.text())
            .await
            .unwrap_or_else(|_| Ok(String::new()))
            .unwrap_or_default();
        match ProblemDocument::parse(&text) {
            Some(mut problem) => {
                problem.request_id = (!request_id.is_empty()).then_some(request_id);
                ClientError::Refused(Box::new(problem))
            }
            // From a proxy in front of the service.
            None if matches!(status.as_u16(), 502..=504) => ClientError::Unreachable {
                server: self.base.to_string(),
                why: format!("a proxy in front of it answered {status}"),
                advice: "Is the service running?".to_owned(),
            },
            None => ClientError::Foreign {
                server: self.base.to_string(),
                what: format!(
                    "{status}, {}",
                    if kind.is_empty() {
                        "without a content type"
                    } else {
                        &kind
                    }
                ),
            },
        }
    }

    fn unreachable(&self, error: Option<reqwest::Error>, repeat: Repeat) -> ClientError {
        let advice = match repeat {
            Repeat::Safe => {
                "Is it running? Set its URL with --server or TABLEFERRY_SERVER; make run starts one."
            }
            Repeat::OnlyIfUndone => {
                "It is not known whether the call had an effect: check before you repeat it."
            }
        };
        let why = match error {
            Some(error) if !error.is_timeout() => {
                // The message has the URL already, and a presigned URL must not be shown.
                let error = error.without_url();
                chain(&error)
                    .last()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            }
            _ => "it did not answer in time".to_owned(),
        };
        ClientError::Unreachable {
            server: self.base.to_string().trim_end_matches('/').to_owned(),
            why,
            advice: advice.to_owned(),
        }
    }
}

/// An HTTP client for this URL. It uses the proxies of the environment, except for this machine. It
/// does not follow redirects, which could send the API key elsewhere.
pub fn http_client(to: &Url) -> Result<reqwest::Client, ClientError> {
    let loopback = match to.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the client's own calls, to the URL that its user gave"
    )]
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tableferry/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10));
    if loopback {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        ClientError::Other(format!(
            "cannot set up the HTTP client: {}",
            tableferry_domain::error_chain::in_words(&error)
        ))
    })
}

/// Whether a retry may succeed a little later.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

/// The `Retry-After` header. This service sends seconds; a proxy in front of it may send a date.
fn asked_pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}
