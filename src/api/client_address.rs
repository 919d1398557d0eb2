//! The address that a request comes from: that of its connection, or the one that trusted proxies
//! give in `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Each proxy adds the address that it was called from at the end, so the list is read from its
//! end: as long as an address belongs to a trusted proxy, the one before it is believed. Entries
//! that a caller wrote before those are never used. An entry that cannot be parsed ends the search,
//! and so do two headers that disagree: most proxies write one of them and pass on the other
//! unchanged.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{Extensions, HeaderMap, HeaderName, header};

use crate::listener::Proxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from, if it was read from headers.
#[derive(Debug, Clone, Copy)]
struct ClientAddress(IpAddr);

/// Finds the address that a request comes from, for [`from_extensions`].
pub(super) fn find(proxies: &Proxies, mut request: Request) -> Request {
    if let Some(peer) = peer(request.extensions())
        && proxies.trust(peer)
    {
        let address = behind(peer, request.headers(), proxies);
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}

/// The address that a request comes from.
pub(super) fn from_extensions(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ClientAddress>()
        .map(|address| address.0)
        .or_else(|| peer(extensions))
}

/// The peer of the connection; with the PROXY protocol, the peer of the proxy's connection.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip())
}

/// The nearest address that is not a trusted proxy's, according to the proxies.
fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> IpAddr {
    let lines = |name: HeaderName| {
        headers
            .get_all(name)
            .into_iter()
            .map(|line| line.as_bytes())
            .collect::<Vec<_>>()
    };
    let (standard, usual) = (lines(header::FORWARDED), lines(X_FORWARDED_FOR));
    let by_standard = || {
        nearest(
            peer,
            standard
                .iter()
                .rev()
                .flat_map(|line| forwarded_from_end(line)),
            proxies,
        )
    };
    let by_custom = || {
        nearest(
            peer,
            usual
                .iter()
                .rev()
                .flat_map(|line| x_forwarded_for_from_end(line)),
            proxies,
        )
    };
    match (standard.is_empty(), usual.is_empty()) {
        (true, true) => peer,
        (false, true) => by_standard(),
        (true, false) => by_custom(),
        (false, false) => Some(by_standard())
            .filter(|address| *address == by_custom())
            .unwrap_or(peer),
    }
}

/// The first hop from the end that is not a trusted proxy, or the last one before an entry that
/// cannot be parsed.
fn nearest(
    peer: IpAddr,
    hops_from_end: impl Iterator<Item = Option<IpAddr>>,
    proxies: &Proxies,
) -> IpAddr {
    let mut nearest = peer;
    for hop in hops_from_end {
        match hop {
            Some(address) if proxies.trust(nearest) => nearest = address,
            _ => break,
        }
    }
    nearest
}

/// The addresses of a line of `X-Forwarded-For`, the last first; `None` for an entry that is not an
/// address.
fn x_forwarded_for_from_end(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    line.rsplit(|byte| *byte == b',')
        .map(|hop| address(std::str::from_utf8(hop).ok()?.trim()))
}

/// The addresses of a line of `Forwarded`, the last first; `None` for an element without one. A
/// malformed line is a single such element, because the caller could choose where it is split.
fn forwarded_from_end(line: &[u8]) -> Vec<Option<IpAddr>> {
    let elements = std::str::from_utf8(line).ok().and_then(read_forwarded);
    let mut hops = elements.unwrap_or_else(|| vec![None]);
    hops.reverse();
    hops
}

/// The `for=` of each element; `None` if the line is malformed.
fn read_forwarded(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = Vec::new();
    let mut rest = line;
    loop {
        let mut hop = None;
        let mut named = false;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            if !rest.starts_with([',', ';']) && !rest.is_empty() {
                let (name, after) = rest.split_once('=')?;
                if name.is_empty() || !name.bytes().all(is_token) {
                    return None;
                }
                let value;
                (value, rest) = read_value(after)?;
                if name.eq_ignore_ascii_case("for") {
                    // Twice in one element is malformed; which one is meant would be a guess.
                    if std::mem::replace(&mut named, true) {
                        return None;
                    }
                    hop = address(&value);
                }
                rest = rest.trim_start_matches([' ', '\t']);
            }
            match rest.strip_prefix(';') {
                Some(more) => rest = more,
                None => break,
            }
        }
        hops.push(hop);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Some(hops),
            None => return None,
        }
    }
}

/// A token or a quoted string, and what follows it.
fn read_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .bytes()
            .position(|byte| !is_token(byte))
            .unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].into(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.into(), &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The characters of a token (RFC 9110).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An address, with or without a port. `unknown` and obfuscated names (`_hidden`) are not
/// addresses.
fn address(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(v6) => {
            let (address, port) = v6.split_once(']')?;
            let port_is_good = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| port_is_good)?)
        }
        None => match text.split_once(':') {
            Some((v4, port)) if is_port(port) => IpAddr::V4(v4.parse().ok()?),
            _ => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// A port, or a made-up name in its place (RFC 7239).
fn is_port(text: &str) -> bool {
    let made_up = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    text.parse::<u16>().is_ok() || text.strip_prefix('_').is_some_and(made_up)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn found(headers: &[(HeaderName, &str)]) -> String {
        let proxies = Proxies::parse("10.0.0.0/8,fd00::/8", false).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.clone(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        behind(PROXY.parse().unwrap(), &map, &proxies).to_string()
    }

    #[test]
    fn the_nearest_that_is_no_proxy_is_the_caller() {
        for (line, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:51000", "203.0.113.7"),
            ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
            (
                "198.51.100.1,203.0.113.7 ,10.0.0.9, 10.0.0.8",
                "203.0.113.7",
            ),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("10.0.0.9", "10.0.0.9"),
            // As far as it can be read.
            ("203.0.113.7, unknown, 10.0.0.9", "10.0.0.9"),
            ("203.0.113.7, 10.0.0.9, ", PROXY),
            ("203.0.113.7\u{e9}", PROXY),
            ("'; DROP TABLE", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(found(&[(X_FORWARDED_FOR, line)]), address, "{line}");
        }
        for (line, address) in [
            ("for=203.0.113.7", "203.0.113.7"),
            (
                "For=\"203.0.113.7:51000\";proto=https;by=10.0.0.1",
                "203.0.113.7",
            ),
            ("proto=https ; for=\"[2001:db8::7]\"", "2001:db8::7"),
            (
                "for=198.51.100.1, for=203.0.113.7;host=\"a,b;for=1.2.3.4\"",
                "203.0.113.7",
            ),
            ("for=203.0.113.7, for=\"10.0.0.9:_x\"", "203.0.113.7"),
            ("for=\"\\203.0.113.7\"", "203.0.113.7"),
            ("for=203.0.113.7, for=_hidden", PROXY),
            ("for=203.0.113.7, for=unknown", PROXY),
            ("for=203.0.113.7, proto=https", PROXY),
            ("for=203.0.113.7;for=198.51.100.1", PROXY),
            // Not quoted as it must be.
            ("for=203.0.113.7:51000", PROXY),
            ("for=[2001:db8::7]", PROXY),
            ("203.0.113.7", PROXY),
            ("for = 203.0.113.7", PROXY),
            // A caller's quote must not swallow what the proxy adds.
            ("for=\", for=203.0.113.7", PROXY),
            ("for=\"198.51.100.1, for=203.0.113.7", PROXY),
        ] {
            assert_eq!(found(&[(header::FORWARDED, line)]), address, "{line}");
        }
    }

    #[test]
    fn lines_are_one_list_and_two_headers_must_agree() {
        let (standard, usual) = (header::FORWARDED, X_FORWARDED_FOR);
        for (headers, address) in [
            (
                vec![
                    (usual.clone(), "198.51.100.1"),
                    (usual.clone(), "203.0.113.7"),
                ],
                "203.0.113.7",
            ),
            (
                vec![(usual.clone(), "203.0.113.7"), (usual.clone(), "10.0.0.9")],
                "203.0.113.7",
            ),
            (
                vec![
                    (standard.clone(), "for=\""),
                    (standard.clone(), "for=203.0.113.7"),
                ],
                "203.0.113.7",
            ),
            (
                vec![
                    (standard.clone(), "for=203.0.113.7"),
                    (usual.clone(), "198.51.100.1, 203.0.113.7"),
                ],
                "203.0.113.7",
            ),
            (
                vec![
                    (standard.clone(), "for=198.51.100.1"),
                    (usual.clone(), "203.0.113.7"),
                ],
                PROXY,
            ),
            (vec![(standard, "garbage"), (usual, "203.0.113.7")], PROXY),
            (vec![], PROXY),
        ] {
            assert_eq!(found(&headers), address, "{headers:?}");
        }
    }

    /// Text of the characters that these headers are made of.
    fn made_up(random: &mut fastrand::Rng) -> String {
        const PIECES: [&str; 16] = [
            "for=",
            "FOR=",
            "\"",
            "\\",
            ",",
            ";",
            "=",
            " ",
            "[",
            "]",
            ":",
            "10.0.0.9",
            "203.0.113.99",
            "::1",
            "_x",
            "unknown",
        ];
        (0..random.usize(..12))
            .map(|_| PIECES[random.usize(..PIECES.len())])
            .collect()
    }

    #[test]
    fn whatever_a_caller_writes_the_proxy_has_the_last_word() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..50_000 {
            let theirs = made_up(&mut random);
            // The proxy adds to the caller's line, or adds a line.
            for (name, ours) in [
                (X_FORWARDED_FOR, "203.0.113.7"),
                (header::FORWARDED, "for=203.0.113.7"),
            ] {
                let joined = format!("{theirs}, {ours}");
                let address = found(&[(name.clone(), &joined)]);
                assert!(
                    ["203.0.113.7", PROXY].contains(&address.as_str()),
                    "{address}: {joined}"
                );
                assert_eq!(
                    found(&[(name.clone(), &theirs), (name.clone(), ours)]),
                    "203.0.113.7",
                    "{theirs}"
                );
                // A proxy that writes one header and passes on the other.
                let other = if name == X_FORWARDED_FOR {
                    header::FORWARDED
                } else {
                    X_FORWARDED_FOR
                };
                let address = found(&[(other, &theirs), (name, ours)]);
                assert!(
                    ["203.0.113.7", PROXY].contains(&address.as_str()),
                    "{address}: {theirs}"
                );
            }
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..5000 {
            let theirs = made_up(&mut random);
            let mut request = Request::new(axum::body::Body::empty());
            let peer: SocketAddr = "192.0.2.1:5".parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
            for name in [X_FORWARDED_FOR, header::FORWARDED] {
                request
                    .headers_mut()
                    .append(name, HeaderValue::from_str(&theirs).unwrap());
            }
            let request = find(&Proxies::parse("10.0.0.0/8", false).unwrap(), request);
            assert_eq!(
                from_extensions(request.extensions()),
                Some(peer.ip()),
                "{theirs}"
            );
        }
    }
}
