//! Downloads the files of a completed export by presigned URLs: side by side, each checked against
//! the manifest before it gets its name.
//!
//! What has come is kept in `NAME.part`, so that the next run goes on there. URLs that have expired
//! are asked for anew. A file that is there already and proves to be the right one is not
//! downloaded again.

mod bars;
mod fetch;
mod place;
mod plain;
mod sums;
mod urls;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::task::JoinSet;

use super::error::ClientError;
use super::session::Session;
use super::wire::{Export, ExportFile, Manifest};
use super::words::{clean, counted, size};
use bars::Bars;
use fetch::{Failed, Fetched, Fetcher};
use place::place;
use plain::write_plain;
use sums::{Expected, Sum, Worth};
use tableferry_domain::request::ExportFormat;
use urls::{Source, Urls};

/// What to download, and how.
#[derive(Debug)]
pub struct Wish {
    /// The export's id.
    pub id: String,
    /// Where to.
    pub folder: PathBuf,
    /// How many files side by side.
    pub parallel: usize,
    /// How long URLs are good for.
    pub presign: String,
    /// Whether the items are also written as plain JSON lines.
    pub plain: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// The export.
    pub export_id: String,
    /// Where the files are.
    pub folder: PathBuf,
    /// Data files that were downloaded.
    pub files_downloaded: u64,
    /// Data files that were there already.
    pub files_present: u64,
    /// Manifests and their sums.
    pub manifests: u64,
    /// Bytes that came over the network.
    pub bytes_downloaded: u64,
    /// Items that were written as plain JSON lines; null unless that was asked for.
    pub items_written: Option<u64>,
    /// Files whose length is right and whose sum nobody said.
    pub unproven: Vec<String>,
    /// Files that are not there, or not right.
    pub failed: Vec<FailedFile>,
}

/// A file that is not there, or not right.
#[derive(Debug, Serialize)]
pub struct FailedFile {
    /// Its key.
    pub key: String,
    /// Why.
    pub detail: String,
    /// Whether its bytes are not those that the manifest names.
    pub is_wrong: bool,
}

/// A file that is done with.
struct Ended {
    key: String,
    is_data: bool,
    /// The file, and how many of its items were written.
    fetched: Result<(Fetched, u64), Failed>,
}

/// A download under way.
struct Download {
    fetcher: Arc<Fetcher>,
    wish: Wish,
    running: JoinSet<Ended>,
    /// The format of the data files, if their items are wanted.
    format: Option<ExportFormat>,
    summary: Summary,
    done: u64,
}

/// Downloads all files of an export, its manifests too.
pub async fn download(session: &Session, wish: Wish) -> Result<Summary, ClientError> {
    let urls = Urls::new(session.clone(), wish.id.clone(), wish.presign.clone());
    let format = if wish.plain {
        Some(format_of(session, &wish.id).await?)
    } else {
        None
    };
    let manifest: Manifest = urls.manifest().await?;
    let bars = Bars::new(session.screen);
    let fetcher = Arc::new(Fetcher::new(urls, bars, session.chance.clone()));
    let summary = Summary {
        export_id: wish.id.clone(),
        folder: wish.folder.clone(),
        items_written: wish.plain.then_some(0),
        ..Summary::default()
    };
    let mut download = Download {
        fetcher,
        wish,
        running: JoinSet::new(),
        format,
        summary,
        done: 0,
    };
    let ended = download.run(&manifest).await;
    download.fetcher.bars.finish();
    ended?;
    Ok(download.summary)
}

/// The format of an export's data files.
async fn format_of(session: &Session, id: &str) -> Result<ExportFormat, ClientError> {
    let call = session.service.get(&["v1", "exports", id]);
    let export: Export = session.service.send(call).await?.read()?;
    match export.export_format.as_str() {
        "DYNAMODB_JSON" => Ok(ExportFormat::DynamodbJson),
        "ION" => Ok(ExportFormat::Ion),
        other => Err(ClientError::Other(format!(
            "items in {} cannot be read by this version",
            clean(other)
        ))),
    }
}

impl Download {
    async fn run(&mut self, manifest: &Manifest) -> Result<(), ClientError> {
        for object in &manifest.objects {
            self.begin(object.clone(), Source::Manifest).await?;
        }
        let mut token = None;
        loop {
            let source = Source::Page(token);
            let page = self.fetcher.urls.page(&source).await?;
            for file in page.files {
                self.begin(file, source.clone()).await?;
            }
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        while !self.running.is_empty() {
            self.take_one().await?;
        }
        self.check_manifests(manifest).await;
        Ok(())
    }

    /// Begins with a file as soon as there is a hand for it.
    async fn begin(&mut self, file: ExportFile, source: Source) -> Result<(), ClientError> {
        while self.running.len() >= self.wish.parallel {
            self.take_one().await?;
        }
        let target = place(&self.wish.folder, &file.key);
        let Some(size_bytes) = file.size_bytes else {
            self.fail(&file.key, "is missing in S3".to_owned(), true);
            return Ok(());
        };
        self.fetcher.bars.expect(size_bytes);
        let expected = Expected {
            size_bytes,
            md5: file.md5,
            etag: file.etag,
        };
        let (fetcher, is_data) = (Arc::clone(&self.fetcher), source != Source::Manifest);
        let plain = self.format.filter(|_| is_data);
        self.running.spawn(async move {
            let fetched = async {
                let fetched = fetcher
                    .fetch(&file.key, &target, &expected, file.url, &source)
                    .await?;
                let items = match plain {
                    Some(format) => write_plain(&target, format, file.item_count).await?,
                    None => 0,
                };
                Ok((fetched, items))
            };
            let fetched = fetched.await;
            Ended {
                key: file.key,
                is_data,
                fetched,
            }
        });
        Ok(())
    }

    async fn take_one(&mut self) -> Result<(), ClientError> {
        let Some(ended) = self.running.join_next().await else {
            return Ok(());
        };
        let Ended {
            key,
            is_data,
            fetched,
        } = ended.map_err(|error| ClientError::Other(format!("a download broke off: {error}")))?;
        match fetched {
            Ok((
                Fetched {
                    worth,
                    bytes,
                    was_there,
                },
                items,
            )) => {
                self.summary.items_written =
                    self.summary.items_written.map(|before| before + items);
                match (is_data, was_there) {
                    (true, true) => self.summary.files_present += 1,
                    (true, false) => self.summary.files_downloaded += 1,
                    (false, _) => self.summary.manifests += 1,
                }
                self.summary.bytes_downloaded += bytes;
                if is_data && worth == Worth::Unproven {
                    self.summary.unproven.push(key.clone());
                }
                self.done += 1;
                self.fetcher.bars.files(self.done);
                self.fetcher
                    .bars
                    .tell(if was_there { "there" } else { "ok" }, &key, bytes);
            }
            Err(Failed::Wrong(detail)) => self.fail(&key, detail, true),
            Err(Failed::NotFetched(detail)) => self.fail(&key, detail, false),
            // The disk is full, or not to be written to: the next file would meet the same.
            Err(Failed::Disk(path, source)) => return Err(ClientError::File { path, source }),
        }
        Ok(())
    }

    fn fail(&mut self, key: &str, detail: String, is_wrong: bool) {
        self.fetcher.bars.tell("FAILED", key, 0);
        self.summary.failed.push(FailedFile {
            key: key.to_owned(),
            detail,
            is_wrong,
        });
    }

    /// Each manifest lies beside a file that holds its sum.
    async fn check_manifests(&mut self, manifest: &Manifest) {
        for object in &manifest.objects {
            let Some(name) = object.key.strip_suffix(".json") else {
                continue;
            };
            let (json, md5) = (
                place(&self.wish.folder, &object.key),
                place(&self.wish.folder, &format!("{name}.md5")),
            );
            // One that was not downloaded has been reported.
            let (Ok(sum), Ok(said)) = (
                Sum::of_file(&json).await,
                tokio::fs::read_to_string(&md5).await,
            ) else {
                continue;
            };
            if sum.base64() != said.trim() {
                let detail = format!(
                    "has the MD5 sum {}; {}.md5 says {}",
                    sum.base64(),
                    clean(name),
                    clean(said.trim())
                );
                self.fail(&object.key, detail, true);
            }
        }
    }
}

impl Summary {
    /// For people.
    pub fn in_words(&self) -> String {
        let files = counted(self.files_downloaded, "file");
        let there = match self.files_present {
            0 => String::new(),
            present => format!("; {} there already", counted(present, "file")),
        };
        let mut text = format!(
            "Downloaded {files} ({}) to {}{there}.",
            size(self.bytes_downloaded),
            self.folder.display()
        );
        if let Some(items) = self.items_written {
            text += &format!(
                " Wrote {} as JSON lines, in a .jsonl file beside each data file.",
                counted(items, "item")
            );
        }
        text += match (self.failed.is_empty(), self.unproven.len()) {
            (true, 0) => " Every checksum matches.".to_owned(),
            (true, unproven) => format!(
                " The manifest has no checksum of {}; all others match.",
                counted(unproven as u64, "file")
            ),
            (false, _) => format!("\n{} failed:", counted(self.failed.len() as u64, "file")),
        }
        .as_str();
        for failed in &self.failed {
            text += &format!("\n  {}: {}", clean(&failed.key), clean(&failed.detail));
        }
        text
    }
}
