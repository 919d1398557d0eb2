//! A TCP relay in front of a server, whose connections can go silent, as after a firewall dropped
//! the flow or a host was lost.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Relay {
    /// The server's URL, through the relay.
    pub url: String,
    /// Connections of an earlier generation are silent.
    generation: Arc<watch::Sender<u64>>,
}

impl Relay {
    /// A relay in front of the server at this URL.
    pub async fn before(server_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut url = url::Url::parse(server_url).unwrap();
        let server_address: SocketAddr =
            format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
                .parse()
                .unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let generation = Arc::new(watch::channel(0).0);
        let watched = Arc::clone(&generation);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server_address).await else {
                    continue;
                };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, watched.subscribe()));
                tokio::spawn(carry(from_server, to_client, watched.subscribe()));
            }
        });
        Self {
            url: url.into(),
            generation,
        }
    }

    /// From now on the open connections carry nothing in either direction and stay open. New ones
    /// work.
    pub fn silence(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// Forwards bytes until one end closes or the connection goes silent; then discards bytes until the
/// sender closes.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut silenced: watch::Receiver<u64>,
) {
    silenced.mark_unchanged();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            biased;
            _ = silenced.changed() => break,
            read = from.read(&mut bytes) => {
                let read = read.unwrap_or(0);
                if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
    while from.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    // The other end never learns of it.
    std::future::pending::<()>().await;
}
