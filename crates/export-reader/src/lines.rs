//! manifest-files.json, line by line: it may have any number, and only one is held.

use md5::{Digest as _, Md5};

use super::ReadError;
use tableferry_aws::ObjectBody;
use tableferry_export_files::Malformed;
use tableferry_export_files::manifest::{FileLine, MOST_LINE_BYTES};

/// The lines of a manifest that is being read.
#[derive(Debug)]
pub struct FileLines {
    key: String,
    body: ObjectBody,
    /// Bytes that came and were not given out, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// Where in the object the next line begins.
    offset: u64,
    ended: bool,
    md5: Md5,
}

/// A line as it was read.
#[derive(Debug)]
pub struct RawLine {
    /// What it says, or why that cannot be read.
    pub file: Result<FileLine, Malformed>,
    /// Where in the object the next line begins, in bytes.
    pub next_offset: u64,
}

impl FileLines {
    pub(super) fn new(key: String, body: ObjectBody, from: u64) -> Self {
        Self {
            key,
            body,
            buffer: Vec::new(),
            at: 0,
            offset: from,
            ended: false,
            md5: Md5::new(),
        }
    }

    /// The next line that is not empty; `None` at the end.
    ///
    /// # Errors
    /// A line is longer than any of AWS's, or S3 breaks off.
    pub async fn next(&mut self) -> Result<Option<RawLine>, ReadError> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.at..];
            let end = match memchr::memchr(b'\n', &rest[searched..]) {
                Some(found) => searched + found + 1,
                None if self.ended => rest.len(),
                None if rest.len() > MOST_LINE_BYTES => {
                    let what =
                        Malformed::new(format!("has a line of more than {MOST_LINE_BYTES} bytes"));
                    return Err(ReadError::Malformed {
                        key: self.key.clone(),
                        what,
                    });
                }
                None => {
                    searched = rest.len();
                    self.fill().await?;
                    continue;
                }
            };
            if end == 0 {
                return Ok(None);
            }
            let line = rest[..end].trim_ascii();
            let file = (!line.is_empty()).then(|| FileLine::parse(line));
            self.at += end;
            self.offset += u64::try_from(end).unwrap_or_default();
            searched = 0;
            if let Some(file) = file {
                return Ok(Some(RawLine {
                    file,
                    next_offset: self.offset,
                }));
            }
        }
    }

    /// The MD5 sum of all that was read, after the last line.
    #[must_use]
    pub fn md5(self) -> [u8; 16] {
        self.md5.finalize().into()
    }

    async fn fill(&mut self) -> Result<(), ReadError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        match self.body.next().await? {
            Some(piece) => {
                self.md5.update(&piece);
                self.buffer.extend_from_slice(&piece);
            }
            None => self.ended = true,
        }
        Ok(())
    }
}
