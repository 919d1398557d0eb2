//! The S3 operations, over the object store.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::bucket::{BucketInfo, Headers, ObjectInfo};
use super::listing::{Page, Query};
use super::multipart::Uploads;
use super::store::{NewObject, ObjectStore, StoreError};
use crate::caller::{Caller, DEFAULT_REGION};
use crate::clock::Clock;
use crate::faults::Instead;
use crate::world::World;

const MOST_KEYS: i32 = 1_000;
const BUCKET_REGION: http::HeaderName = http::HeaderName::from_static("x-amz-bucket-region");

/// S3 as s3s calls it.
pub(crate) struct S3Service {
    store: Arc<ObjectStore>,
    clock: Clock,
    uploads: Uploads,
    world: Arc<World>,
}

impl S3Service {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { store: Arc::clone(&world.store), clock: world.clock.clone(), uploads: Uploads::default(), world }
    }

    /// The faults on order for a call, before it is handled. Those of S3 have S3's codes.
    async fn disturb<T>(&self, operation: &str, request: &S3Request<T>) -> S3Result<()> {
        let region = request.extensions.get::<Caller>().map_or(DEFAULT_REGION, |caller| caller.region.as_str());
        let disturbance = self.world.faults().disturb(operation, None, region);
        if let Some(delay_ms) = disturbance.delay_ms {
            tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        }
        match disturbance.instead {
            None => Ok(()),
            Some(Instead::Hang) => std::future::pending().await,
            Some(Instead::Throttle) => Err(s3_error!(SlowDown, "Please reduce your request rate.")),
            Some(Instead::AccessDenied) => Err(s3_error!(AccessDenied, "Access Denied")),
            Some(Instead::ExpiredCredentials) => Err(s3_error!(ExpiredToken, "The provided token has expired.")),
            Some(Instead::Error500) => Err(s3_error!(InternalError, "We encountered an internal error. Please try again.")),
        }
    }

    /// The bucket a request names, if it exists and is its owner's that the request expects.
    fn bucket<T>(&self, request: &S3Request<T>, name: &str) -> S3Result<BucketInfo> {
        let info = self.store.bucket(name)?;
        let expected = request.headers.get("x-amz-expected-bucket-owner").and_then(|value| value.to_str().ok());
        if expected.is_some_and(|expected| expected != info.owner) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(info)
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<(ObjectInfo, std::path::PathBuf)> {
        self.store.get(bucket, key)?.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>, etag: Option<String>, headers: Headers) -> S3Result<()> {
        let new = NewObject { etag, headers, ..NewObject::of(key, bytes, self.clock.now()) };
        Ok(self.store.put(bucket, new)?)
    }
}

impl From<StoreError> for s3s::S3Error {
    fn from(trouble: StoreError) -> Self {
        let text = trouble.to_string();
        let code = match trouble {
            StoreError::NoSuchBucket => s3s::S3ErrorCode::NoSuchBucket,
            StoreError::BucketExists(_) => s3s::S3ErrorCode::BucketAlreadyExists,
            StoreError::BucketNotEmpty => s3s::S3ErrorCode::BucketNotEmpty,
            StoreError::BadBucketName(_) => s3s::S3ErrorCode::InvalidBucketName,
            StoreError::KeyTooLong => s3s::S3ErrorCode::KeyTooLongError,
            StoreError::Disk(_) => s3s::S3ErrorCode::InternalError,
        };
        Self::with_message(code, text)
    }
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let Some(body) = body else { return Ok(Vec::new()) };
    let pieces: Vec<Bytes> = body.try_collect().await.map_err(|broken| s3_error!(IncompleteBody, "{broken}"))?;
    Ok(pieces.concat())
}

fn strong(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

fn metadata_of(headers: &Headers) -> Option<Metadata> {
    (!headers.metadata.is_empty()).then(|| headers.metadata.clone().into_iter().collect())
}

fn sorted(metadata: Option<Metadata>) -> BTreeMap<String, String> {
    metadata.into_iter().flatten().collect()
}

fn length(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn contents(page: &Page) -> Option<Vec<Object>> {
    let objects = page.objects.iter().map(|(key, info)| Object {
        key: Some(key.clone()),
        size: length(info.size),
        e_tag: strong(&info.etag),
        last_modified: Some(info.modified_at.into()),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Object::default()
    });
    (!page.objects.is_empty()).then(|| objects.collect())
}

fn folded(page: &Page) -> Option<Vec<CommonPrefix>> {
    let prefixes = page.common_prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(prefix.clone()) });
    (!page.common_prefixes.is_empty()).then(|| prefixes.collect())
}

#[async_trait::async_trait]
impl S3 for S3Service {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let constraint = req.input.create_bucket_configuration.and_then(|settings| settings.location_constraint);
        let owner = req.extensions.get::<Caller>().map(|caller| caller.account.clone()).unwrap_or_default();
        let info = BucketInfo {
            owner: owner.clone(),
            region: constraint.map_or_else(|| DEFAULT_REGION.to_owned(), |region| region.as_str().to_owned()),
            deny_exports: false,
            created_at: self.clock.now(),
        };
        let name = req.input.bucket;
        match self.store.create_bucket(&name, info) {
            Err(StoreError::BucketExists(whose)) if whose == owner => Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            )),
            made => {
                made?;
                Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
            }
        }
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        self.store.delete_bucket(&req.input.bucket, false)?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let info = self.store.bucket(&req.input.bucket)?;
        // S3 names a bucket's region also to those whom it tells nothing else.
        let with_region = |mut error: s3s::S3Error| {
            if let Ok(region) = http::HeaderValue::try_from(info.region.as_str()) {
                error.set_headers(http::HeaderMap::from_iter([(BUCKET_REGION, region)]));
            }
            error
        };
        self.disturb("HeadBucket", &req).await.map_err(with_region)?;
        if req.extensions.get::<Caller>().is_some_and(|caller| caller.signed && caller.region != info.region) {
            let sentence = "The bucket you are attempting to access must be addressed using the specified endpoint.";
            return Err(with_region(s3_error!(PermanentRedirect, "{sentence}")));
        }
        self.bucket(&req, &req.input.bucket).map_err(with_region)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(info.region), ..HeadBucketOutput::default() }))
    }

    async fn get_bucket_policy(&self, req: S3Request<GetBucketPolicyInput>) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let name = &req.input.bucket;
        let info = self.bucket(&req, name)?;
        self.disturb("GetBucketPolicy", &req).await?;
        if !info.deny_exports {
            return Err(s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"));
        }
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "DenyExports", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{name}/*"),
        }]});
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy.to_string()) }))
    }

    async fn get_bucket_location(&self, req: S3Request<GetBucketLocationInput>) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let info = self.bucket(&req, &req.input.bucket)?;
        let location_constraint = (info.region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(info.region));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let account = req.extensions.get::<Caller>().map(|caller| caller.account.clone());
        let mine = self.store.bucket_names().into_iter().filter(|(_, info)| account.as_ref().is_none_or(|account| *account == info.owner));
        let buckets = mine.map(|(name, info)| Bucket {
            name: Some(name),
            creation_date: Some(info.created_at.into()),
            bucket_region: Some(info.region),
        });
        let buckets = Some(buckets.collect());
        let owner = Some(Owner { id: account, display_name: None });
        Ok(S3Response::new(ListBucketsOutput { buckets, owner, ..ListBucketsOutput::default() }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let max_keys = input.max_keys.unwrap_or(MOST_KEYS).clamp(0, MOST_KEYS);
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: input.continuation_token.as_deref().or(input.start_after.as_deref()),
            max_keys: usize::try_from(max_keys).unwrap_or_default(),
        };
        let page = self.store.list(&input.bucket, &query)?;
        let (contents, common_prefixes) = (contents(&page), folded(&page));
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.common_prefixes.len()).ok(),
            contents,
            common_prefixes,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: input.prefix.or_else(|| Some(String::new())),
            delimiter: input.delimiter,
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let max_keys = input.max_keys.unwrap_or(MOST_KEYS).clamp(0, MOST_KEYS);
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: input.marker.as_deref(),
            max_keys: usize::try_from(max_keys).unwrap_or_default(),
        };
        let page = self.store.list(&input.bucket, &query)?;
        let (contents, common_prefixes) = (contents(&page), folded(&page));
        Ok(S3Response::new(ListObjectsOutput {
            contents,
            common_prefixes,
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: input.prefix.or_else(|| Some(String::new())),
            delimiter: input.delimiter,
            marker: input.marker.or_else(|| Some(String::new())),
            ..ListObjectsOutput::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let (info, _) = self.object(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: length(info.size),
            e_tag: strong(&info.etag),
            last_modified: Some(info.modified_at.into()),
            metadata: metadata_of(&info.headers),
            content_type: Some(info.headers.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned())),
            content_encoding: info.headers.content_encoding,
            content_disposition: info.headers.content_disposition,
            cache_control: info.headers.cache_control,
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let (info, path) = self.object(&input.bucket, &input.key)?;
        if input
            .if_none_match
            .is_some_and(|condition| condition.is_any() || condition.as_etag().is_some_and(|etag| etag.value() == info.etag))
        {
            return Err(s3_error!(NotModified));
        }
        let bytes = Bytes::from(tokio::fs::read(&path).await.map_err(s3s::S3Error::internal_error)?);
        let (bytes, content_range) = match input.range {
            None => (bytes, None),
            Some(range) => {
                let range = range.check(info.size)?;
                let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), info.size);
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                (bytes.slice(at(range.start)..at(range.end)), Some(text))
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(bytes.len()).ok(),
            content_range,
            body: Some(StreamingBlob::from(s3s::Body::from(bytes))),
            e_tag: strong(&info.etag),
            last_modified: Some(info.modified_at.into()),
            metadata: metadata_of(&info.headers),
            content_type: input.response_content_type.or(info.headers.content_type).or_else(|| Some("binary/octet-stream".to_owned())),
            content_encoding: input.response_content_encoding.or(info.headers.content_encoding),
            content_disposition: input.response_content_disposition.or(info.headers.content_disposition),
            cache_control: input.response_cache_control.or(info.headers.cache_control),
            ..GetObjectOutput::default()
        }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        if input.if_none_match.is_some() && self.store.get(&input.bucket, &input.key)?.is_some() {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        let bytes = collect(input.body).await?;
        let etag = super::plain_etag(&bytes);
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: sorted(input.metadata),
        };
        self.put(&input.bucket, &input.key, bytes, None, headers)?;
        Ok(S3Response::new(PutObjectOutput { e_tag: strong(&etag), ..PutObjectOutput::default() }))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else { return Err(s3_error!(NotImplemented)) };
        let (info, path) = self.object(bucket, key)?;
        let bytes = tokio::fs::read(&path).await.map_err(s3s::S3Error::internal_error)?;
        let etag = super::plain_etag(&bytes);
        self.put(&input.bucket, &input.key, bytes, None, info.headers)?;
        let result = CopyObjectResult { e_tag: strong(&etag), last_modified: Some(self.clock.now().into()), ..CopyObjectResult::default() };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        self.store.delete(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.store.delete(&input.bucket, &object.key)?;
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        let deleted = (!input.delete.quiet.unwrap_or_default()).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: sorted(input.metadata),
        };
        let upload_id = self.uploads.begin(&input.bucket, &input.key, headers);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let bytes = Bytes::from(collect(input.body).await?);
        let etag = self.uploads.add(&input.upload_id, &input.bucket, &input.key, input.part_number, bytes)?;
        Ok(S3Response::new(UploadPartOutput { e_tag: strong(&etag), ..UploadPartOutput::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let numbers: Vec<i32> = parts.iter().filter_map(|part| part.part_number).collect();
        let whole = self.uploads.complete(&input.upload_id, &numbers)?;
        self.put(&input.bucket, &input.key, whole.bytes, Some(whole.etag.clone()), whole.headers)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: strong(&whole.etag),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(&self, req: S3Request<AbortMultipartUploadInput>) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.uploads.abort(&req.input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
