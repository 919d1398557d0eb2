//! Reads the PROXY protocol header (versions 1 and 2) at the beginning of a connection, in which a
//! trusted proxy gives the client's address.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, with its end of line.
const LONGEST_V1: usize = 107;

/// The longest variable part of version 2: 36 bytes of addresses, then extensions such as host
/// names and certificate subjects. Far more than load balancers send.
const LONGEST_REST_V2: u16 = 4096;

/// Reads the header and nothing after it. Returns the client's address; `None` if the proxy
/// connects for itself, as in health checks.
///
/// The error is `InvalidData` if the connection does not begin with a header; other kinds if it
/// breaks off.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    // Both versions are longer than this.
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(SIGNATURE.len() + 4, 0);
        stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let rest = u16::from_be_bytes([header[14], header[15]]);
        if rest > LONGEST_REST_V2 {
            return Err(malformed());
        }
        let fixed = header.len();
        header.resize(fixed + usize::from(rest), 0);
        stream.read_exact(&mut header[fixed..]).await?;
    } else if header.starts_with(b"PROXY ") {
        // A line of unknown length, so byte by byte: what follows is the client's.
        while !header.ends_with(b"\r\n") {
            if header.len() >= LONGEST_V1 {
                return Err(malformed());
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(malformed());
    }
    parse(&header)
}

/// The client's address in a complete header.
fn parse(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    match ProxyHeader::parse(header, ParseConfig::default()) {
        Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
            Some(address) if address.protocol != Protocol::Stream => Err(malformed()),
            address => Ok(address.map(|address| address.source)),
        },
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use proxy_header::ProxiedAddress;

    use super::*;

    /// What is read of these bytes, and how many are left.
    async fn read_of(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
        let mut stream = bytes;
        let read = read(&mut stream).await;
        (read, stream.len())
    }

    fn address(random: &mut fastrand::Rng, v6: bool) -> SocketAddr {
        let port = random.u16(..);
        if v6 {
            (random.u128(..).to_be_bytes(), port).into()
        } else {
            (random.u32(..).to_be_bytes(), port).into()
        }
    }

    #[tokio::test]
    async fn every_header_is_read_to_its_end_and_no_further() {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..2000 {
            let v6 = round % 2 == 0;
            let source = address(&mut random, v6);
            let header =
                ProxyHeader::with_address(ProxiedAddress::stream(source, address(&mut random, v6)));
            let mut bytes = Vec::new();
            if round % 4 < 2 {
                header.encode_v1(&mut bytes).unwrap();
            } else {
                header.encode_v2(&mut bytes).unwrap();
            }
            let length = bytes.len();
            bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
            let (read, left) = read_of(&bytes).await;
            assert_eq!(
                (read.unwrap(), left),
                (Some(source), 16),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
            // Cut off anywhere, it is no header.
            let cut = random.usize(..length);
            assert!(
                read_of(&bytes[..cut]).await.0.is_err(),
                "{cut}: {:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[tokio::test]
    async fn whatever_comes_is_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..20_000 {
            let mut bytes = match random.u8(..3) {
                0 => b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 8080\r\nrest".to_vec(),
                1 => {
                    let mut bytes = Vec::new();
                    let source = address(&mut random, true);
                    ProxyHeader::with_address(ProxiedAddress::stream(source, source))
                        .encode_v2(&mut bytes)
                        .unwrap();
                    bytes
                }
                _ => (0..random.usize(..200)).map(|_| random.u8(..)).collect(),
            };
            for _ in 0..random.u8(..4) {
                let at = random.usize(..=bytes.len());
                match random.u8(..3) {
                    0 => bytes.insert(at, random.u8(..)),
                    1 => bytes.truncate(at),
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = random.u8(..);
                        }
                    }
                }
            }
            let (read, left) = read_of(&bytes).await;
            assert!(read.is_err() || left < bytes.len());
        }
    }

    #[tokio::test]
    async fn a_proxy_may_speak_for_itself() {
        let mut local = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut local).unwrap();
        for header in [
            &local[..],
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        ] {
            let mut bytes = header.to_vec();
            bytes.extend_from_slice(b"GET");
            let (read, left) = read_of(&bytes).await;
            assert_eq!(
                (read.unwrap(), left),
                (None, 3),
                "{}",
                header.escape_ascii()
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = [&SIGNATURE[..], b"\x21\x11\xff\xff", &[0; 70_000]].concat();
        let datagram = [&SIGNATURE[..], b"\x21\x12\x00\x0c", &[0; 12]].concat();
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
        for bytes in [
            &b"GET /livez HTTP/1.1\r\nhost: t\r\n\r\n"[..],
            b"PROXY TCP4 203.0.113.7\r\n",
            b"PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n",
            b"PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n",
            b"proxy unknown\r\n",
            b"",
            &long,
            &datagram,
            &endless,
        ] {
            assert!(
                read_of(bytes).await.0.is_err(),
                "{}",
                bytes[..bytes.len().min(60)].escape_ascii()
            );
        }
    }
}
