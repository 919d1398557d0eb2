//! Object operations: get, put, head and delete.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::bucket::{Headers, ObjectInfo, headers};
use super::checksums::{self, claims, show_sum};
use super::conditions::{check_write, conditions, not_implemented};
use super::service::{Put, S3Service, length, strong};

const NO_VERSION: &str = "null";
const MAX_PARTS: i32 = 1_000;

/// The byte range that a request asks for.
struct Slice {
    start: u64,
    end: u64,
    content_range: Option<String>,
    parts_count: Option<i32>,
}

impl Slice {
    fn of(info: &ObjectInfo, range: Option<Range>, part_number: Option<i32>) -> S3Result<Self> {
        let content_range = |start: u64, end: u64| {
            Some(format!(
                "bytes {start}-{}/{}",
                end.saturating_sub(1),
                info.size
            ))
        };
        match (range, part_number) {
            (Some(_), Some(_)) => Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            )),
            (None, None) => Ok(Self {
                start: 0,
                end: info.size,
                content_range: None,
                parts_count: None,
            }),
            (Some(range), None) => {
                let range = range.check(info.size).map_err(|_| {
                    s3_error!(InvalidRange, "The requested range is not satisfiable")
                })?;
                Ok(Self {
                    start: range.start,
                    end: range.end,
                    content_range: content_range(range.start, range.end),
                    parts_count: None,
                })
            }
            (None, Some(number)) => {
                let sizes = if info.part_sizes.is_empty() {
                    &[info.size][..]
                } else {
                    &info.part_sizes
                };
                let at = usize::try_from(number)
                    .ok()
                    .and_then(|number| number.checked_sub(1))
                    .filter(|at| *at < sizes.len());
                let at = at.ok_or_else(no_such_part)?;
                let start: u64 = sizes[..at].iter().sum();
                let end = start + sizes[at];
                let content_range = (end > start).then(|| content_range(start, end)).flatten();
                let parts_count = (!info.part_sizes.is_empty())
                    .then(|| i32::try_from(sizes.len()).unwrap_or(i32::MAX));
                Ok(Self {
                    start,
                    end,
                    content_range,
                    parts_count,
                })
            }
        }
    }

    fn is_whole(&self, info: &ObjectInfo) -> bool {
        self.end - self.start == info.size
    }
}

/// Fills in the members that responses to GET and HEAD share.
macro_rules! describe {
    ($answer:expr, $input:expr, $info:expr, $slice:expr) => {{
        let headers = $info.headers.clone();
        $answer.accept_ranges = Some("bytes".to_owned());
        $answer.content_length = length($slice.end - $slice.start);
        $answer.content_range = $slice.content_range.clone();
        $answer.parts_count = $slice.parts_count;
        $answer.e_tag = strong(&$info.etag);
        $answer.last_modified = Some($info.modified_at.into());
        $answer.storage_class = headers
            .storage_class
            .filter(|class| class != StorageClass::STANDARD)
            .map(StorageClass::from);
        $answer.content_type = $input
            .response_content_type
            .or(headers.content_type)
            .or_else(|| Some("binary/octet-stream".to_owned()));
        $answer.content_encoding = $input
            .response_content_encoding
            .or(headers.content_encoding);
        $answer.content_disposition = $input
            .response_content_disposition
            .or(headers.content_disposition);
        $answer.cache_control = $input.response_cache_control.or(headers.cache_control);
        $answer.content_language = $input
            .response_content_language
            .or(headers.content_language);
        $answer.expires = $input
            .response_expires
            .or(headers.expires.map(Timestamp::from));
        $answer.metadata =
            (!headers.metadata.is_empty()).then(|| headers.metadata.into_iter().collect());
        let asked = $input
            .checksum_mode
            .is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        if let Some(sum) = $info
            .sum
            .as_ref()
            .filter(|_| asked && $slice.is_whole(&$info))
        {
            show_sum!($answer, Some(sum));
            $answer.checksum_type = Some(sum.kind());
        }
    }};
}

impl S3Service {
    pub(super) async fn get(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let (info, path) = self.object(&input.bucket, &input.key, input.version_id.as_deref())?;
        conditions!(input).check_read(&info)?;
        let slice = Slice::of(&info, input.range, input.part_number)?;
        let bytes = Bytes::from(
            tokio::fs::read(&path)
                .await
                .map_err(s3s::S3Error::internal_error)?,
        );
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let bytes = bytes.slice(at(slice.start)..at(slice.end));
        let mut answer = GetObjectOutput::default();
        describe!(answer, input, info, slice);
        answer.content_length = i64::try_from(bytes.len()).ok();
        answer.body = Some(StreamingBlob::from(s3s::Body::from(bytes)));
        Ok(S3Response::new(answer))
    }

    pub(super) fn head(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let (info, _) = self.object(&input.bucket, &input.key, input.version_id.as_deref())?;
        conditions!(input).check_read(&info)?;
        let slice = Slice::of(&info, input.range, input.part_number)?;
        let mut answer = HeadObjectOutput::default();
        describe!(answer, input, info, slice);
        Ok(S3Response::new(answer))
    }

    pub(super) async fn put_one(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        if input.write_offset_bytes.is_some() {
            return Err(not_implemented());
        }
        let headers: Headers = headers!(input);
        let claim = checksums::claim(claims!(input))?;
        let bytes = collect(input.body).await?;
        let sum = checksums::check(
            &bytes,
            input.content_md5.as_deref(),
            claim.as_ref(),
            input.checksum_algorithm.as_ref(),
        )?;
        let put = Put {
            bytes,
            headers,
            sum,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            ..Put::default()
        };
        let info = self.put(&input.bucket, &input.key, put)?;
        let mut answer = PutObjectOutput {
            e_tag: strong(&info.etag),
            ..PutObjectOutput::default()
        };
        show_sum!(answer, info.sum.as_ref());
        answer.checksum_type = info.sum.as_ref().map(checksums::Sum::kind);
        Ok(S3Response::new(answer))
    }

    pub(super) fn delete(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        self.delete_one(
            &input.bucket,
            &input.key,
            input.version_id.as_deref(),
            input.if_match.as_ref(),
        )?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) fn delete_many(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let wanted = object.e_tag.map(ETagCondition::ETag);
            match self.delete_one(
                &input.bucket,
                &object.key,
                object.version_id.as_deref(),
                wanted.as_ref(),
            ) {
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    version_id: object.version_id,
                    ..DeletedObject::default()
                }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(object.key),
                    version_id: object.version_id,
                }),
            }
        }
        let deleted = (!input.delete.quiet.unwrap_or_default()).then_some(deleted);
        let errors = (!errors.is_empty()).then_some(errors);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted,
            errors,
            ..DeleteObjectsOutput::default()
        }))
    }

    fn delete_one(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        if_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        check_version(version)?;
        let _writing = self.writing();
        if if_match.is_some() {
            check_write(
                if_match,
                None,
                self.store.get(bucket, key)?.map(|(info, _)| info).as_ref(),
            )?;
        }
        Ok(self.store.delete(bucket, key)?)
    }

    pub(super) fn attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let (info, _) = self.object(&input.bucket, &input.key, input.version_id.as_deref())?;
        let asked = |name: &str| {
            // Clients send all of them in one header.
            input
                .object_attributes
                .iter()
                .flat_map(|attributes| attributes.as_str().split(','))
                .any(|attribute| attribute.trim() == name)
        };
        let mut answer = GetObjectAttributesOutput {
            last_modified: Some(info.modified_at.into()),
            ..GetObjectAttributesOutput::default()
        };
        if asked(ObjectAttributes::ETAG) {
            answer.e_tag = strong(&info.etag);
        }
        if asked(ObjectAttributes::OBJECT_SIZE) {
            answer.object_size = length(info.size);
        }
        if asked(ObjectAttributes::STORAGE_CLASS) {
            answer.storage_class = Some(StorageClass::from(info.headers.class().to_owned()));
        }
        if asked(ObjectAttributes::CHECKSUM)
            && let Some(sum) = &info.sum
        {
            let mut checksum = Checksum {
                checksum_type: Some(sum.kind()),
                ..Checksum::default()
            };
            show_sum!(checksum, Some(sum));
            answer.checksum = Some(checksum);
        }
        if asked(ObjectAttributes::OBJECT_PARTS) && !info.part_sizes.is_empty() {
            let after = input.part_number_marker.unwrap_or_default();
            let most = input.max_parts.unwrap_or(MAX_PARTS).clamp(0, MAX_PARTS);
            let numbered = (1..)
                .zip(&info.part_sizes)
                .skip_while(|(number, _)| *number <= after);
            let parts: Vec<ObjectPart> = numbered
                .take(usize::try_from(most).unwrap_or_default())
                .map(|(number, size)| ObjectPart {
                    part_number: Some(number),
                    size: length(*size),
                    ..ObjectPart::default()
                })
                .collect();
            let total = i32::try_from(info.part_sizes.len()).unwrap_or(i32::MAX);
            let last = parts
                .last()
                .and_then(|part| part.part_number)
                .unwrap_or(after);
            answer.object_parts = Some(GetObjectAttributesParts {
                is_truncated: Some(last < total),
                max_parts: Some(most),
                next_part_number_marker: Some(last),
                part_number_marker: Some(after),
                parts: Some(parts),
                total_parts_count: Some(total),
            });
        }
        Ok(S3Response::new(answer))
    }
}

fn no_such_part() -> s3s::S3Error {
    let code = s3s::S3ErrorCode::Custom("InvalidPartNumber".into());
    let mut error = s3s::S3Error::with_message(code, "The requested partnumber is not satisfiable");
    error.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
    error
}

/// Every object has one version, as in an unversioned bucket.
pub(super) fn check_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some(NO_VERSION) => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid version id specified")),
    }
}

pub(super) async fn collect(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let Some(body) = body else {
        return Ok(Vec::new());
    };
    let pieces: Vec<Bytes> = body
        .try_collect()
        .await
        .map_err(|broken| s3_error!(IncompleteBody, "{broken}"))?;
    Ok(pieces.concat())
}
