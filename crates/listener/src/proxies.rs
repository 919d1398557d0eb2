//! The proxies in front of the service: which are trusted to name the caller's address, and whether
//! they use the PROXY protocol for it.

use std::net::IpAddr;

use ipnet::IpNet;

/// The trusted proxies. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `TABLEFERRY_TRUSTED_PROXIES`: the addresses they connect from.
    trusted: Vec<IpNet>,
    /// `TABLEFERRY_PROXY_PROTOCOL`: whether each of their connections begins with a PROXY protocol
    /// header.
    speak_proxy_protocol: bool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxiesError {
    #[error(
        "must be a comma-separated list of addresses and networks, for example 10.0.3.7,10.1.0.0/16,fd00:1234::/64"
    )]
    List,
    /// The list holds a network of all addresses, so every caller could claim any address.
    #[error(
        "must not contain a network of all addresses: every caller could then claim any address"
    )]
    Everybody,
}

impl Proxies {
    /// Parses a comma-separated list of addresses and networks.
    pub fn parse(list: &str, speak_proxy_protocol: bool) -> Result<Self, ProxiesError> {
        let read = |entry: &str| {
            let network = entry.parse::<IpNet>().or_else(|_| {
                entry
                    .parse()
                    .map(|address: IpAddr| IpNet::from(address.to_canonical()))
            });
            // Addresses are compared in their IPv4 form, so a network of IPv4-mapped addresses
            // would never match.
            network
                .map(|network| network.trunc())
                .ok()
                .filter(|network| !is_mapped(network))
                .ok_or(ProxiesError::List)
        };
        let trusted: Vec<_> = list
            .split(',')
            .map(|entry| read(entry.trim()))
            .collect::<Result<_, _>>()?;
        if trusted.iter().any(|network| network.prefix_len() == 0) {
            return Err(ProxiesError::Everybody);
        }
        Ok(Self {
            trusted,
            speak_proxy_protocol,
        })
    }

    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Whether a connection from this address must begin with a PROXY protocol header. A header
    /// from any other address is refused as malformed HTTP.
    #[must_use]
    pub fn expect_header(&self, peer: IpAddr) -> bool {
        self.speak_proxy_protocol && self.trust(peer)
    }
}

/// Whether a network is within `::ffff:0:0/96` (IPv4 written as IPv6).
fn is_mapped(network: &IpNet) -> bool {
    matches!(network, IpNet::V6(v6) if v6.network().to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_trusted() {
        let proxies = Proxies::parse("10.0.3.7, 10.1.2.3/16,fd00:1234::/64,::1", true).unwrap();
        for (address, trusted) in [
            ("10.0.3.7", true),
            ("::ffff:10.0.3.7", true),
            ("10.0.3.8", false),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("fd00:1234::9", true),
            ("fd00:1234:0:1::9", false),
            ("::1", true),
            ("127.0.0.1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                (proxies.trust(address), proxies.expect_header(address)),
                (trusted, trusted),
                "{address}"
            );
        }
        assert!(
            !Proxies::parse("10.0.3.7", false)
                .unwrap()
                .expect_header("10.0.3.7".parse().unwrap())
        );
        assert!(!Proxies::default().trust("10.0.3.7".parse().unwrap()));
    }

    #[test]
    fn what_is_no_list_of_proxies_is_refused() {
        for text in [
            "::ffff:10.0.0.0/104",
            "",
            "nginx",
            "10.0.0.0/33",
            "10.0.3.7;10.0.3.8",
            "10.0.3.7,",
            "10.0.3.7:80",
        ] {
            assert_eq!(
                Proxies::parse(text, false),
                Err(ProxiesError::List),
                "{text}"
            );
        }
        for text in ["0.0.0.0/0", "10.0.3.7,::/0"] {
            assert_eq!(
                Proxies::parse(text, false),
                Err(ProxiesError::Everybody),
                "{text}"
            );
        }
    }
}
