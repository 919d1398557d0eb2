//! S3 objects: metadata, contents in pieces, and presigned URLs.

use std::time::{Duration, Instant};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::Bytes;
use tableferry_domain::aws::failure::{AwsFailure, FailureClass};
use tableferry_domain::error_chain::in_words;
use tableferry_domain::export::output::{ObjectFacts, Output};
use tableferry_domain::timestamp::Timestamp;

use super::call::make;
use super::operations::Operation;
use super::s3_error::{finish, is_missing};

/// Maximum time without a byte in the middle of an object.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// A bucket, with a client for its region.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
    owner: Option<String>,
}

/// An object that is being read.
#[derive(Debug)]
pub struct ObjectBody {
    /// Metadata. If only the end is read, the length is that of the end.
    pub facts: ObjectFacts,
    stream: ByteStream,
    received_bytes: u64,
    /// Time spent waiting for S3; the time that the reader needs does not count.
    waited: Duration,
}

/// Minimum rate of an object, checked after [`RATE_COUNTS_AFTER`] of waiting, so that a slow object
/// cannot block its reader.
const MIN_BYTES_PER_S: f64 = 16_384.0;
const RATE_COUNTS_AFTER: Duration = Duration::from_secs(60);

impl Bucket {
    pub(super) fn new(client: aws_sdk_s3::Client, output: &Output) -> Self {
        Self {
            client,
            name: output.bucket.clone(),
            owner: output.bucket_owner.clone(),
        }
    }

    /// Metadata of an object (HeadObject); `None` if it does not exist.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectFacts>, AwsFailure> {
        let call = self
            .client
            .head_object()
            .bucket(&self.name)
            .key(key)
            .set_expected_bucket_owner(self.owner.clone());
        let (answer, call) = make(Operation::HeadObject, call.send()).await;
        let Some(found) = found_or_none(finish(call, answer))? else {
            return Ok(None);
        };
        Ok(Some(facts(
            found.content_length(),
            found.e_tag(),
            found.last_modified(),
        )))
    }

    /// Starts to read an object at this byte (GetObject); `None` if it does not exist.
    pub async fn get(&self, key: &str, from: u64) -> Result<Option<ObjectBody>, AwsFailure> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let call = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .set_range(range);
        let (answer, call) = make(
            Operation::GetObject,
            call.set_expected_bucket_owner(self.owner.clone()).send(),
        )
        .await;
        let Some(found) = found_or_none(finish(call, answer))? else {
            return Ok(None);
        };
        let facts = facts(found.content_length(), found.e_tag(), found.last_modified());
        Ok(Some(ObjectBody {
            facts,
            stream: found.body,
            received_bytes: 0,
            waited: Duration::ZERO,
        }))
    }

    /// A URL that lets its holder read this object for `valid_for`, or until the credentials that
    /// signed it expire. S3 is not called; the only failure is missing credentials.
    pub async fn presign(&self, key: &str, valid_for: Duration) -> Result<String, AwsFailure> {
        let unknown = |message: String| AwsFailure {
            class: FailureClass::Unknown,
            code: "NotSigned".to_owned(),
            message,
        };
        let config =
            PresigningConfig::expires_in(valid_for).map_err(|error| unknown(in_words(&error)))?;
        // Without the expected owner: clients of the URL would have to send it as a header.
        let call = self.client.get_object().bucket(&self.name).key(key);
        let request = call
            .presigned(config)
            .await
            .map_err(|error| super::error::classify(&error))?;
        Ok(request.uri().to_owned())
    }
}

impl ObjectBody {
    /// The next piece; `None` at the end. Fails if the connection breaks or S3 is too slow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, AwsFailure> {
        let broken = |code: &str, message: String| AwsFailure {
            class: FailureClass::Unknown,
            code: code.to_owned(),
            message,
        };
        let began = Instant::now();
        let piece = tokio::time::timeout(MAX_SILENCE, self.stream.next()).await;
        self.waited += began.elapsed();
        match piece {
            Err(_) => Err(broken(
                "TimedOut",
                format!(
                    "S3 was silent for {} s in the middle of an object",
                    MAX_SILENCE.as_secs()
                ),
            )),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => {
                self.received_bytes += piece.len() as u64;
                #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
                let rate = self.received_bytes as f64 / self.waited.as_secs_f64();
                if self.waited > RATE_COUNTS_AFTER && rate < MIN_BYTES_PER_S {
                    return Err(broken(
                        "TimedOut",
                        format!(
                            "S3 sent an object at less than {MIN_BYTES_PER_S} bytes per second"
                        ),
                    ));
                }
                Ok(Some(piece))
            }
            Ok(Some(Err(error))) => Err(broken("BadResponse", in_words(&error))),
        }
    }
}

/// Turns "does not exist" from a failure into `None`.
fn found_or_none<T>(answer: Result<T, AwsFailure>) -> Result<Option<T>, AwsFailure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn facts(
    size_bytes: Option<i64>,
    etag: Option<&str>,
    last_modified: Option<&DateTime>,
) -> ObjectFacts {
    ObjectFacts {
        size_bytes: size_bytes
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or_default(),
        etag: etag.map(|etag| etag.trim_matches('"').to_owned()),
        last_modified: last_modified.and_then(|at| Timestamp::from_unix_seconds(at.as_secs_f64())),
    }
}
