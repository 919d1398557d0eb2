//! Conditional requests: If-Match and the other conditions, in the order of RFC 9110, and S3's
//! rules for writes and copies.

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

use super::bucket::ObjectInfo;

/// The four conditions of a read or of a copy's source.
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

/// Reads the conditions from an input that has them under their own names.
macro_rules! conditions {
    ($input:expr) => {
        $crate::s3::conditions::Conditions {
            if_match: $input.if_match.as_ref(),
            if_none_match: $input.if_none_match.as_ref(),
            if_modified_since: $input.if_modified_since.as_ref(),
            if_unmodified_since: $input.if_unmodified_since.as_ref(),
        }
    };
}

/// Reads the conditions on a copy's source.
macro_rules! source_conditions {
    ($input:expr) => {
        $crate::s3::conditions::Conditions {
            if_match: $input.copy_source_if_match.as_ref(),
            if_none_match: $input.copy_source_if_none_match.as_ref(),
            if_modified_since: $input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.as_ref(),
        }
    };
}

pub(super) use {conditions, source_conditions};

enum Failed {
    Precondition,
    NotModified,
}

impl Conditions<'_> {
    /// For a read: 412, or 304 with the headers that belong to it.
    pub(super) fn check_read(&self, info: &ObjectInfo) -> S3Result<()> {
        match self.failed(info) {
            None => Ok(()),
            Some(Failed::Precondition) => Err(failed()),
            Some(Failed::NotModified) => {
                let mut headers = HeaderMap::new();
                let mut modified_at = Vec::new();
                let _ = Timestamp::from(info.modified_at)
                    .format(TimestampFormat::HttpDate, &mut modified_at);
                for (name, value) in [
                    (ETAG, format!("\"{}\"", info.etag).into_bytes()),
                    (LAST_MODIFIED, modified_at),
                ] {
                    if let Ok(value) = HeaderValue::from_bytes(&value) {
                        headers.insert(name, value);
                    }
                }
                let mut error = s3_error!(NotModified);
                error.set_headers(headers);
                Err(error)
            }
        }
    }

    /// For a copy's source: 412 if any condition fails.
    pub(super) fn check_source(&self, info: &ObjectInfo) -> S3Result<()> {
        self.failed(info).map_or(Ok(()), |_| Err(failed()))
    }

    fn failed(&self, info: &ObjectInfo) -> Option<Failed> {
        // Last-Modified has whole seconds, and clients send back the value they received.
        let modified_at = info
            .modified_at
            .replace_nanosecond(0)
            .unwrap_or(info.modified_at);
        let time = |given: &Timestamp| OffsetDateTime::from(given.clone());
        if let Some(wanted) = self.if_match {
            if !matches(wanted, info) {
                return Some(Failed::Precondition);
            }
        } else if self
            .if_unmodified_since
            .is_some_and(|since| modified_at > time(since))
        {
            return Some(Failed::Precondition);
        }
        if let Some(unwanted) = self.if_none_match {
            return matches(unwanted, info).then_some(Failed::NotModified);
        }
        self.if_modified_since
            .is_some_and(|since| modified_at <= time(since))
            .then_some(Failed::NotModified)
    }
}

/// For a write or a deletion: whether it may replace or remove the existing object.
pub(super) fn check_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    existing: Option<&ObjectInfo>,
) -> S3Result<()> {
    if let Some(unwanted) = if_none_match {
        if !unwanted.is_any() {
            return Err(not_implemented());
        }
        if existing.is_some() {
            return Err(failed());
        }
    }
    match (if_match, existing) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(wanted), Some(existing)) if matches(wanted, existing) => Ok(()),
        (Some(_), Some(_)) => Err(failed()),
    }
}

/// S3's error for headers that it does not support.
pub(super) fn not_implemented() -> s3s::S3Error {
    s3_error!(
        NotImplemented,
        "A header you provided implies functionality that is not implemented"
    )
}

fn matches(condition: &ETagCondition, info: &ObjectInfo) -> bool {
    condition.is_any()
        || condition
            .as_etag()
            .is_some_and(|etag| etag.value() == info.etag)
}

fn failed() -> s3s::S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}
