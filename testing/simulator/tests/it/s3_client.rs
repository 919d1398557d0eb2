//! A minimal S3 client that sends exactly what a test wants to send.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use crate::client::Aws;

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=ANYBODY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A response of S3.
pub(crate) struct S3Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl S3Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            body: response.text().await.unwrap(),
        }
    }

    /// The text of the first XML element with this name.
    #[track_caller]
    pub(crate) fn element(&self, name: &str) -> &str {
        let found = self
            .body
            .split_once(&format!("<{name}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        found
            .unwrap_or_else(|| panic!("no {name} in {}", self.body))
            .0
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.element("Code")),
            (status, code),
            "{}",
            self.body
        );
        assert!(!self.element("Message").is_empty());
    }
}

pub(crate) async fn s3(
    aws: &Aws,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> S3Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = aws
        .http
        .request(method, format!("{}/{path}", aws.sim().s3_url()))
        .header("authorization", SIGNED);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    S3Answer::of(request.body(body.into()).send().await.unwrap()).await
}
