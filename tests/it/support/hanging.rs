//! A receiver that accepts connections and never answers.

use tokio::net::TcpListener;
use tokio::sync::watch;

/// It counts its connections and keeps all of them open.
#[derive(Debug)]
pub struct HangingReceiver {
    pub url: String,
    taken: watch::Receiver<usize>,
}

impl HangingReceiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (count, taken) = watch::channel(0);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                kept.push(connection);
                count.send_replace(kept.len());
            }
        });
        Self { url, taken }
    }

    /// The number of connections.
    pub fn connections(&self) -> usize {
        *self.taken.borrow()
    }

    /// Waits until this many connections were made to it.
    pub async fn takes(&self, count: usize) {
        self.taken
            .clone()
            .wait_for(|taken| *taken >= count)
            .await
            .unwrap();
    }
}
