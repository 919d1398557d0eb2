//! Downloads the files of a completed export by presigned URLs, in parallel. Each file is checked
//! against the manifest before it gets its final name.
//!
//! An incomplete file is kept as `NAME.part`, where the next run continues. Expired URLs are
//! renewed. A file that exists already is not downloaded again if its checksum matches.

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
use tableferry_domain::export::request::ExportFormat;
use urls::{Source, Urls};

#[derive(Debug)]
pub struct DownloadSpec {
    pub id: String,
    pub folder: PathBuf,
    /// Maximum number of parallel downloads.
    pub parallel: usize,
    /// How long the presigned URLs are valid, for example `15m`.
    pub presign: String,
    /// Whether the items are also written as plain JSON lines.
    pub plain: bool,
}

/// The result, also printed by `--json`.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub export_id: String,
    pub folder: PathBuf,
    /// Data files that were downloaded.
    pub files_downloaded: u64,
    /// Data files that existed already.
    pub files_present: u64,
    /// Manifests and their checksum files.
    pub manifests: u64,
    /// Bytes received over the network.
    pub bytes_downloaded: u64,
    /// Items written as plain JSON lines; null if that was not requested.
    pub items_written: Option<u64>,
    /// Files with the expected length for which there is no checksum.
    pub unproven: Vec<String>,
    /// Files that could not be downloaded, or do not match the manifest.
    pub failed: Vec<FailedFile>,
}

#[derive(Debug, Serialize)]
pub struct FailedFile {
    pub key: String,
    pub detail: String,
    /// Whether the file does not match the manifest.
    pub is_wrong: bool,
}

struct Ended {
    key: String,
    is_data: bool,
    /// The file and the number of its items that were written.
    fetched: Result<(Fetched, u64), Failed>,
}

struct Download {
    fetcher: Arc<Fetcher>,
    spec: DownloadSpec,
    running: JoinSet<Ended>,
    /// The format of the data files, if their items are to be written.
    format: Option<ExportFormat>,
    summary: Summary,
    done: u64,
}

/// Downloads all data files and manifests of an export.
pub async fn download(session: &Session, spec: DownloadSpec) -> Result<Summary, ClientError> {
    let urls = Urls::new(session.clone(), spec.id.clone(), spec.presign.clone());
    let format = if spec.plain {
        Some(format_of(session, &spec.id).await?)
    } else {
        None
    };
    let manifest: Manifest = urls.manifest().await?;
    let bars = Bars::new(session.screen);
    let fetcher = Arc::new(Fetcher::new(urls, bars, session.clock.clone()));
    let summary = Summary {
        export_id: spec.id.clone(),
        folder: spec.folder.clone(),
        items_written: spec.plain.then_some(0),
        ..Summary::default()
    };
    let mut download = Download {
        fetcher,
        spec,
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

async fn format_of(session: &Session, id: &str) -> Result<ExportFormat, ClientError> {
    let call = session.service.get(&["v1", "exports", id]);
    let export: Export = session.service.send(call).await?.read()?;
    match export.export_format.as_str() {
        "DYNAMODB_JSON" => Ok(ExportFormat::DynamodbJson),
        "ION" => Ok(ExportFormat::Ion),
        other => Err(ClientError::Other(format!(
            "this version cannot read items in {}",
            clean(other)
        ))),
    }
}

impl Download {
    async fn run(&mut self, manifest: &Manifest) -> Result<(), ClientError> {
        for object in &manifest.objects {
            self.start(object.clone(), Source::Manifest).await?;
        }
        let mut token = None;
        loop {
            let source = Source::Page(token);
            let page = self.fetcher.urls.page(&source).await?;
            for file in page.files {
                self.start(file, source.clone()).await?;
            }
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        while !self.running.is_empty() {
            self.finish_one().await?;
        }
        self.check_manifests(manifest).await;
        Ok(())
    }

    /// Starts a file as soon as fewer than the maximum run.
    async fn start(&mut self, file: ExportFile, source: Source) -> Result<(), ClientError> {
        while self.running.len() >= self.spec.parallel {
            self.finish_one().await?;
        }
        let target = place(&self.spec.folder, &file.key);
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

    async fn finish_one(&mut self) -> Result<(), ClientError> {
        let Some(ended) = self.running.join_next().await else {
            return Ok(());
        };
        let Ended {
            key,
            is_data,
            fetched,
        } = ended
            .map_err(|error| ClientError::Other(format!("a download was aborted: {error}")))?;
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
                    .finished(if was_there { "there" } else { "ok" }, &key, bytes);
            }
            Err(Failed::Wrong(detail)) => self.fail(&key, detail, true),
            Err(Failed::NotFetched(detail)) => self.fail(&key, detail, false),
            // The disk is full or not writable, so the next file would fail too.
            Err(Failed::Disk(path, source)) => return Err(ClientError::File { path, source }),
        }
        Ok(())
    }

    fn fail(&mut self, key: &str, detail: String, is_wrong: bool) {
        self.fetcher.bars.finished("FAILED", key, 0);
        self.summary.failed.push(FailedFile {
            key: key.to_owned(),
            detail,
            is_wrong,
        });
    }

    /// Each manifest has a checksum file beside it.
    async fn check_manifests(&mut self, manifest: &Manifest) {
        for object in &manifest.objects {
            let Some(name) = object.key.strip_suffix(".json") else {
                continue;
            };
            let (json, md5) = (
                place(&self.spec.folder, &object.key),
                place(&self.spec.folder, &format!("{name}.md5")),
            );
            // A file that was not downloaded has been reported already.
            let (Ok(sum), Ok(expected)) = (
                Sum::of_file(&json).await,
                tokio::fs::read_to_string(&md5).await,
            ) else {
                continue;
            };
            if sum.base64() != expected.trim() {
                let detail = format!(
                    "has the MD5 checksum {}; {}.md5 says {}",
                    sum.base64(),
                    clean(name),
                    clean(expected.trim())
                );
                self.fail(&object.key, detail, true);
            }
        }
    }
}

impl Summary {
    pub fn to_text(&self) -> String {
        let files = counted(self.files_downloaded, "file");
        let there = match self.files_present {
            0 => String::new(),
            present => format!("; {} existed already", counted(present, "file")),
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
            (true, 0) => " All checksums match.".to_owned(),
            (true, unproven) => format!(
                " The manifest has no checksum for {}; all other checksums match.",
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
