//! Connects to a receiver: looks up its name once, tries the addresses that the policy permits, and
//! does the TLS handshake if the URL is https. Each phase has its own error and timeout.

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

use super::failure::{AttemptPhase, Forbidden, SendError};
use super::names::Names;
use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::url::{UrlPolicy, WebhookUrl};

/// How long to wait for one address before the next one is tried in parallel (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(300);

pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// TLS 1.2 and 1.3 with the system's certificate authorities.
pub(super) fn system_tls() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}

pub(super) async fn dial(
    url: &WebhookUrl,
    policy: &UrlPolicy,
    names: &dyn Names,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Box<dyn ByteStream>, SendError> {
    let in_time = |phase: AttemptPhase| move |_| SendError::TimedOut(phase);
    let addresses = timeout_at(deadline, addresses(url, policy, names))
        .await
        .map_err(in_time(AttemptPhase::Name))??;
    let stream = timeout_at(deadline, connect(&addresses, url.port()))
        .await
        .map_err(in_time(AttemptPhase::Connect))?
        .map_err(SendError::Connection)?;
    // Sends small messages at once. A failure changes nothing else.
    let _ = stream.set_nodelay(true);
    if !url.is_https() {
        return Ok(Box::new(stream));
    }
    let unnamed = |_| {
        SendError::Url(Invalid::new(
            "has a host name that cannot be in a certificate",
        ))
    };
    let name = match (url.name(), url.address()) {
        (Some(name), _) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(unnamed)?,
        (None, address) => {
            ServerName::from(address.ok_or_else(|| SendError::Url(Invalid::new("has no host")))?)
        }
    };
    let securing = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let secured = timeout_at(deadline, securing)
        .await
        .map_err(in_time(AttemptPhase::Tls))?
        .map_err(SendError::Tls)?;
    Ok(Box::new(secured))
}

/// The permitted addresses. Only these are connected to, whatever the name resolves to later.
async fn addresses(
    url: &WebhookUrl,
    policy: &UrlPolicy,
    names: &dyn Names,
) -> Result<Vec<IpAddr>, SendError> {
    // An address in the URL was checked against the policy together with the URL.
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

/// Connects to the first of these addresses that accepts.
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

/// A stream on which writing never fails. A receiver may respond and close the connection before it
/// has read the whole request, and then its response counts. If there is none, reading fails.
pub(super) struct IgnoreWriteErrors<T> {
    stream: T,
    broken: bool,
}

impl<T> IgnoreWriteErrors<T> {
    pub(super) fn new(stream: T) -> Self {
        Self {
            stream,
            broken: false,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for IgnoreWriteErrors<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for IgnoreWriteErrors<T> {
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
