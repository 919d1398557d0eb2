//! The operator's policy for receivers: names, networks and ports, from three settings.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;
use url::Host;

use crate::invalid::Invalid;
use crate::webhook::address::is_public;

/// The receivers that the operator allows. Default: public addresses with a name, by https. Cheap
/// to clone.
///
/// The same three questions are asked when a URL is accepted and when it is connected to: is its
/// name trusted, is its address trusted, and if neither, is the address public?
#[derive(Debug, Clone, Default)]
pub struct UrlPolicy(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    allow_private: bool,
    hosts: HostList,
    ports: Option<PortList>,
}

impl UrlPolicy {
    /// Allows everything, or these hosts besides public ones; these ports, or the default ones.
    #[must_use]
    pub fn new(allow_private: bool, hosts: HostList, ports: Option<PortList>) -> Self {
        Self(Arc::new(Rules {
            allow_private,
            hosts,
            ports,
        }))
    }

    /// Allows every receiver at every port.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(true, HostList::default(), None)
    }

    /// This policy with every address allowed.
    #[must_use]
    pub fn allowing_private(&self) -> Self {
        Self::new(true, self.0.hosts.clone(), self.0.ports.clone())
    }

    /// Whether this name is trusted: it may resolve to any address and be reached by plain http.
    #[must_use]
    pub fn trusts_name(&self, name: &str) -> bool {
        self.0.allow_private || self.0.hosts.has_name(name)
    }

    /// Whether this address is trusted: it may be reached and be written in a URL.
    #[must_use]
    pub fn trusts_address(&self, address: IpAddr) -> bool {
        self.0.allow_private || self.0.hosts.has_address(address)
    }

    /// Whether a receiver with this name may be connected to at this address.
    #[must_use]
    pub fn permits(&self, name: &str, address: IpAddr) -> bool {
        self.trusts_name(name) || self.trusts_address(address) || is_public(address)
    }

    /// Fails if the port is not allowed for the scheme; the error names the allowed ones.
    pub fn check_port(&self, port: u16, plain_http: bool) -> Result<(), Invalid> {
        let allowed = match (&self.0.ports, port) {
            (_, 0) => false,
            (Some(ports), port) => ports.contains(port),
            (None, _) if self.0.allow_private => true,
            (None, 443 | 8443) => true,
            (None, port) => plain_http && port == 80,
        };
        match &self.0.ports {
            _ if allowed => Ok(()),
            Some(ports) => Err(Invalid::new(format!(
                "must use a port that the operator allows: {ports}"
            ))),
            None if self.0.allow_private => Err(Invalid::new("must use a port from 1 to 65535")),
            None => Err(Invalid::new(
                "must use port 443 or 8443 (the operator may allow others with TABLEFERRY_WEBHOOK_PORTS)",
            )),
        }
    }
}

/// Names, addresses and networks, such as `hooks.corp.example, *.internal.example, 10.20.0.0/16`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostList {
    names: Vec<String>,
    /// Each begins with a dot.
    suffixes: Vec<String>,
    networks: Vec<IpNet>,
}

impl HostList {
    /// Reads a comma-separated list. Errors name the entry's number and do not repeat it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut list = Self::default();
        for (number, entry) in entries(text) {
            list.add(entry).ok_or_else(|| {
                Invalid::new(format!(
                    "must be names (hooks.corp.example, *.internal.example), IP addresses and networks (10.20.0.0/16 with zeros \
                     after the prefix, fd00:1234::/32), separated by commas; entry {number} is none of them"
                ))
            })?;
        }
        Ok(list)
    }

    fn add(&mut self, entry: &str) -> Option<()> {
        let bare = entry
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(entry);
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.networks.push(address.to_canonical().into());
        } else if entry.contains('/') {
            let network: IpNet = entry.parse().ok()?;
            // 10.20.1.5/8 is probably a mistake, and an IPv4-mapped IPv6 network would match
            // nothing.
            let plain = network.network() == network.addr()
                && network.addr().to_canonical() == network.addr();
            self.networks.push(Some(network).filter(|_| plain)?);
        } else if let Some(parent) = entry.strip_prefix("*.") {
            self.suffixes.push(format!(".{}", read_name(parent)?));
        } else {
            self.names.push(read_name(entry)?);
        }
        Some(())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn has_name(&self, name: &str) -> bool {
        let name = without_last_dot(name);
        let below = |suffix: &String| name.len() > suffix.len() && name.ends_with(suffix);
        self.names.iter().any(|own| own == name) || self.suffixes.iter().any(below)
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// A name as in parsed URLs: ASCII, lower case, without the last dot.
fn read_name(text: &str) -> Option<String> {
    match Host::parse(text) {
        Ok(Host::Domain(name)) => {
            Some(without_last_dot(&name).to_owned()).filter(|name| is_host_name(name))
        }
        _ => None,
    }
}

/// A trailing dot makes no difference.
#[must_use]
pub fn without_last_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether this can be a host name: labels of letters, digits, `-` and `_`, with the lengths of
/// DNS.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Ports and port ranges, such as `443, 8443, 9000-9100`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortList(Vec<RangeInclusive<u16>>);

impl PortList {
    /// Reads a comma-separated list of at least one port or port range.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut ranges = Vec::new();
        for (number, entry) in entries(text) {
            let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
            let ends = first.trim().parse().ok().zip(last.trim().parse().ok());
            let ends = ends.filter(|(first, last)| (1..=*last).contains(first));
            let wrong = || {
                Invalid::new(format!(
                    "must be ports and ranges such as 443,8443,9000-9100; entry {number} is neither"
                ))
            };
            let (first, last): (u16, u16) = ends.ok_or_else(wrong)?;
            ranges.push(first..=last);
        }
        if ranges.is_empty() {
            return Err(Invalid::new(
                "must name at least one port, such as 443,8443,9000-9100",
            ));
        }
        Ok(Self(ranges))
    }

    fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

impl fmt::Display for PortList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// The entries of a comma-separated list, counted from 1; a trailing comma is allowed.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let entries = text
        .split(',')
        .map(str::trim)
        .enumerate()
        .map(|(index, entry)| (index + 1, entry));
    entries.filter(|(_, entry)| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_networks_and_what_they_allow() {
        let hosts = HostList::parse(
            "Hooks.Corp.Example., *.internal.example,10.20.0.0/16 , fd00:1234::/32, 192.168.7.7, [::1], bücher.example,",
        );
        let policy = UrlPolicy::new(false, hosts.unwrap(), None);
        for name in [
            "hooks.corp.example",
            "hooks.corp.example.",
            "a.internal.example",
            "a.b.internal.example.",
            "xn--bcher-kva.example",
        ] {
            assert!(policy.trusts_name(name), "{name}");
            assert!(policy.permits(name, address("127.0.0.1")), "{name}");
        }
        for name in [
            "corp.example",
            "x.hooks.corp.example",
            "internal.example",
            "notinternal.example",
            "internal.example.evil.example",
            "",
        ] {
            assert!(!policy.trusts_name(name), "{name}");
            assert!(!policy.permits(name, address("127.0.0.1")), "{name}");
            assert!(
                policy.permits(name, address("10.20.255.1")),
                "{name}: an allowed network"
            );
            assert!(
                policy.permits(name, address("8.8.8.8")),
                "{name}: a public address"
            );
        }
        for (text, trusted) in [
            ("10.20.0.1", true),
            ("::ffff:10.20.0.1", true),
            ("10.21.0.1", false),
            ("fd00:1234:ffff::1", true),
            ("fd00:1235::1", false),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
            ("::1", true),
            ("8.8.8.8", false),
        ] {
            assert_eq!(policy.trusts_address(address(text)), trusted, "{text}");
        }
    }

    #[test]
    fn entries_that_are_neither_are_refused_and_not_repeated() {
        for bad in [
            "https://hooks.example",
            "hooks.example:8080",
            "hooks.example/path",
            "*",
            "*.",
            "a.*.example",
            "**.example",
            "10.20.1.5/16",
            "10.20.0.0/33",
            "::ffff:10.20.0.0/112",
            "10.20",
            "0x0a.1.2.3",
            "010.1.2.3",
            "a..example",
            ".example",
            "user@example",
            "two names",
        ] {
            let error = HostList::parse(&format!("good.example, {bad}"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("entry 2") && !error.contains("good.example"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn ports() {
        let ports = PortList::parse("443, 9000-9002,8443").unwrap();
        assert_eq!(ports.to_string(), "443, 9000-9002, 8443");
        for (port, allowed) in [
            (443, true),
            (9000, true),
            (9002, true),
            (9003, false),
            (80, false),
            (0, false),
        ] {
            assert_eq!(ports.contains(port), allowed, "{port}");
        }
        for bad in ["", ",", "0", "65536", "9-8", "https", "1-2-3", "-1", "1-"] {
            assert!(PortList::parse(bad).is_err(), "{bad}");
        }
        let usual = UrlPolicy::default();
        assert!(
            usual.check_port(443, false).is_ok()
                && usual.check_port(8443, false).is_ok()
                && usual.check_port(80, true).is_ok()
        );
        assert!(usual.check_port(80, false).is_err() && usual.check_port(8080, true).is_err());
        let everything = UrlPolicy::everything();
        assert!(everything.check_port(9, true).is_ok() && everything.check_port(0, true).is_err());
        let narrowed = UrlPolicy::new(true, HostList::default(), Some(ports));
        assert!(narrowed.check_port(9001, true).is_ok() && narrowed.check_port(80, true).is_err());
    }
}
