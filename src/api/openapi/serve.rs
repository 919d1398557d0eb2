//! Answers with the document: `GET /openapi.json`, with `?webhooks=false` without that section, and
//! `GET /openapi-3.0.json`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;

use super::{DOCUMENT, DOCUMENT_3_0, Form, finish};
use crate::api::problem::Problem;
use crate::api::query::{NoQuery, Query, boolean};

/// Every form of the document, as it is sent.
#[derive(Debug, Clone)]
pub(in crate::api) struct Documents {
    whole: Bytes,
    without_webhooks: Bytes,
    version_3_0: Bytes,
}

impl Documents {
    /// The forms of the document of these handlers; `server_url` is where the calls are.
    pub(in crate::api) fn new(document: OpenApi, server_url: &str) -> Self {
        let document = finish(document, server_url);
        // tests/it/openapi.rs holds that each can be written.
        let written = |form: Form| Bytes::from(form.of(&document).unwrap_or_default().to_string());
        Self {
            whole: written(Form::Whole),
            without_webhooks: written(Form::WithoutWebhooks),
            version_3_0: written(Form::Version30),
        }
    }

    /// The routes that answer with them.
    pub(in crate::api) fn router(self) -> Router {
        Router::new()
            .route(DOCUMENT, get(current))
            .route(DOCUMENT_3_0, get(older))
            .with_state(self)
    }
}

async fn current(
    State(documents): State<Documents>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut query = Query::from_raw(query.as_deref());
    let webhooks = query.one("webhooks", boolean).unwrap_or(true);
    query.finish()?;
    Ok(json(if webhooks {
        documents.whole
    } else {
        documents.without_webhooks
    }))
}

async fn older(State(documents): State<Documents>, _: NoQuery) -> Response {
    json(documents.version_3_0)
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
