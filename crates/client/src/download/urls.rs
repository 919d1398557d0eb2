//! Presigned URLs: a page of them at a time, and anew when they have expired.

use std::collections::HashMap;

use tokio::sync::Mutex;

use crate::error::ClientError;
use crate::session::Session;
use crate::wire::{FilePage, Manifest};

/// How many files are asked for at once.
const PAGE_SIZE: &str = "100";

/// Which answer of the service names a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// That of the manifests.
    Manifest,
    /// The page of the files that this token asks for.
    Page(Option<String>),
}

/// Where URLs come from.
#[derive(Debug)]
pub struct Urls {
    session: Session,
    id: String,
    presign: String,
    /// The latest URLs by key, of the source that was asked last.
    latest: Mutex<HashMap<String, String>>,
}

impl Urls {
    /// URLs of an export's files that are good for so long.
    pub fn new(session: Session, id: String, presign: String) -> Self {
        Self {
            session,
            id,
            presign,
            latest: Mutex::default(),
        }
    }

    /// The manifests.
    pub async fn manifest(&self) -> Result<Manifest, ClientError> {
        let call = self
            .session
            .service
            .get(&["v1", "exports", &self.id, "manifest"])
            .query("presign", &self.presign);
        self.session.service.send(call).await?.read()
    }

    /// A page of the files.
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

    /// Another URL than the one that has expired. Those that expired together are asked for once.
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
