//! Reads `DATABASE_URL` as libpq reads connection URIs, so that what works in psql works here.
//!
//! sqlx supports one host and ignores parameters that it does not know, which must not happen to a
//! parameter about security. Here, what Tableferry does not support is refused, and all problems
//! are reported at once. No message repeats text that may be a secret in the wrong place. This file
//! splits the URI; [`parameters`] reads what follows its `?`.

mod parameters;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// A connection URI whose parts are all understood. What is `None` is left to the driver: its
/// environment variables, then its defaults.
#[derive(Debug, Clone, Default)]
pub(super) struct DatabaseUrl {
    /// At least one, in the order in which they are tried.
    pub(super) hosts: Vec<Host>,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: Option<String>,
    pub(super) tls: Tls,
    pub(super) application_name: Option<String>,
    /// Settings of the session, from `options` and `options[name]`, in the order given. Of two with
    /// the same name the later one applies.
    pub(super) settings: Vec<(String, String)>,
    /// Per host.
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keepalives: Keepalives,
    /// How long sent data may stay unacknowledged; `None`: Tableferry's default.
    pub(super) tcp_user_timeout: Option<Duration>,
}

/// A port is `None` where libpq would use `PGPORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an IP address, IPv6 without brackets.
    Tcp { name: String, port: Option<u16> },
    Socket {
        /// The directory of the socket.
        folder: PathBuf,
        /// The number in the name of the socket.
        port: Option<u16>,
    },
    /// No host is named: the driver's default.
    Default { port: Option<u16> },
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    /// `sslmode`; `verify-ca` if the URL has `require` with `sslrootcert`. If it is `None` along
    /// with a root certificate, the driver's default would ignore the certificate.
    pub(super) mode: Option<TlsMode>,
    /// `sslrootcert`: the authorities that may have signed the server's certificate.
    pub(super) root_cert: Option<PathBuf>,
    /// `sslcert`: the client's certificate.
    pub(super) client_cert: Option<PathBuf>,
    /// `sslkey`: the key of the client's certificate.
    pub(super) client_key: Option<PathBuf>,
}

/// `sslmode`, in the sense of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// TLS if the server insists.
    Allow,
    /// TLS if the server offers it.
    Prefer,
    /// TLS, without checking the certificate.
    Require,
    /// TLS, with a certificate signed by a known authority.
    VerifyCa,
    /// TLS, with a certificate signed by a known authority for the name of the host.
    VerifyFull,
}

/// TCP keepalive; `None`: Tableferry's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keepalives {
    /// No keepalive; the other fields have no effect.
    pub(super) off: bool,
    /// How long the connection is silent before the first probe.
    pub(super) idle: Option<Duration>,
    /// The time between two probes.
    pub(super) interval: Option<Duration>,
    /// The number of unanswered probes after which the connection counts as lost.
    pub(super) count: Option<u32>,
}

/// All problems of the URL, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub(super) struct UrlProblems(Vec<String>);

impl UrlProblems {
    /// Two hosts may have the same problem, which is reported once.
    fn push(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.0.contains(&sentence) {
            self.0.push(sentence);
        }
    }
}

const FORM: &str = "the URL must look like postgres://user:password@host:5432/name";

/// The meaning of an empty port in a list for libpq, regardless of `PGPORT`.
const DEFAULT_PORT: u16 = 5432;

pub(super) fn parse(text: &str) -> Result<DatabaseUrl, UrlProblems> {
    let mut problems = UrlProblems(Vec::new());
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"));
    if rest.is_none() {
        problems.push(FORM);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        problems.push(
            "the URL holds a space, a line break or the like: remove it, or write a space as %20",
        );
    }
    if text.contains('#') {
        problems.push("the URL holds a #, which must be written as %23");
    }
    // A text of another form would be split at the wrong places.
    let Some(parts) = rest.filter(|_| problems.0.is_empty()).map(Parts::split) else {
        return Err(problems);
    };
    if parts.are_doubtful() {
        problems.push(format!("{FORM}, where an @, / or ? in the user, the password or the name is written as %40, %2F or %3F"));
        return Err(problems);
    }
    let (hosts, ports) = split_authority(parts.authority, &mut problems);
    let (user, password) = parts
        .userinfo
        .split_once(':')
        .unwrap_or((parts.userinfo, ""));
    let mut text_of = |raw: &str, what: &str| decode(raw, what, &mut problems).unwrap_or_default();
    let mut draft = Draft {
        hosts: text_of(&hosts, "the host"),
        ports: text_of(&ports, "the port"),
        url: DatabaseUrl::default(),
    };
    draft.url.user = unless_empty(text_of(user, "the user"));
    draft.url.password = unless_empty(text_of(password, "the password")).map(SecretString::from);
    draft.url.database = unless_empty(text_of(parts.database, "the name of the database"));
    parameters::read(parts.query, &mut draft, &mut problems);
    let Draft {
        mut url,
        hosts,
        ports,
    } = draft;
    url.hosts = pair_hosts(&hosts, &ports, &mut problems);
    // With a root certificate libpq checks the server's certificate in every mode. The driver does
    // so only in the modes that are named for it.
    match url.tls.mode.filter(|_| url.tls.root_cert.is_some()) {
        Some(TlsMode::Require) => url.tls.mode = Some(TlsMode::VerifyCa),
        Some(TlsMode::Allow | TlsMode::Prefer) => {
            problems.push(
                "sslrootcert has no effect with sslmode=allow or prefer: use sslmode=verify-full",
            );
        }
        _ => {}
    }
    if problems.0.is_empty() {
        Ok(url)
    } else {
        Err(problems)
    }
}

/// The URL while it is read: hosts and ports are lists until both are known.
struct Draft {
    url: DatabaseUrl,
    hosts: String,
    ports: String,
}

/// The parts of a URI after its scheme, not decoded yet.
struct Parts<'a> {
    userinfo: &'a str,
    authority: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits where libpq does: the first `@` ends the user and the password, unless a `/` comes
    /// before.
    fn split(text: &'a str) -> Self {
        let (userinfo, rest) = match text.split_once('@') {
            Some((userinfo, rest)) if !userinfo.contains('/') => (userinfo, rest),
            _ => ("", text),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Self {
            userinfo,
            authority,
            database: path.strip_prefix('/').unwrap_or(path),
            query,
        }
    }

    /// Whether part of a password may have ended up as the host or the database, or parameters as
    /// the user. libpq would send them to a server.
    fn are_doubtful(&self) -> bool {
        let holds_parameters = self
            .userinfo
            .split_once('?')
            .is_some_and(|(_, rest)| rest.contains('='));
        holds_parameters || self.authority.contains('@') || self.database.contains('@')
    }
}

/// Splits `h1:5432,h2,[::1]:5433` into hosts and ports, each a comma-separated list.
fn split_authority(authority: &str, problems: &mut UrlProblems) -> (String, String) {
    let mut places = Vec::new();
    for place in authority.split(',') {
        let (host, port) = match place.strip_prefix('[') {
            None => place.split_once(':').unwrap_or((place, "")),
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) if !host.is_empty() => (host, ""),
                Some((host, port)) if !host.is_empty() && port.starts_with(':') => {
                    (host, &port[1..])
                }
                _ => {
                    problems.push("an IPv6 address must be written in brackets, as in [::1]:5432");
                    continue;
                }
            },
        };
        places.push((host, port));
    }
    let (hosts, ports): (Vec<_>, Vec<_>) = places.into_iter().unzip();
    (hosts.join(","), ports.join(","))
}

/// Assigns each host its own port, or the one for all.
fn pair_hosts(hosts: &str, ports: &str, problems: &mut UrlProblems) -> Vec<Host> {
    let hosts: Vec<&str> = hosts.split(',').collect();
    let ports: Vec<Option<u16>> = if ports.is_empty() {
        vec![None]
    } else {
        let mut number = |text: &str| match text.parse() {
            _ if text.is_empty() => Some(DEFAULT_PORT),
            Ok(port @ 1..) => Some(port),
            _ => {
                problems.push(
                    "port must be a whole number from 1 to 65535 (an IPv6 address goes in brackets, and an @, / or ? in the user or the \
                     password is written as %40, %2F or %3F)",
                );
                None
            }
        };
        ports.split(',').map(&mut number).collect()
    };
    if ports.len() != 1 && ports.len() != hosts.len() {
        problems.push("port must be one for all hosts or one for each");
    }
    if hosts.iter().any(|host| host.contains('@')) {
        problems.push("host must not hold an @: Tableferry does not support abstract Unix sockets");
    }
    let pairs = hosts.into_iter().zip(ports.into_iter().cycle());
    let host = |(name, port): (&str, _)| match name {
        "" => Host::Default { port },
        folder if folder.starts_with('/') => Host::Socket {
            folder: folder.into(),
            port,
        },
        name => Host::Tcp {
            name: name.to_owned(),
            port,
        },
    };
    pairs.map(host).collect()
}

/// Decodes percent-encoding. A `+` is a plus, unlike in forms.
fn decode(raw: &str, what: &str, problems: &mut UrlProblems) -> Option<String> {
    let is_code =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(is_code) {
        problems.push(format!(
            "{what} holds a % without two hexadecimal digits: write a % as %25"
        ));
        return None;
    }
    let text = percent_decode_str(raw)
        .decode_utf8()
        .ok()
        .filter(|text| !text.contains('\0'));
    if text.is_none() {
        problems.push(format!(
            "{what} must be UTF-8 without %00 once it is decoded"
        ));
    }
    text.map(Into::into)
}

fn unless_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
