//! A client that sends arbitrary bytes.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The time limit for everything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Raw {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// A response with a known length.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// Fails the test unless it is a problem document of this type.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, name: &str) {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        assert_eq!(
            (self.status, json["type"].as_str()),
            (status, Some(format!("/problems/{name}").as_str())),
            "{}",
            self.head
        );
    }
}

impl Raw {
    /// Connects to `http://address` or `https://address`, without TLS.
    pub async fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.split("://").nth(1).unwrap())
            .await
            .unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a GET request for this path.
    pub async fn ask(&mut self, path: &str) -> RawAnswer {
        self.say(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// The next response, up to the length that it states.
    pub async fn answer(&mut self) -> RawAnswer {
        timeout(PATIENCE, self.read_answer())
            .await
            .expect("it is answered")
    }

    async fn read_answer(&mut self) -> RawAnswer {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(self.read[..end].to_vec())
                    .unwrap()
                    .to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |n| n.parse().unwrap());
                if self.read.len() >= end + 4 + length {
                    let rest = self.read.split_off(end + 4 + length);
                    let body = std::mem::replace(&mut self.read, rest).split_off(end + 4);
                    return RawAnswer {
                        status: head[9..12].parse().unwrap(),
                        head,
                        body,
                    };
                }
            }
            assert_ne!(
                self.stream.read_buf(&mut self.read).await.unwrap(),
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
    }

    /// Everything until the other end closes. A reset counts as an end too.
    pub async fn rest(mut self) -> Vec<u8> {
        let ended = async {
            while self
                .stream
                .read_buf(&mut self.read)
                .await
                .is_ok_and(|n| n > 0)
            {}
        };
        timeout(PATIENCE, ended).await.expect("it is closed");
        self.read
    }
}
