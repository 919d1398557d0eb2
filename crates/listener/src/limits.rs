//! What a connection and a request may cost. Only the two numbers are settings: the times suit
//! every client that works.

use std::time::Duration;

use super::places::SPARE;

/// The most that is allowed.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `TABLEFERRY_MAX_CONNECTIONS`: connections at once.
    pub connections: usize,
    /// `TABLEFERRY_MAX_REQUESTS`: requests that are worked on at once. Who waits for an export's
    /// end, or still sends its body, is not counted.
    pub requests: usize,
    /// From the first byte of a request to the end of its head. A new connection has the same time
    /// for its first byte.
    pub head_time: Duration,
    /// How large the head of a request may be, in bytes. Its lines are bounded by hyper, at 100.
    pub head_bytes: usize,
    /// How long a connection may be kept without a request.
    pub idle_time: Duration,
    /// How long the client may take nothing of what it is sent.
    pub write_time: Duration,
    /// How long a handshake of TLS may take.
    pub handshake_time: Duration,
    /// How long a client is still listened to that was answered before it had sent its whole
    /// request, so that the answer reaches it.
    pub linger_time: Duration,
    /// How long the body of a request may take to arrive.
    pub body_time: Duration,
    /// How long a request may take to answer, waits that its caller asked for not counted.
    pub answer_time: Duration,
    /// The same for requests that ask AWS, whose calls have time-outs of their own.
    pub aws_answer_time: Duration,
    /// `TABLEFERRY_PREFER_WAIT_MAX_S`: the longest wait that a caller can ask for by `Prefer:
    /// wait`. Below the time-outs of proxies, which count a slow answer as a failure of the server.
    pub longest_wait: Duration,
    /// After which time without a request a connection gives its buffers back.
    pub rest_after: Duration,
    /// How often the files of the certificate are looked at.
    pub tls_look_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            requests: 4096,
            head_time: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            linger_time: Duration::from_secs(2),
            body_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            aws_answer_time: Duration::from_secs(120),
            longest_wait: Duration::from_secs(50),
            rest_after: Duration::from_secs(1),
            tls_look_every: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// The same, with no more connections than the process may open files. The soft limit of files
    /// is raised to the hard one first: it is low by tradition, for programs that call `select`.
    #[must_use]
    pub fn within_files(self) -> Self {
        // Where the limit cannot be asked for there may be none.
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
        let fit = connections_for(files);
        if fit < self.connections {
            tracing::warn!(
                connections.most = fit,
                connections.wanted = self.connections,
                "the limit of open files (ulimit -n, LimitNOFILE) allows fewer connections than TABLEFERRY_MAX_CONNECTIONS"
            );
        }
        Self {
            connections: self.connections.min(fit),
            ..self
        }
    }
}

/// How many connections so many files allow: a quarter, but 512 at most, is left for Postgres, AWS
/// and receivers of webhooks.
fn connections_for(files: u64) -> usize {
    let others = (files / 4).clamp(64, 512);
    let fit = files.saturating_sub(others).saturating_sub(SPARE as u64);
    usize::try_from(fit).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_others() {
        for (files, connections) in [(20_000, 19_424), (1024, 704), (100, 1), (0, 1)] {
            assert_eq!(connections_for(files), connections, "{files}");
        }
        assert!(connections_for(u64::MAX) > 1_000_000);
    }
}
