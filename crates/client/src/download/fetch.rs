//! Downloads one object: resumes an incomplete file, and verifies the complete one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, RANGE};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::bars::{Bars, FileBar};
use super::place::part_of;
use super::sums::{Expected, Sum, Worth};
use super::urls::{Source, Urls};
use crate::connection::http_client;
use crate::words::one_line;
use tableferry_clock::Clock;
use tableferry_domain::error_chain::chain;

const MAX_SILENCE: Duration = Duration::from_secs(60);
/// Maximum number of attempts in a row without progress.
const MAX_ATTEMPTS: u32 = 5;
/// Maximum number of URL renewals in a row without progress.
const MAX_RENEWALS: u32 = 2;

#[derive(Debug)]
pub struct Fetched {
    pub worth: Worth,
    /// Bytes received over the network.
    pub bytes: u64,
    /// Whether the file existed already.
    pub was_there: bool,
}

#[derive(Debug)]
pub enum Failed {
    /// The object does not match the manifest.
    Wrong(String),
    /// It could not be downloaded.
    NotFetched(String),
    Disk(PathBuf, io::Error),
}

enum Transfer {
    /// All bytes have arrived.
    Over,
    /// S3 does not accept the URL any more.
    Expired(String),
    /// The connection broke, or S3 asked to slow down.
    Broken(String),
    /// The incomplete file cannot be continued.
    Restart,
}

#[derive(Debug)]
pub struct Fetcher {
    pub urls: Urls,
    pub bars: Bars,
    clock: Clock,
    http: OnceLock<reqwest::Client>,
}

struct Work<'a> {
    part: PathBuf,
    expected: &'a Expected,
    bar: FileBar,
    http: reqwest::Client,
    sum: Sum,
    fetched_bytes: u64,
}

impl Fetcher {
    pub fn new(urls: Urls, bars: Bars, clock: Clock) -> Self {
        Self {
            urls,
            bars,
            clock,
            http: OnceLock::new(),
        }
    }

    /// Downloads an object to `target`, unless it is there already.
    pub async fn fetch(
        &self,
        key: &str,
        target: &Path,
        expected: &Expected,
        url: Option<String>,
        source: &Source,
    ) -> Result<Fetched, Failed> {
        let bar = self.bars.file(key, expected.size_bytes);
        if let Some(worth) = proven(target, expected).await {
            bar.at(expected.size_bytes);
            return Ok(Fetched {
                worth,
                bytes: 0,
                was_there: true,
            });
        }
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(Failed::NotFetched(
                "its key has a part . or .., which a URL cannot contain; download it with AWS's own tools"
                    .to_owned(),
            ));
        }
        let mut url =
            url.ok_or_else(|| Failed::NotFetched("the service returned no URL for it".to_owned()))?;
        let http = self.http(&url).ok_or_else(|| {
            Failed::NotFetched("the service returned a URL that is not valid".to_owned())
        })?;
        let part = part_of(target);
        if let Some(folder) = part.parent() {
            fs::create_dir_all(folder)
                .await
                .map_err(|error| Failed::Disk(folder.to_owned(), error))?;
        }
        let mut work = Work {
            part,
            expected,
            bar,
            http,
            sum: Sum::default(),
            fetched_bytes: 0,
        };
        let mut resumed = work.resume().await;
        let (mut tries, mut renewals) = (0, 0);
        loop {
            let before = work.sum.bytes;
            match work.transfer(&url).await? {
                Transfer::Over => match expected.judge(&work.sum) {
                    Ok(worth) => {
                        fs::rename(&work.part, target)
                            .await
                            .map_err(|error| Failed::Disk(target.to_owned(), error))?;
                        return Ok(Fetched {
                            worth,
                            bytes: work.fetched_bytes,
                            was_there: false,
                        });
                    }
                    // The cause may be what an earlier run left.
                    Err(_) if resumed => resumed = false,
                    Err(what) => {
                        work.discard().await?;
                        return Err(Failed::Wrong(what));
                    }
                },
                Transfer::Restart => resumed = false,
                Transfer::Expired(why) => {
                    renewals = if work.sum.bytes > before {
                        0
                    } else {
                        renewals + 1
                    };
                    let renewed = self
                        .urls
                        .renew(source, key, &url)
                        .await
                        .map_err(|error| Failed::NotFetched(error.to_string()))?;
                    url = renewed
                        .filter(|_| renewals <= MAX_RENEWALS)
                        .ok_or(Failed::NotFetched(why))?;
                    continue;
                }
                Transfer::Broken(why) => {
                    tries = if work.sum.bytes > before {
                        0
                    } else {
                        tries + 1
                    };
                    if tries >= MAX_ATTEMPTS {
                        return Err(Failed::NotFetched(why));
                    }
                    let pause = Duration::from_millis(250 << tries.min(6));
                    tokio::time::sleep(pause.mul_f64(0.75 + self.clock.jitter().0 / 2.0)).await;
                    continue;
                }
            }
            work.discard().await?;
        }
    }
}

impl Fetcher {
    /// One client for all objects, which are in one bucket. It does not have the API key.
    fn http(&self, url: &str) -> Option<reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Some(http.clone());
        }
        let http = Url::parse(url)
            .ok()
            .and_then(|url| http_client(&url).ok())?;
        Some(self.http.get_or_init(|| http).clone())
    }
}

/// `None` if there is no file at `target`, or it is not proven to be the right one.
async fn proven(target: &Path, expected: &Expected) -> Option<Worth> {
    let facts = fs::metadata(target).await.ok()?;
    if !facts.is_file() || facts.len() != expected.size_bytes {
        return None;
    }
    let sum = Sum::of_file(target).await.ok()?;
    expected
        .judge(&sum)
        .ok()
        .filter(|worth| *worth == Worth::Proven)
}

impl Work<'_> {
    /// Continues the incomplete file of an earlier run. Returns whether there is one. Without a
    /// checksum to verify the result, it starts from the beginning.
    async fn resume(&mut self) -> bool {
        if self.expected.md5.is_none() {
            return false;
        }
        match Sum::of_file(&self.part).await {
            Ok(sum) if sum.bytes > 0 && sum.bytes <= self.expected.size_bytes => {
                self.bar.at(sum.bytes);
                self.sum = sum;
                true
            }
            _ => false,
        }
    }

    /// Starts from the beginning.
    async fn discard(&mut self) -> Result<(), Failed> {
        self.sum = Sum::default();
        self.bar.at(0);
        match fs::remove_file(&self.part).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failed::Disk(self.part.clone(), error))
            }
            _ => Ok(()),
        }
    }

    async fn transfer(&mut self, url: &str) -> Result<Transfer, Failed> {
        let from = self.sum.bytes;
        if from == self.expected.size_bytes && from > 0 {
            return Ok(Transfer::Over);
        }
        let mut request = self.http.get(url);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let mut response = match tokio::time::timeout(MAX_SILENCE, request.send()).await {
            Err(_) => return Ok(Transfer::Broken("S3 did not answer in time".to_owned())),
            Ok(Err(error)) => return Ok(Transfer::Broken(without_url(error))),
            Ok(Ok(response)) => response,
        };
        match response.status() {
            StatusCode::OK => self.sum = Sum::default(),
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers(), from) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                return Ok(Transfer::Restart);
            }
            status => return refused(status, response).await,
        }
        if let (Some(said), Some(etag)) = (
            &self.expected.etag,
            response
                .headers()
                .get(ETAG)
                .and_then(|etag| etag.to_str().ok()),
        ) {
            let etag = etag.trim_start_matches("W/").trim_matches('"');
            if etag != said {
                return Err(Failed::Wrong(format!(
                    "has the ETag {} instead of {}: it was overwritten after the export",
                    one_line(etag),
                    one_line(said)
                )));
            }
        }
        let disk = |error| Failed::Disk(self.part.clone(), error);
        let mut file = open(&self.part, self.sum.bytes).await.map_err(disk)?;
        let ended = loop {
            match tokio::time::timeout(MAX_SILENCE, response.chunk()).await {
                Err(_) => break Transfer::Broken("S3 stopped sending data".to_owned()),
                Ok(Err(error)) => break Transfer::Broken(without_url(error)),
                Ok(Ok(None)) => break Transfer::Over,
                Ok(Ok(Some(piece))) => {
                    file.write_all(&piece)
                        .await
                        .map_err(|error| Failed::Disk(self.part.clone(), error))?;
                    self.sum.add(&piece);
                    self.fetched_bytes += piece.len() as u64;
                    self.bar.at(self.sum.bytes);
                    if self.sum.bytes > self.expected.size_bytes {
                        break Transfer::Over;
                    }
                }
            }
        };
        file.flush()
            .await
            .map_err(|error| Failed::Disk(self.part.clone(), error))?;
        match ended {
            Transfer::Over if self.sum.bytes < self.expected.size_bytes => Ok(Transfer::Broken(
                "S3 closed the connection too early".to_owned(),
            )),
            ended => Ok(ended),
        }
    }
}

/// Opens the incomplete file, to continue after this many bytes.
async fn open(part: &Path, from: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    if from == 0 {
        options.write(true).create(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(part).await
}

fn begins_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.trim().starts_with(&format!("bytes {from}-")))
}

async fn refused(status: StatusCode, mut response: reqwest::Response) -> Result<Transfer, Failed> {
    let mut body = Vec::new();
    while let Ok(Ok(Some(piece))) = tokio::time::timeout(MAX_SILENCE, response.chunk()).await {
        body.extend_from_slice(&piece);
        if body.len() > 4096 {
            break;
        }
    }
    let body = String::from_utf8_lossy(&body);
    let code = body
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code);
    let what = one_line(&format!("S3 answered {} {code}", status.as_u16()));
    match status.as_u16() {
        // 403 is an expired URL; 400 are expired credentials that signed it.
        401 | 403 => Ok(Transfer::Expired(what)),
        400 if code.contains("Token") || code.contains("Expired") => Ok(Transfer::Expired(what)),
        404 => Err(Failed::Wrong("is missing in S3".to_owned())),
        429 | 500..=599 => Ok(Transfer::Broken(what)),
        _ => Err(Failed::NotFetched(what)),
    }
}

/// A valid presigned URL is as good as a password, so messages must not contain it.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    chain(&error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}
