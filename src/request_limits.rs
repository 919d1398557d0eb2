//! What a request may cost; `api::limits` enforces it. What a connection may cost is
//! [`crate::listener::ConnectionLimits`].

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// `TABLEFERRY_MAX_REQUESTS`: requests handled at the same time. Requests that wait for an
    /// export, or whose body is still arriving, are not counted.
    pub requests: usize,
    /// How long the body of a request may take to arrive.
    pub body_time: Duration,
    /// How long a request may take to answer, not counting a wait that its caller asked for.
    pub answer_time: Duration,
    /// The same for requests that call AWS, whose calls have timeouts of their own.
    pub aws_answer_time: Duration,
    /// `TABLEFERRY_PREFER_WAIT_MAX_S`: the longest wait that a caller can ask for by `Prefer:
    /// wait`. Below the timeouts of proxies, which count a slow answer as a failure of the server.
    pub longest_wait: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            requests: 4096,
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            aws_answer_time: Duration::from_secs(120),
            longest_wait: Duration::from_secs(50),
        }
    }
}
