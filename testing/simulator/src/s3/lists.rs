//! List operations: objects in both versions of the call, and versions, of which every object has
//! one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::bucket::BucketInfo;
use super::listing::{Page, Query};
use super::service::{S3Service, length, strong};

const MAX_KEYS: i32 = 1_000;
/// Characters that S3 does not encode in a listing with `encoding-type=url`; a blank becomes a
/// plus.
const LISTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/');

/// How keys are written in a listing: unchanged or URL-encoded.
pub(super) struct Encoding {
    url: bool,
}

impl Encoding {
    pub(super) fn of(asked: Option<&EncodingType>) -> Self {
        Self {
            url: asked.is_some_and(|asked| asked.as_str() == EncodingType::URL),
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        if self.url {
            utf8_percent_encode(key, LISTED)
                .to_string()
                .replace("%20", "+")
        } else {
            key.to_owned()
        }
    }
}

/// A bucket's owner, who also owns its objects.
pub(super) fn owner(bucket: &BucketInfo) -> Owner {
    Owner {
        id: Some(bucket.owner.clone()),
        display_name: None,
    }
}

impl S3Service {
    pub(super) fn list_2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let max_keys = most(input.max_keys)?;
        let token = input
            .continuation_token
            .as_deref()
            .map(after_token)
            .transpose()?;
        let after = token.as_deref().or(input.start_after.as_deref());
        let query = query(
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
            after,
            max_keys,
        );
        let page = self.store.list(&input.bucket, &query)?;
        let owner = input
            .fetch_owner
            .unwrap_or_default()
            .then(|| owner(&bucket));
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.common_prefixes.len()).ok(),
            contents: contents(&page, &encoding, owner.as_ref()),
            common_prefixes: folded(&page, &encoding),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| BASE64.encode(next)),
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encoding.text(&delimiter)),
            continuation_token: input.continuation_token,
            start_after: input.start_after.map(|after| encoding.text(&after)),
            encoding_type: input.encoding_type,
            ..ListObjectsV2Output::default()
        }))
    }

    pub(super) fn list_1(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let bucket = self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let max_keys = most(input.max_keys)?;
        let after = input.marker.as_deref();
        let query = query(
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
            after,
            max_keys,
        );
        let page = self.store.list(&input.bucket, &query)?;
        // Without a delimiter, clients continue after the last key.
        let next_marker = page
            .next
            .as_deref()
            .filter(|_| input.delimiter.is_some())
            .map(|next| encoding.text(next));
        Ok(S3Response::new(ListObjectsOutput {
            contents: contents(&page, &encoding, Some(&owner(&bucket))),
            common_prefixes: folded(&page, &encoding),
            is_truncated: Some(page.next.is_some()),
            next_marker,
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encoding.text(&delimiter)),
            marker: Some(encoding.text(input.marker.as_deref().unwrap_or_default())),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        }))
    }

    pub(super) fn list_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let bucket = self.bucket(&req, &req.input.bucket)?;
        let input = req.input;
        let encoding = Encoding::of(input.encoding_type.as_ref());
        let max_keys = most(input.max_keys)?;
        let after = input.key_marker.as_deref();
        let query = query(
            input.prefix.as_deref(),
            input.delimiter.as_deref(),
            after,
            max_keys,
        );
        let page = self.store.list(&input.bucket, &query)?;
        let versions: Vec<ObjectVersion> = page
            .objects
            .iter()
            .map(|(key, info)| ObjectVersion {
                key: Some(encoding.text(key)),
                version_id: Some("null".to_owned()),
                is_latest: Some(true),
                size: length(info.size),
                e_tag: strong(&info.etag),
                last_modified: Some(info.modified_at.into()),
                owner: Some(owner(&bucket)),
                storage_class: Some(ObjectVersionStorageClass::from(
                    info.headers.class().to_owned(),
                )),
                checksum_algorithm: None,
                checksum_type: None,
                restore_status: None,
            })
            .collect();
        Ok(S3Response::new(ListObjectVersionsOutput {
            versions: (!versions.is_empty()).then_some(versions),
            common_prefixes: folded(&page, &encoding),
            is_truncated: Some(page.next.is_some()),
            next_version_id_marker: page.next.as_ref().map(|_| "null".to_owned()),
            next_key_marker: page.next.as_deref().map(|next| encoding.text(next)),
            max_keys: Some(max_keys),
            name: Some(input.bucket),
            prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| encoding.text(&delimiter)),
            key_marker: Some(encoding.text(input.key_marker.as_deref().unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            encoding_type: input.encoding_type,
            ..ListObjectVersionsOutput::default()
        }))
    }
}

fn query<'a>(
    prefix: Option<&'a str>,
    delimiter: Option<&'a str>,
    after: Option<&'a str>,
    max_keys: i32,
) -> Query<'a> {
    Query {
        prefix: prefix.unwrap_or_default(),
        delimiter,
        after,
        max_keys: usize::try_from(max_keys).unwrap_or_default(),
    }
}

fn most(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        )),
        asked => Ok(asked.unwrap_or(MAX_KEYS).min(MAX_KEYS)),
    }
}

fn after_token(token: &str) -> S3Result<String> {
    let key = BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}

fn contents(page: &Page, encoding: &Encoding, owner: Option<&Owner>) -> Option<Vec<Object>> {
    let objects = page.objects.iter().map(|(key, info)| Object {
        key: Some(encoding.text(key)),
        size: length(info.size),
        e_tag: strong(&info.etag),
        last_modified: Some(info.modified_at.into()),
        owner: owner.cloned(),
        storage_class: Some(ObjectStorageClass::from(info.headers.class().to_owned())),
        ..Object::default()
    });
    (!page.objects.is_empty()).then(|| objects.collect())
}

fn folded(page: &Page, encoding: &Encoding) -> Option<Vec<CommonPrefix>> {
    let prefixes = page.common_prefixes.iter().map(|prefix| CommonPrefix {
        prefix: Some(encoding.text(prefix)),
    });
    (!page.common_prefixes.is_empty()).then(|| prefixes.collect())
}
