//! A webhook receiver that records requests and sends planned responses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A status, the value of the header that belongs to it, and a body.
type PlannedAnswer = (u16, Option<&'static str>, Vec<u8>);

#[derive(Debug, Clone)]
pub struct Receiver {
    pub url: String,
    heard: Arc<Mutex<Vec<Received>>>,
    count: Arc<watch::Sender<usize>>,
    answers: Arc<Mutex<VecDeque<PlannedAnswer>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self {
            url,
            heard: Arc::default(),
            count: Arc::default(),
            answers: Arc::default(),
        };
        let router = Router::new().fallback(hear).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// Plans the response to the next request, with a `Location` or `Retry-After` header by status;
    /// 204 without a plan.
    pub fn answer_next(&self, status: u16, header_value: Option<&'static str>) {
        self.answers
            .lock()
            .unwrap()
            .push_back((status, header_value, Vec::new()));
    }

    /// Answers the next request with this status and body.
    pub fn say_next(&self, status: u16, body: impl Into<Vec<u8>>) {
        self.answers
            .lock()
            .unwrap()
            .push_back((status, None, body.into()));
    }

    /// Waits until it has received this many.
    pub async fn hears(&self, count: usize) {
        self.count
            .subscribe()
            .wait_for(|heard| *heard >= count)
            .await
            .unwrap();
    }

    pub fn heard(&self) -> Vec<Received> {
        self.heard.lock().unwrap().clone()
    }
}

async fn hear(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    receiver.heard.lock().unwrap().push(Received {
        headers,
        body: body.to_vec(),
    });
    receiver.count.send_modify(|count| *count += 1);
    let (status, value, body) =
        receiver
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or((204, None, Vec::new()));
    let name = if (300..400).contains(&status) {
        header::LOCATION
    } else {
        header::RETRY_AFTER
    };
    let headers: HeaderMap = value
        .map(|value| (name, value.parse().unwrap()))
        .into_iter()
        .collect();
    (StatusCode::from_u16(status).unwrap(), headers, body)
}
