//! Copies: of whole objects, and of ranges as parts of an upload.

use bytes::Bytes;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::bucket::{Headers, ObjectInfo, headers};
use super::checksums::{Algorithm, Sum, show_sum};
use super::conditions::{Conditions, source_conditions};
use super::service::{Put, S3Service, strong};

/// The source of a copy.
struct Source {
    info: ObjectInfo,
    bytes: Vec<u8>,
    is_same: bool,
}

impl S3Service {
    pub(super) async fn copy(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let target = (input.bucket.as_str(), input.key.as_str());
        let owner = input.expected_source_bucket_owner.as_deref();
        let source = self
            .source(
                &input.copy_source,
                owner,
                &source_conditions!(input),
                target,
            )
            .await?;
        let replaces = input
            .metadata_directive
            .as_ref()
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let changes =
            replaces || input.storage_class.is_some() || input.server_side_encryption.is_some();
        if source.is_same && !changes {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let given: Headers = headers!(input);
        let headers = if replaces {
            given
        } else {
            Headers {
                storage_class: given.storage_class,
                ..source.info.headers
            }
        };
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(Algorithm::of)
            .transpose()?;
        let algorithm = algorithm.or(source.info.sum.map(|sum| sum.algorithm));
        let sum = algorithm.map(|algorithm| Sum::of(algorithm, &source.bytes));
        let info = self.put(
            &input.bucket,
            &input.key,
            Put {
                bytes: source.bytes,
                headers,
                sum,
                ..Put::default()
            },
        )?;
        let mut result = CopyObjectResult {
            e_tag: strong(&info.etag),
            last_modified: Some(info.modified_at.into()),
            checksum_type: info.sum.as_ref().map(Sum::kind),
            ..CopyObjectResult::default()
        };
        show_sum!(result, info.sum.as_ref());
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    pub(super) async fn copy_part(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let target = (input.bucket.as_str(), input.key.as_str());
        let owner = input.expected_source_bucket_owner.as_deref();
        let source = self
            .source(
                &input.copy_source,
                owner,
                &source_conditions!(input),
                target,
            )
            .await?;
        let bytes = match input.copy_source_range.as_deref() {
            None => Bytes::from(source.bytes),
            Some(range) => {
                let (start, end) = range_of(range, source.bytes.len()).ok_or_else(|| {
                    s3_error!(
                        InvalidArgument,
                        "Range specified is not valid for source object of size: {}",
                        source.bytes.len()
                    )
                })?;
                Bytes::from(source.bytes).slice(start..end)
            }
        };
        let upload = (
            input.upload_id.as_str(),
            input.bucket.as_str(),
            input.key.as_str(),
        );
        let part = self
            .uploads
            .add(upload, input.part_number, bytes, None, self.clock.now())?;
        let mut result = CopyPartResult {
            e_tag: strong(&part.etag),
            last_modified: Some(part.modified_at.into()),
            ..CopyPartResult::default()
        };
        show_sum!(result, part.sum.as_ref());
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..UploadPartCopyOutput::default()
        }))
    }

    async fn source(
        &self,
        named: &CopySource,
        owner: Option<&str>,
        conditions: &Conditions<'_>,
        target: (&str, &str),
    ) -> S3Result<Source> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = named
        else {
            return Err(s3_error!(
                NotImplemented,
                "Access points are not part of this simulator"
            ));
        };
        if owner.is_some_and(|owner| {
            self.store
                .bucket(bucket)
                .is_ok_and(|info| info.owner != owner)
        }) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        let (info, path) = self.object(bucket, key, version_id.as_deref())?;
        conditions.check_source(&info)?;
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(s3s::S3Error::internal_error)?;
        Ok(Source {
            info,
            bytes,
            is_same: (&**bucket, &**key) == target,
        })
    }
}

/// `bytes=first-last`, both required and within the source.
fn range_of(text: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < length).then_some((first, last + 1))
}
