//! Multipart uploads in progress. They are kept in memory and do not survive a restart.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use md5::Digest as _;
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use super::bucket::Headers;
use super::checksums::{Algorithm, Claim, Sum};
use super::{parts_etag, plain_etag};

/// The minimum size of every part except the last.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;
const PART_NUMBERS: RangeInclusive<i32> = 1..=10_000;

#[derive(Debug, Default)]
pub(super) struct Uploads {
    under_way: Mutex<HashMap<String, Upload>>,
    begun: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) headers: Headers,
    /// The checksum algorithm requested at creation, and whether the checksum is composite (over
    /// the checksums of the parts).
    pub(super) algorithm: Option<Algorithm>,
    pub(super) composite: bool,
    pub(super) begun_at: OffsetDateTime,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    pub(super) sum: Option<Sum>,
    pub(super) modified_at: OffsetDateTime,
}

/// A part as the call that completes an upload lists it.
pub(super) struct Named {
    pub(super) number: i32,
    pub(super) etag: Option<String>,
    pub(super) claim: Option<Claim>,
}

/// A completed upload.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: String,
    pub(super) headers: Headers,
    pub(super) sum: Sum,
    pub(super) part_sizes: Vec<u64>,
}

impl Uploads {
    pub(super) fn begin(&self, upload: Upload) -> String {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let id = plain_etag(format!("{number} {}/{}", upload.bucket, upload.key).as_bytes());
        self.uploads().insert(id.clone(), upload);
        id
    }

    pub(super) fn add(
        &self,
        (id, bucket, key): (&str, &str, &str),
        number: i32,
        bytes: Bytes,
        sum: Option<Sum>,
        modified_at: OffsetDateTime,
    ) -> S3Result<Part> {
        if !PART_NUMBERS.contains(&number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        let mut uploads = self.uploads();
        let upload = uploads
            .get_mut(id)
            .filter(|upload| upload.is_of(bucket, key))
            .ok_or_else(no_such_upload)?;
        let sum = sum.or_else(|| upload.algorithm.map(|algorithm| Sum::of(algorithm, &bytes)));
        let part = Part {
            etag: plain_etag(&bytes),
            bytes,
            sum,
            modified_at,
        };
        upload.parts.insert(number, part.clone());
        Ok(part)
    }

    pub(super) fn get(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        self.uploads()
            .get(id)
            .filter(|upload| upload.is_of(bucket, key))
            .cloned()
            .ok_or_else(no_such_upload)
    }

    /// The uploads of a bucket, ordered by key and then by age.
    pub(super) fn of_bucket(&self, bucket: &str) -> Vec<(String, Upload)> {
        let uploads = self.uploads();
        let mut found: Vec<_> = uploads
            .iter()
            .filter(|(_, upload)| upload.bucket == bucket)
            .map(|(id, upload)| (id.clone(), upload.clone()))
            .collect();
        found.sort_by(|(a, one), (b, other)| {
            (&one.key, one.begun_at, a).cmp(&(&other.key, other.begun_at, b))
        });
        found
    }

    /// Removes an upload that was completed or aborted.
    pub(super) fn remove(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        self.get(id, bucket, key)?;
        self.uploads().remove(id);
        Ok(())
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn is_of(&self, bucket: &str, key: &str) -> bool {
        self.bucket == bucket && self.key == key
    }

    /// Joins the listed parts.
    pub(super) fn whole(&self, named: &[Named]) -> S3Result<Whole> {
        if named.is_empty() {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        if named
            .windows(2)
            .any(|pair| pair[0].number >= pair[1].number)
        {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let mut parts = Vec::new();
        for (at, named_part) in named.iter().enumerate() {
            let fits = |part: &&Part| {
                named_part
                    .etag
                    .as_ref()
                    .is_none_or(|etag| *etag == part.etag)
            };
            let part = self
                .parts
                .get(&named_part.number)
                .filter(fits)
                .ok_or_else(invalid_part)?;
            if let Some(claim) = &named_part.claim {
                Sum::of(claim.algorithm, &part.bytes)
                    .bears_out(claim)
                    .map_err(|_| invalid_part())?;
            }
            if part.bytes.len() < MIN_PART_BYTES && at + 1 < named.len() {
                return Err(s3_error!(
                    EntityTooSmall,
                    "Your proposed upload is smaller than the minimum allowed size"
                ));
            }
            parts.push(part);
        }
        let md5s: Vec<[u8; 16]> = parts
            .iter()
            .map(|part| md5::Md5::digest(&part.bytes).into())
            .collect();
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.bytes.iter().copied())
            .collect();
        let sum = match self.algorithm {
            Some(algorithm) if self.composite => {
                Sum::composite(algorithm, parts.iter().map(|part| &part.bytes[..]))
            }
            algorithm => Sum::of(algorithm.unwrap_or(Algorithm::Crc64Nvme), &bytes),
        };
        let part_sizes = parts
            .iter()
            .map(|part| u64::try_from(part.bytes.len()).unwrap_or(u64::MAX))
            .collect();
        Ok(Whole {
            bytes,
            etag: parts_etag(&md5s),
            headers: self.headers.clone(),
            sum,
            part_sizes,
        })
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn invalid_part() -> s3s::S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    )
}
