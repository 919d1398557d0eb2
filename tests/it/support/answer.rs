//! An HTTP response, fully read, with assertions for tests.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// Null if the body is not JSON.
    pub json: Value,
}

impl Answer {
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Self {
            status,
            headers,
            text,
            json,
        }
    }

    /// Fails the test unless the response has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Fails the test unless the response is a complete problem document of this type.
    #[track_caller]
    pub fn expect_problem(self, status: u16, name: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(
            answer.json["type"],
            format!("/problems/{name}"),
            "{}",
            answer.text
        );
        assert_eq!(answer.json["status"], status);
        for member in ["title", "detail", "instance"] {
            assert!(
                answer.json[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{member}: {}",
                answer.text
            );
        }
        assert!(answer.json["errors"].is_array());
        answer
    }

    /// The pointers of a problem's errors, sorted.
    pub fn pointers(&self) -> Vec<&str> {
        let mut all: Vec<_> = self.json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap())
            .collect();
        all.sort_unstable();
        all
    }

    /// A header's text; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[track_caller]
    pub fn id(&self) -> String {
        self.json["id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id in {}", self.text))
            .to_owned()
    }
}
