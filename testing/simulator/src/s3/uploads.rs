//! The operations of multipart uploads.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::bucket::headers;
use super::checksums::{self, Algorithm, claims, show_sum};
use super::lists::{Encoding, owner};
use super::multipart::{Named, Upload};
use super::objects::collect;
use super::service::{Put, S3Service, strong};

const MAX_RESULTS: i32 = 1_000;
const KEY_IN_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

impl S3Service {
    pub(super) fn begin_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .map(Algorithm::of)
            .transpose()?;
        let composite = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            Some(kind) => kind == ChecksumType::COMPOSITE,
            None => algorithm.is_some_and(|algorithm| algorithm != Algorithm::Crc64Nvme),
        };
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            headers: headers!(input),
            algorithm,
            composite,
            begun_at: self.clock.now(),
            parts: std::collections::BTreeMap::new(),
        };
        Ok(S3Response::new(CreateMultipartUploadOutput {
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: algorithm.map(|_| kind(composite)),
            upload_id: Some(self.uploads.begin(upload)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn add_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let claim = checksums::claim(claims!(input))?;
        let bytes = Bytes::from(collect(input.body).await?);
        let sum = checksums::check(
            &bytes,
            input.content_md5.as_deref(),
            claim.as_ref(),
            input.checksum_algorithm.as_ref(),
        )?;
        let part = self.uploads.add(
            (&input.upload_id, &input.bucket, &input.key),
            input.part_number,
            bytes,
            sum,
            self.clock.now(),
        )?;
        let mut answer = UploadPartOutput {
            e_tag: strong(&part.etag),
            ..UploadPartOutput::default()
        };
        show_sum!(answer, part.sum.as_ref());
        Ok(S3Response::new(answer))
    }

    pub(super) fn end_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        let host = req
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let input = req.input;
        let claim = checksums::claim(claims!(input))?;
        let upload = self
            .uploads
            .get(&input.upload_id, &input.bucket, &input.key)?;
        let mut named = Vec::new();
        for part in input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default()
        {
            let claim = checksums::claim(claims!(part))?;
            named.push(Named {
                number: part.part_number.unwrap_or_default(),
                etag: part.e_tag.map(ETag::into_value),
                claim,
            });
        }
        let whole = upload.whole(&named)?;
        if let Some(claim) = &claim {
            whole.sum.bears_out(claim)?;
        }
        if input
            .mpu_object_size
            .is_some_and(|size| i64::try_from(whole.bytes.len()).ok() != Some(size))
        {
            let size = whole.bytes.len();
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was computed: {size}"
            ));
        }
        let put = Put {
            bytes: whole.bytes,
            etag: Some(whole.etag),
            headers: whole.headers,
            sum: Some(whole.sum),
            part_sizes: whole.part_sizes,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let info = self.put(&input.bucket, &input.key, put)?;
        self.uploads
            .remove(&input.upload_id, &input.bucket, &input.key)?;
        let mut answer = CompleteMultipartUploadOutput {
            location: Some(format!(
                "http://{host}/{}/{}",
                input.bucket,
                utf8_percent_encode(&input.key, KEY_IN_URL)
            )),
            e_tag: strong(&info.etag),
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_type: info.sum.as_ref().map(checksums::Sum::kind),
            ..CompleteMultipartUploadOutput::default()
        };
        show_sum!(answer, info.sum.as_ref());
        Ok(S3Response::new(answer))
    }

    pub(super) fn give_up_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.bucket(&req, &req.input.bucket)?;
        self.uploads
            .remove(&req.input.upload_id, &req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) fn parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let bucket = self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let upload = self
            .uploads
            .get(&input.upload_id, &input.bucket, &input.key)?;
        let most = input.max_parts.unwrap_or(MAX_RESULTS).clamp(0, MAX_RESULTS);
        let after = input.part_number_marker.unwrap_or_default();
        let mut found = upload.parts.range(after.saturating_add(1)..);
        let page = found
            .by_ref()
            .take(usize::try_from(most).unwrap_or_default())
            .map(|(number, part)| {
                let mut shown = Part {
                    part_number: Some(*number),
                    e_tag: strong(&part.etag),
                    size: i64::try_from(part.bytes.len()).ok(),
                    last_modified: Some(part.modified_at.into()),
                    ..Part::default()
                };
                show_sum!(shown, part.sum.as_ref());
                shown
            });
        let page: Vec<Part> = page.collect();
        let is_truncated = found.next().is_some();
        Ok(S3Response::new(ListPartsOutput {
            checksum_algorithm: upload
                .algorithm
                .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: upload.algorithm.map(|_| kind(upload.composite)),
            is_truncated: Some(is_truncated),
            max_parts: Some(most),
            part_number_marker: Some(after),
            next_part_number_marker: page.last().and_then(|part| part.part_number).or(Some(0)),
            parts: (!page.is_empty()).then_some(page),
            storage_class: Some(StorageClass::from(upload.headers.class().to_owned())),
            initiator: Some(Initiator {
                id: Some(bucket.owner.clone()),
                display_name: None,
            }),
            owner: Some(owner(&bucket)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) fn list_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let bucket = self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let most = input
            .max_uploads
            .unwrap_or(MAX_RESULTS)
            .clamp(0, MAX_RESULTS);
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let (key_marker, id_marker) = (
            input.key_marker.as_deref().unwrap_or_default(),
            input.upload_id_marker.as_deref(),
        );
        let all = self.uploads.of_bucket(&input.bucket);
        let passed = all
            .iter()
            .position(|(id, upload)| upload.key == key_marker && Some(id.as_str()) == id_marker);
        let mut found = all.iter().enumerate().filter(|(at, (_, upload))| {
            let after = match passed {
                Some(passed) => *at > passed,
                None => upload.key.as_str() > key_marker,
            };
            after && upload.key.starts_with(prefix)
        });
        let (mut shown, mut folded) = (Vec::new(), Vec::new());
        let mut last = None;
        let mut is_truncated = false;
        for (_, (id, upload)) in found.by_ref() {
            let fold = super::listing::fold(&upload.key, prefix, input.delimiter.as_deref());
            if fold.as_ref().is_some_and(|fold| folded.contains(fold)) {
                continue;
            }
            if shown.len() + folded.len() >= usize::try_from(most).unwrap_or_default() {
                is_truncated = true;
                break;
            }
            last = Some((upload.key.clone(), id.clone()));
            match fold {
                Some(fold) => folded.push(fold),
                None => shown.push(MultipartUpload {
                    checksum_algorithm: upload
                        .algorithm
                        .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
                    checksum_type: upload.algorithm.map(|_| kind(upload.composite)),
                    initiated: Some(upload.begun_at.into()),
                    initiator: Some(Initiator {
                        id: Some(bucket.owner.clone()),
                        display_name: None,
                    }),
                    owner: Some(owner(&bucket)),
                    key: Some(encoding.text(&upload.key)),
                    storage_class: Some(StorageClass::from(upload.headers.class().to_owned())),
                    upload_id: Some(id.clone()),
                }),
            }
        }
        let last = last.filter(|_| is_truncated);
        let folded = folded
            .iter()
            .map(|prefix| CommonPrefix {
                prefix: Some(encoding.text(prefix)),
            })
            .collect::<Vec<_>>();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(is_truncated),
            max_uploads: Some(most),
            uploads: (!shown.is_empty()).then_some(shown),
            common_prefixes: (!folded.is_empty()).then_some(folded),
            delimiter: input.delimiter.map(|delimiter| encoding.text(&delimiter)),
            prefix: Some(encoding.text(prefix)),
            key_marker: Some(encoding.text(key_marker)),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker: last.as_ref().map(|(key, _)| encoding.text(key)),
            next_upload_id_marker: last.map(|(_, id)| id),
            encoding_type: input.encoding_type,
            bucket: Some(input.bucket),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

fn kind(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}
