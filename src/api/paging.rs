//! Pages of lists, newest first: `page_size` and `page_token` in, the next token and its `Link`
//! out.

use std::fmt::Debug;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use uuid::Uuid;

use super::page_token;
use super::problem::Problem;
use super::query::Query;
use crate::store::listed::Listed;

/// Enough for a page of fifty exports, so that the buffer need not grow while it is written.
const USUAL_BYTES: usize = 96 * 1024;

/// The page that a caller requests.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    size: usize,
    /// The last id of the previous page.
    pub before: Option<Uuid>,
}

impl Paging {
    /// Reads both parameters. `scope` is the list with its filters: a token is valid only for the
    /// same.
    pub fn read(query: &mut Query, scope: &impl Debug) -> Self {
        let size = query.number("page_size", 1..=200);
        Self {
            size: size.unwrap_or(50),
            before: query.one("page_token", |text| page_token::read(text, scope)),
        }
    }

    /// How many rows to read: one more than the page holds, to know whether there is a next page.
    #[must_use]
    pub fn size_and_one(&self) -> i64 {
        i64::try_from(self.size + 1).unwrap_or(i64::MAX)
    }

    /// Makes the page from the rows, without those that could not be read, and the token of the
    /// next page, if there is one.
    pub fn cut<T>(&self, mut rows: Vec<Listed<T>>, scope: &impl Debug) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| page_token::after(last.id, scope));
        (rows.into_iter().filter_map(|row| row.value).collect(), next)
    }
}

/// Answers with a page of the list at `path`, whose query was `raw`; `Link` names the next page, if
/// there is one.
pub fn respond(
    list: &impl Serialize,
    path: &str,
    raw: Option<&str>,
    next_page_token: Option<&str>,
) -> Response {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    if let Err(error) = serde_json::to_writer(&mut body, list) {
        tracing::error!(exception.message = %error, "a page could not be written as JSON");
        return Problem::internal().into_response();
    }
    let mut response = (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        body,
    )
        .into_response();
    if let Some(link) = next_page_token.and_then(|token| next_link(path, raw, token)) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// The next page's URL (RFC 8288): the same query with another token.
fn next_link(path: &str, raw: Option<&str>, token: &str) -> Option<HeaderValue> {
    let kept = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name != "page_token");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("page_token", token)
        .finish();
    HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\"")).ok()
}
