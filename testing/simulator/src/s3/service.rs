//! The S3 service: its state, and what the operations share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Request, S3Result, s3_error};

use super::bucket::{BucketInfo, Headers, ObjectInfo};
use super::checksums::Sum;
use super::conditions::check_write;
use super::multipart::Uploads;
use super::objects::check_version;
use super::store::{NewObject, ObjectStore, StoreError};
use crate::caller::{Caller, DEFAULT_REGION};
use crate::clock::Clock;
use crate::faults::Instead;
use crate::world::World;

/// S3 as s3s calls it.
pub(crate) struct S3Service {
    pub(super) store: Arc<ObjectStore>,
    pub(super) clock: Clock,
    pub(super) uploads: Uploads,
    pub(super) world: Arc<World>,
    /// Held from the check of a write's conditions to its end, so that only one of two conditional
    /// writes succeeds.
    writing: Mutex<()>,
}

/// A put: the object's bytes, its metadata and the conditions.
#[derive(Default)]
pub(super) struct Put {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: Option<String>,
    pub(super) headers: Headers,
    pub(super) sum: Option<Sum>,
    pub(super) part_sizes: Vec<u64>,
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl S3Service {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            store: Arc::clone(&world.store),
            clock: world.clock.clone(),
            uploads: Uploads::default(),
            world,
            writing: Mutex::new(()),
        }
    }

    /// Applies the fault rules to a call before it is handled. S3's faults use S3's error codes.
    pub(super) async fn disturb<T>(&self, operation: &str, request: &S3Request<T>) -> S3Result<()> {
        let region = request
            .extensions
            .get::<Caller>()
            .map_or(DEFAULT_REGION, |caller| caller.region.as_str());
        let disturbance = self.world.faults().disturb(operation, None, region);
        if let Some(delay_ms) = disturbance.delay_ms {
            tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        }
        match disturbance.instead {
            None => Ok(()),
            Some(Instead::Hang) => std::future::pending().await,
            Some(Instead::Throttle) => Err(s3_error!(SlowDown, "Please reduce your request rate.")),
            Some(Instead::AccessDenied) => Err(s3_error!(AccessDenied, "Access Denied")),
            Some(Instead::ExpiredCredentials) => {
                Err(s3_error!(ExpiredToken, "The provided token has expired."))
            }
            Some(Instead::Error500) => Err(s3_error!(
                InternalError,
                "We encountered an internal error. Please try again."
            )),
        }
    }

    /// The bucket that a request names, if it exists and has the expected owner.
    pub(super) fn bucket<T>(&self, request: &S3Request<T>, name: &str) -> S3Result<BucketInfo> {
        let info = self.store.bucket(name)?;
        let expected = request
            .headers
            .get("x-amz-expected-bucket-owner")
            .and_then(|value| value.to_str().ok());
        if expected.is_some_and(|expected| expected != info.owner) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(info)
    }

    pub(super) fn object(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<(ObjectInfo, PathBuf)> {
        check_version(version)?;
        self.store
            .get(bucket, key)?
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    /// Puts an object if its conditions hold, and returns its metadata.
    pub(super) fn put(&self, bucket: &str, key: &str, put: Put) -> S3Result<ObjectInfo> {
        let _writing = self.writing();
        if put.if_match.is_some() || put.if_none_match.is_some() {
            let existing = self.store.get(bucket, key)?.map(|(info, _)| info);
            check_write(
                put.if_match.as_ref(),
                put.if_none_match.as_ref(),
                existing.as_ref(),
            )?;
        }
        let new = NewObject {
            etag: put.etag,
            headers: put.headers,
            sum: put.sum,
            part_sizes: put.part_sizes,
            ..NewObject::of(key, put.bytes, self.clock.now())
        };
        Ok(self.store.put(bucket, new)?)
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StoreError> for s3s::S3Error {
    fn from(trouble: StoreError) -> Self {
        match trouble {
            StoreError::NoSuchBucket => {
                s3_error!(NoSuchBucket, "The specified bucket does not exist")
            }
            StoreError::BucketExists(_) => s3_error!(
                BucketAlreadyExists,
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
            ),
            StoreError::BucketNotEmpty => s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty"
            ),
            StoreError::BadBucketName(_) => {
                s3_error!(InvalidBucketName, "The specified bucket is not valid.")
            }
            StoreError::KeyTooLong => s3_error!(KeyTooLongError, "Your key is too long"),
            StoreError::Disk(trouble) => Self::internal_error(trouble),
        }
    }
}

pub(super) fn strong(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

pub(super) fn length(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}
