//! Reads the files of a completed export from S3: manifests line by line, data files as streams,
//! never a whole file in memory.

mod lines;
mod pipe;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use tableferry_aws::{Aws, Bucket, is_elsewhere};
use tableferry_domain::aws::failure::AwsFailure;
use tableferry_domain::export::output::{ObjectFacts, Output};
use tableferry_export_files::Malformed;
use tableferry_export_files::inspect::{Figures, inspect};
use tableferry_export_files::manifest::{MAX_SUMMARY_BYTES, Summary};
use tableferry_export_files::preview::preview;
use tableferry_export_files::records::malformed;

pub use lines::{FileLines, RawLine};

/// Maximum concurrent S3 calls per reader.
pub const SIDE_BY_SIDE: usize = 16;

/// Why a file of an export could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// S3 refused the call or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsFailure),
    #[error("{key} does not exist")]
    Missing { key: String },
    /// It is not a valid file of an export.
    #[error("{key} {what}")]
    Malformed {
        key: String,
        /// What is wrong with it.
        what: Malformed,
    },
}

/// The files of a completed export.
#[derive(Debug, Clone)]
pub struct ExportFiles {
    pub output: Output,
    aws: Arc<Aws>,
    bucket: Bucket,
}

impl ExportFiles {
    /// Finds the bucket of these files.
    pub async fn open(aws: Arc<Aws>, output: Output) -> Result<Self, AwsFailure> {
        let bucket = aws.bucket(&output).await?;
        Ok(Self {
            output,
            aws,
            bucket,
        })
    }

    /// The contents of manifest-summary.json.
    pub async fn summary(&self) -> Result<Summary, ReadError> {
        let key = &self.output.summary_key;
        let bytes = self
            .small(key)
            .await?
            .ok_or_else(|| ReadError::Missing { key: key.clone() })?;
        Summary::parse(&bytes).map_err(|what| ReadError::Malformed {
            key: key.clone(),
            what,
        })
    }

    /// A small object; `None` if it does not exist. Fails if it is longer than
    /// [`MAX_SUMMARY_BYTES`].
    pub async fn small(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(mut body) = self.checked(self.bucket.get(key, 0).await)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            if bytes.len() + piece.len() > MAX_SUMMARY_BYTES {
                let what = Malformed::new(format!("has more than {MAX_SUMMARY_BYTES} bytes"));
                return Err(ReadError::Malformed {
                    key: key.to_owned(),
                    what,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// The lines of manifest-files.json, starting at this byte.
    pub async fn lines(&self, files_key: &str, from: u64) -> Result<FileLines, ReadError> {
        let body = self.checked(self.bucket.get(files_key, from).await)?;
        let body = body.ok_or_else(|| ReadError::Missing {
            key: files_key.to_owned(),
        })?;
        Ok(FileLines::new(files_key.to_owned(), body, from))
    }

    /// Metadata of an object; `None` if it does not exist.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectFacts>, AwsFailure> {
        self.checked(self.bucket.head(key).await)
    }

    /// A URL that lets its holder read this object for `valid_for`.
    pub async fn presign(&self, key: &str, valid_for: Duration) -> Result<String, AwsFailure> {
        self.bucket.presign(key, valid_for).await
    }

    /// Reads a data file to its end; `None` if it does not exist. Decompresses and hashes in a
    /// blocking thread.
    pub async fn inspect(&self, key: &str) -> Result<Option<(ObjectFacts, Figures)>, AwsFailure> {
        let Some(body) = self.checked(self.bucket.get(key, 0).await)? else {
            return Ok(None);
        };
        let facts = body.facts.clone();
        let format = self.output.format;
        let figures = pipe::through(body, move |reader| inspect(reader, format))
            .await?
            .map_err(|error| pipe::broken(&error))?;
        Ok(Some((facts, figures)))
    }

    /// The first items of a data file in DynamoDB JSON: at most `limit`, and no more after
    /// `max_bytes` of text. Returns the items and the bytes of text.
    pub async fn preview(
        &self,
        key: &str,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Vec<Value>, usize), ReadError> {
        let body = self
            .checked(self.bucket.get(key, 0).await)?
            .ok_or_else(|| ReadError::Missing {
                key: key.to_owned(),
            })?;
        let format = self.output.format;
        let read = pipe::through(body, move |reader| {
            preview(reader, format, limit, max_bytes)
        })
        .await?;
        read.map_err(|error: io::Error| match malformed(&error) {
            Some(what) => ReadError::Malformed {
                key: key.to_owned(),
                what: what.clone(),
            },
            None => pipe::broken(&error).into(),
        })
    }

    /// Drops the cached region of a bucket that was recreated in another region.
    fn checked<T>(&self, answer: Result<T, AwsFailure>) -> Result<T, AwsFailure> {
        if answer.as_ref().is_err_and(is_elsewhere) {
            self.aws.forget_bucket(&self.output);
        }
        answer
    }
}
