//! The files of a completed export, as S3 gives them: manifests line by line, data files as
//! streams, never a whole one in memory.

mod lines;
mod pipe;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use tableferry_aws::{Aws, Bucket, is_elsewhere};
use tableferry_domain::aws_failure::AwsFailure;
use tableferry_domain::output::{ObjectFacts, Output};
use tableferry_export_files::Malformed;
use tableferry_export_files::inspect::{Figures, inspect};
use tableferry_export_files::manifest::{MOST_SUMMARY_BYTES, Summary};
use tableferry_export_files::preview::preview;
use tableferry_export_files::records::malformed;

pub use lines::{FileLines, RawLine};

/// How many calls to S3 are made side by side for one reader.
pub const SIDE_BY_SIDE: usize = 16;

/// Why a file of an export could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// S3 refuses or does not answer.
    #[error(transparent)]
    Aws(#[from] AwsFailure),
    /// There is no such object.
    #[error("{key} does not exist")]
    Missing {
        /// Its key.
        key: String,
    },
    /// It is not what an export has.
    #[error("{key} {what}")]
    Malformed {
        /// Its key.
        key: String,
        /// What is wrong with it.
        what: Malformed,
    },
}

/// The files of a completed export.
#[derive(Debug, Clone)]
pub struct ExportFiles {
    /// Where they lie.
    pub output: Output,
    aws: Arc<Aws>,
    bucket: Bucket,
}

impl ExportFiles {
    /// Finds the bucket that holds them.
    ///
    /// # Errors
    /// There is no such bucket, or S3 does not answer.
    pub async fn open(aws: Arc<Aws>, output: Output) -> Result<Self, AwsFailure> {
        let bucket = aws.bucket(&output).await?;
        Ok(Self {
            output,
            aws,
            bucket,
        })
    }

    /// manifest-summary.json.
    ///
    /// # Errors
    /// It is missing or no summary, or S3 refuses or does not answer.
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

    /// All bytes of a small object; `None` when there is none.
    ///
    /// # Errors
    /// It is larger than a summary ever is, or S3 refuses or does not answer.
    pub async fn small(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(mut body) = self.noted(self.bucket.get(key, 0).await)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            if bytes.len() + piece.len() > MOST_SUMMARY_BYTES {
                let what = Malformed::new(format!("has more than {MOST_SUMMARY_BYTES} bytes"));
                return Err(ReadError::Malformed {
                    key: key.to_owned(),
                    what,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// The lines of manifest-files.json from this byte on.
    ///
    /// # Errors
    /// It is missing, or S3 refuses or does not answer.
    pub async fn lines(&self, files_key: &str, from: u64) -> Result<FileLines, ReadError> {
        let body = self.noted(self.bucket.get(files_key, from).await)?;
        let body = body.ok_or_else(|| ReadError::Missing {
            key: files_key.to_owned(),
        })?;
        Ok(FileLines::new(files_key.to_owned(), body, from))
    }

    /// What S3 says of an object; `None` when there is none.
    ///
    /// # Errors
    /// S3 refuses or does not answer.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectFacts>, AwsFailure> {
        self.noted(self.bucket.head(key).await)
    }

    /// A URL by which anybody reads this object for so long.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn presign(&self, key: &str, valid_for: Duration) -> Result<String, AwsFailure> {
        self.bucket.presign(key, valid_for).await
    }

    /// Reads a data file to its end; `None` when there is none. Decompresses and hashes in a thread
    /// of its own.
    ///
    /// # Errors
    /// S3 refuses, does not answer or breaks off.
    pub async fn inspect(&self, key: &str) -> Result<Option<(ObjectFacts, Figures)>, AwsFailure> {
        let Some(body) = self.noted(self.bucket.get(key, 0).await)? else {
            return Ok(None);
        };
        let facts = body.facts.clone();
        let format = self.output.format;
        let figures = pipe::through(body, move |reader| inspect(reader, format))
            .await?
            .map_err(|error| pipe::broken(&error))?;
        Ok(Some((facts, figures)))
    }

    /// The first items of a data file, in DynamoDB JSON: at most `limit`, and none more after
    /// `most_bytes` of text. The items, and how many bytes of text they were.
    ///
    /// # Errors
    /// It is missing or holds no items, or S3 refuses, does not answer or breaks off.
    pub async fn preview(
        &self,
        key: &str,
        limit: usize,
        most_bytes: usize,
    ) -> Result<(Vec<Value>, usize), ReadError> {
        let body =
            self.noted(self.bucket.get(key, 0).await)?
                .ok_or_else(|| ReadError::Missing {
                    key: key.to_owned(),
                })?;
        let format = self.output.format;
        let read = pipe::through(body, move |reader| {
            preview(reader, format, limit, most_bytes)
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

    /// A bucket that was made anew in another region is looked for again.
    fn noted<T>(&self, answer: Result<T, AwsFailure>) -> Result<T, AwsFailure> {
        if answer.as_ref().is_err_and(is_elsewhere) {
            self.aws.forget_bucket(&self.output);
        }
        answer
    }
}
