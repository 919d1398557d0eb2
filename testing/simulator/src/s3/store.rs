//! The object store: an index in memory, journals and files on disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use super::bucket::{Access, Bucket, BucketInfo, Headers, ObjectInfo};
use super::checksums::{Algorithm, Sum};
use super::files::{self, OWN_FOLDER};
use super::journal::{Entry, Journal};
use super::listing::{Page, Query, list};
use super::plain_etag;

/// S3's own limit.
const MAX_KEY_BYTES: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("The specified bucket does not exist")]
    NoSuchBucket,
    /// A bucket with that name exists; holds its owner.
    #[error("The bucket exists already and belongs to {0}")]
    BucketExists(String),
    #[error("The bucket you tried to delete is not empty")]
    BucketNotEmpty,
    #[error("'{0}' is not a bucket name")]
    BadBucketName(String),
    /// The key has more than 1,024 bytes.
    #[error("Your key is too long")]
    KeyTooLong,
    /// An I/O error.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
}

#[derive(Debug)]
pub(crate) struct ObjectStore {
    root: PathBuf,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

pub(crate) struct NewObject {
    pub(crate) key: String,
    pub(crate) bytes: Vec<u8>,
    /// The ETag, if it is not that of a simple put.
    pub(crate) etag: Option<String>,
    pub(crate) modified_at: OffsetDateTime,
    pub(crate) headers: Headers,
    /// A checksum; if absent, S3 computes CRC64NVME.
    pub(crate) sum: Option<Sum>,
    pub(crate) part_sizes: Vec<u64>,
}

impl NewObject {
    pub(crate) fn of(key: &str, bytes: Vec<u8>, modified_at: OffsetDateTime) -> Self {
        Self {
            key: key.to_owned(),
            bytes,
            etag: None,
            modified_at,
            headers: Headers::default(),
            sum: None,
            part_sizes: Vec::new(),
        }
    }
}

impl ObjectStore {
    /// Opens the store in a folder, which is created if it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self, std::io::Error> {
        let own = root.join(OWN_FOLDER);
        let unfinished = own.join("unfinished");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        for folder in [own.join("buckets"), own.join("objects"), unfinished] {
            std::fs::create_dir_all(folder)?;
        }
        let mut buckets = BTreeMap::new();
        for journal in std::fs::read_dir(own.join("buckets"))? {
            let path = journal?.path();
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .map(str::to_owned);
            if let (Some(name), true) = (name, path.extension().is_some_and(|kind| kind == "jsonl"))
                && let Some(bucket) = Journal::read(&path)?
            {
                buckets.insert(name, bucket);
            }
        }
        Ok(Self {
            root: root.to_owned(),
            buckets: Mutex::new(buckets),
        })
    }

    pub(crate) fn create_bucket(&self, name: &str, info: BucketInfo) -> Result<(), StoreError> {
        if !is_bucket_name(name) {
            return Err(StoreError::BadBucketName(name.to_owned()));
        }
        let mut buckets = self.buckets();
        let MapEntry::Vacant(vacant) = buckets.entry(name.to_owned()) else {
            return Err(StoreError::BucketExists(buckets[name].info.owner.clone()));
        };
        std::fs::create_dir_all(self.root.join(name))?;
        let path = self
            .root
            .join(OWN_FOLDER)
            .join("buckets")
            .join(format!("{name}.jsonl"));
        let journal = Journal::create(&path, &info)?;
        vacant.insert(Bucket {
            info,
            objects: BTreeMap::new(),
            journal,
        });
        Ok(())
    }

    pub(crate) fn change_bucket(
        &self,
        name: &str,
        change: impl FnOnce(&mut BucketInfo),
    ) -> Result<(), StoreError> {
        let mut buckets = self.buckets();
        let bucket = buckets.get_mut(name).ok_or(StoreError::NoSuchBucket)?;
        change(&mut bucket.info);
        let entry = Entry::Bucket(bucket.info.clone());
        Ok(bucket.journal.append(&entry)?)
    }

    /// Deletes a bucket; with `force` its objects too.
    pub(crate) fn delete_bucket(&self, name: &str, force: bool) -> Result<(), StoreError> {
        let mut buckets = self.buckets();
        let bucket = buckets.get(name).ok_or(StoreError::NoSuchBucket)?;
        if !bucket.objects.is_empty() && !force {
            return Err(StoreError::BucketNotEmpty);
        }
        if let Some(bucket) = buckets.remove(name) {
            for object in bucket.objects.values() {
                files::remove(&self.root, name, &object.file);
            }
            let _ = std::fs::remove_dir(self.root.join(name));
            bucket.journal.remove()?;
        }
        Ok(())
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<BucketInfo, StoreError> {
        self.buckets()
            .get(name)
            .map(|bucket| bucket.info.clone())
            .ok_or(StoreError::NoSuchBucket)
    }

    pub(crate) fn bucket_names(&self) -> Vec<(String, BucketInfo)> {
        self.buckets()
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.info.clone()))
            .collect()
    }

    /// Whether an export of an account may write to a bucket.
    pub(crate) fn access(
        &self,
        name: &str,
        exporter: &str,
        expected_owner: Option<&str>,
    ) -> Access {
        self.buckets()
            .get(name)
            .map_or(Access::NoSuchBucket, |bucket| {
                bucket.access(exporter, expected_owner)
            })
    }

    /// Puts an object and returns its metadata.
    pub(crate) fn put(&self, bucket: &str, new: NewObject) -> Result<ObjectInfo, StoreError> {
        if !self.buckets().contains_key(bucket) {
            return Err(StoreError::NoSuchBucket);
        }
        if new.key.len() > MAX_KEY_BYTES {
            return Err(StoreError::KeyTooLong);
        }
        let file = files::write(&self.root, bucket, &new.key, &new.bytes)?;
        let info = ObjectInfo {
            file,
            size: u64::try_from(new.bytes.len()).unwrap_or(u64::MAX),
            etag: new.etag.unwrap_or_else(|| plain_etag(&new.bytes)),
            modified_at: new.modified_at,
            headers: new.headers,
            sum: Some(
                new.sum
                    .unwrap_or_else(|| Sum::of(Algorithm::Crc64Nvme, &new.bytes)),
            ),
            part_sizes: new.part_sizes,
        };
        let mut buckets = self.buckets();
        let kept = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        kept.journal.append(&Entry::Put {
            key: new.key.clone(),
            info: Box::new(info.clone()),
        })?;
        if let Some(old) = kept
            .objects
            .insert(new.key, info.clone())
            .filter(|old| old.file != info.file)
        {
            files::remove(&self.root, bucket, &old.file);
        }
        Ok(info)
    }

    /// An object's metadata and file; `None` if the key does not exist.
    pub(crate) fn get(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(ObjectInfo, PathBuf)>, StoreError> {
        let buckets = self.buckets();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(bucket
            .objects
            .get(key)
            .map(|info| (info.clone(), self.root.join(&info.file))))
    }

    /// Deletes an object. Succeeds if it does not exist, as S3 does.
    pub(crate) fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        let mut buckets = self.buckets();
        let kept = buckets.get_mut(bucket).ok_or(StoreError::NoSuchBucket)?;
        if let Some(old) = kept.objects.remove(key) {
            kept.journal.append(&Entry::Delete {
                key: key.to_owned(),
            })?;
            files::remove(&self.root, bucket, &old.file);
        }
        Ok(())
    }

    pub(crate) fn list(&self, bucket: &str, query: &Query<'_>) -> Result<Page, StoreError> {
        let buckets = self.buckets();
        let bucket = buckets.get(bucket).ok_or(StoreError::NoSuchBucket)?;
        Ok(list(&bucket.objects, query))
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_bucket_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
}
