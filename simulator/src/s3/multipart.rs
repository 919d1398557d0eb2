//! Multipart uploads under way. They live in memory: an upload does not survive a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use md5::Digest as _;
use s3s::{S3Result, s3_error};

use super::bucket::Headers;
use super::{parts_etag, plain_etag};

/// The least size of every part but the last.
const LEAST_PART_BYTES: usize = 5 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Uploads {
    under_way: Mutex<HashMap<String, Upload>>,
    begun: AtomicU64,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    headers: Headers,
    parts: BTreeMap<i32, Bytes>,
}

/// An upload put together.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: String,
    pub(super) headers: Headers,
}

impl Uploads {
    pub(super) fn begin(&self, bucket: &str, key: &str, headers: Headers) -> String {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let id = plain_etag(format!("{number} {bucket}/{key}").as_bytes());
        let upload = Upload { bucket: bucket.to_owned(), key: key.to_owned(), headers, parts: BTreeMap::new() };
        self.uploads().insert(id.clone(), upload);
        id
    }

    /// Adds a part; returns its ETag.
    pub(super) fn add(&self, id: &str, bucket: &str, key: &str, number: i32, bytes: Bytes) -> S3Result<String> {
        let mut uploads = self.uploads();
        let upload = uploads.get_mut(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        let upload = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let etag = plain_etag(&bytes);
        upload.parts.insert(number, bytes);
        Ok(etag)
    }

    /// Ends an upload with the parts of these numbers, in this order.
    pub(super) fn complete(&self, id: &str, numbers: &[i32]) -> S3Result<Whole> {
        let mut uploads = self.uploads();
        let upload = uploads.get(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        if numbers.is_empty() || numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut bytes = Vec::new();
        let mut sums = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let part = upload.parts.get(number).ok_or_else(|| s3_error!(InvalidPart))?;
            if part.len() < LEAST_PART_BYTES && at + 1 < numbers.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            sums.push(md5::Md5::digest(part).into());
            bytes.extend_from_slice(part);
        }
        let whole = Whole { bytes, etag: parts_etag(&sums), headers: upload.headers.clone() };
        uploads.remove(id);
        Ok(whole)
    }

    pub(super) fn abort(&self, id: &str) -> S3Result<()> {
        self.uploads().remove(id).map(|_| ()).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
