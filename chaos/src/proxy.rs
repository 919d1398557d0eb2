//! A TCP proxy that can refuse, cut, delay, and hold back what passes, in one or both directions.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::plan::LinkTrouble;

/// How the link stands; each cut is a new number, at which open connections are reset.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    trouble: Option<LinkTrouble>,
    cuts: u32,
}

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy on a free port of loopback.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::default());
        let accepting = tokio::spawn(accept(listener, upstream, seen));
        Ok(Self { address, weather, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes this trouble from now on; a cut is over at once.
    pub fn make(&self, trouble: LinkTrouble) {
        self.weather.send_modify(|weather| {
            let resets = matches!(trouble, LinkTrouble::Refuse | LinkTrouble::Cut);
            weather.cuts += u32::from(resets);
            weather.trouble = (trouble != LinkTrouble::Cut).then_some(trouble);
        });
    }

    /// Ends the trouble. What was held back arrives now.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| weather.trouble = None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.weather.send_modify(|weather| weather.cuts += 1);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, weather: watch::Receiver<Weather>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(carry(client, upstream, weather.clone()));
    }
}

async fn carry(mut client: TcpStream, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let now = *weather.borrow_and_update();
    if now.trouble == Some(LinkTrouble::Refuse) {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else { return reset(&client) };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let was_cut = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let requests = pump(client_in, server_out, weather.clone(), false);
        let answers = pump(server_in, client_out, weather.clone(), true);
        let cut = async { while weather.changed().await.is_ok() && weather.borrow_and_update().cuts == now.cuts {} };
        tokio::select! {
            _ = async { tokio::join!(requests, answers) } => false,
            () = cut => true,
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

/// Passes on what comes in one direction until its end.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut weather: watch::Receiver<Weather>, answers: bool) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        let holds = |trouble| matches!(trouble, Some(LinkTrouble::Stall)) || (answers && matches!(trouble, Some(LinkTrouble::Deaf)));
        let trouble = weather.borrow_and_update().trouble;
        if let Some(LinkTrouble::Delay(ms)) = trouble {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        while holds(weather.borrow_and_update().trouble) {
            if weather.changed().await.is_err() {
                return;
            }
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// The connection is reset, not closed in order, when this stream is dropped next.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"x").await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await.map(drop)
    }

    #[tokio::test]
    async fn it_passes_cuts_refuses_and_holds_back() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.make(LinkTrouble::Cut);
        ask(&mut stream).await.unwrap_err();

        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        for held in [LinkTrouble::Stall, LinkTrouble::Deaf] {
            proxy.make(held);
            assert!(tokio::time::timeout(Duration::from_millis(200), ask(&mut stream)).await.is_err());
            proxy.heal();
            // The answer to the question before arrives late, but it arrives.
            stream.read_exact(&mut [0]).await.unwrap();
        }
        proxy.make(LinkTrouble::Refuse);
        ask(&mut stream).await.unwrap_err();
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut refused).await.unwrap_err();
    }
}
