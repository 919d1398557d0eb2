//! A listener that counts connections and sends nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

/// Counts connections, and closes each immediately.
pub struct Counter {
    pub port: u16,
    count: Arc<AtomicUsize>,
}

impl Counter {
    pub async fn start(address: &str) -> Self {
        Self::on(TcpListener::bind(address).await.unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let counter = Self {
            port: listener.local_addr().unwrap().port(),
            count: Arc::default(),
        };
        let count = Arc::clone(&counter.count);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        counter
    }

    /// On 127.0.0.1 and on 127.0.0.2, at the same port.
    pub async fn pair() -> (Self, Self) {
        loop {
            let second = TcpListener::bind("127.0.0.2:0").await.unwrap();
            if let Ok(first) =
                TcpListener::bind(("127.0.0.1", second.local_addr().unwrap().port())).await
            {
                return (Self::on(first), Self::on(second));
            }
        }
    }

    pub fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}
