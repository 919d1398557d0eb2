//! Fetches presigned URLs page by page, and renews them when they have expired.

use std::collections::HashMap;

use tokio::sync::Mutex;

use crate::error::ClientError;
use crate::session::Session;
use crate::wire::{FilePage, Manifest};

const PAGE_SIZE: &str = "100";

/// The response that lists a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Manifest,
    /// The page of files with this token.
    Page(Option<String>),
}

#[derive(Debug)]
pub struct Urls {
    session: Session,
    id: String,
    presign: String,
    /// The latest URLs by key, from the last renewal.
    latest: Mutex<HashMap<String, String>>,
}

impl Urls {
    pub fn new(session: Session, id: String, presign: String) -> Self {
        Self {
            session,
            id,
            presign,
            latest: Mutex::default(),
        }
    }

    pub async fn manifest(&self) -> Result<Manifest, ClientError> {
        let call = self
            .session
            .service
            .get(&["v1", "exports", &self.id, "manifest"])
            .query("presign", &self.presign);
        self.session.service.send(call).await?.read()
    }

    pub async fn page(&self, source: &Source) -> Result<FilePage, ClientError> {
        let call = self
            .session
            .service
            .get(&["v1", "exports", &self.id, "files"]);
        let mut call = call
            .query("presign", &self.presign)
            .query("page_size", PAGE_SIZE);
        if let Source::Page(Some(token)) = source {
            call = call.query("page_token", token);
        }
        self.session.service.send(call).await?.read()
    }

    /// A new URL in place of an expired one. URLs that expired together are fetched together.
    pub async fn renew(
        &self,
        source: &Source,
        key: &str,
        expired: &str,
    ) -> Result<Option<String>, ClientError> {
        let mut latest = self.latest.lock().await;
        match latest.get(key) {
            Some(url) if url != expired => return Ok(Some(url.clone())),
            _ => {}
        }
        let files = match source {
            Source::Manifest => self.manifest().await?.objects,
            Source::Page(_) => self.page(source).await?.files,
        };
        *latest = files
            .into_iter()
            .filter_map(|file| Some((file.key, file.url?)))
            .collect();
        Ok(latest.get(key).cloned())
    }
}
