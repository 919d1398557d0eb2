//! What a connection may cost. What a request may cost is in the service, which knows its routes.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Open connections (`TABLEFERRY_MAX_CONNECTIONS`).
    pub connections: usize,
    /// From the first byte of a request to the end of its head. A new connection has the same time
    /// for its first byte.
    pub head_time: Duration,
    /// The size of a request's head in bytes. hyper limits its lines to 100.
    pub head_bytes: usize,
    /// How long a connection may stay open without a request.
    pub idle_time: Duration,
    /// How long a write may make no progress because the client does not read.
    pub write_time: Duration,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How long a lingering close reads what the client still sends, when the response was written
    /// before the whole request had arrived.
    pub linger_time: Duration,
    /// After this time without a request, a connection gives its buffers back.
    pub rest_after: Duration,
    /// How often the certificate's files are checked for changes.
    pub tls_check_every: Duration,
}

/// All but the number of connections are fixed in production: they suit every working client.
impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            head_time: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            linger_time: Duration::from_secs(2),
            rest_after: Duration::from_secs(1),
            tls_check_every: Duration::from_secs(5),
        }
    }
}
