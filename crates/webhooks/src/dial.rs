//! Connects to a receiver: its name is looked up once, the addresses that the policy permits are
//! tried, and TLS is spoken if the URL says so. Each phase is told apart when it fails or takes too
//! long.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::failure::{Forbidden, Phase, SendError};
use super::names::Names;
use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::url::{UrlPolicy, WebhookUrl};

/// How long one address is waited for before the next one is tried beside it (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(300);

/// A stream of bytes.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// TLS as receivers get it: the machine's authorities, versions 1.2 and 1.3, and HTTP/1.1 alone.
pub(super) fn tls_of_the_machine() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}

/// Connects before `deadline`.
pub(super) async fn dial(
    url: &WebhookUrl,
    policy: &UrlPolicy,
    names: &dyn Names,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Box<dyn Bytes>, SendError> {
    let in_time = |phase: Phase| move |_| SendError::TimedOut(phase);
    let addresses = timeout_at(deadline, addresses(url, policy, names))
        .await
        .map_err(in_time(Phase::Name))??;
    let stream = timeout_at(deadline, connect(&addresses, url.port()))
        .await
        .map_err(in_time(Phase::Connect))?
        .map_err(SendError::Connection)?;
    // Small messages go out at once; whether that can be set changes nothing else.
    let _ = stream.set_nodelay(true);
    if !url.is_https() {
        return Ok(Box::new(stream));
    }
    let unnamed = |_| {
        SendError::Url(Invalid::new(
            "names a host for which there can be no certificate",
        ))
    };
    let name = match (url.name(), url.address()) {
        (Some(name), _) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(unnamed)?,
        (None, address) => {
            ServerName::from(address.ok_or_else(|| SendError::Url(Invalid::new("names no host")))?)
        }
    };
    let securing = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let secured = timeout_at(deadline, securing)
        .await
        .map_err(in_time(Phase::Tls))?
        .map_err(SendError::Tls)?;
    Ok(Box::new(secured))
}

/// The addresses that may be reached. Whatever the name says a moment later, only these are.
async fn addresses(
    url: &WebhookUrl,
    policy: &UrlPolicy,
    names: &dyn Names,
) -> Result<Vec<IpAddr>, SendError> {
    // Addresses in URLs were held against the policy with the URL.
    let Some(name) = url.name() else {
        return Ok(url.address().into_iter().collect());
    };
    let found = names
        .look_up(name.to_owned())
        .await
        .map_err(SendError::NameNotFound)?;
    if found.is_empty() {
        return Err(SendError::NameNotFound(io::Error::other(
            "it has no address",
        )));
    }
    let allowed: Vec<_> = found
        .into_iter()
        .filter(|ip| policy.permits(name, *ip))
        .collect();
    if allowed.is_empty() {
        Err(SendError::Forbidden(Forbidden::Address))
    } else {
        Ok(allowed)
    }
}

/// The first of these addresses that takes a connection.
async fn connect(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut tried = FuturesUnordered::new();
    let mut last = io::Error::other("there is no address");
    loop {
        match waiting.next() {
            Some(address) => tried.push(TcpStream::connect(SocketAddr::new(*address, port))),
            None if tried.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(result) = tried.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// A stream on which writing never fails: a receiver may answer and hang up before it has read
/// everything, and then its answer is what counts. If there is none, reading tells of it.
pub(super) struct ReadToTheEnd<T> {
    stream: T,
    broken: bool,
}

impl<T> ReadToTheEnd<T> {
    pub(super) fn new(stream: T) -> Self {
        Self {
            stream,
            broken: false,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadToTheEnd<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadToTheEnd<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.broken {
            match Pin::new(&mut self.stream).poll_write(cx, buf) {
                Poll::Ready(Err(_)) => self.broken = true,
                other => return other,
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx).map(|flushed| {
            self.broken = flushed.is_err();
            Ok(())
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
