//! manifest-files.json, line by line: it may have any number of lines, and only one is in memory.

use md5::{Digest as _, Md5};

use super::ReadError;
use tableferry_aws::ObjectBody;
use tableferry_export_files::Malformed;
use tableferry_export_files::manifest::{FileLine, MAX_LINE_BYTES};

#[derive(Debug)]
pub struct FileLines {
    key: String,
    body: ObjectBody,
    /// Received bytes; those from `at` on have not been returned.
    buffer: Vec<u8>,
    at: usize,
    /// Byte offset of the next line in the object.
    offset: u64,
    ended: bool,
    md5: Md5,
}

#[derive(Debug)]
pub struct RawLine {
    /// The parsed line, or why it is invalid.
    pub file: Result<FileLine, Malformed>,
    /// Byte offset of the next line in the object.
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

    /// The next non-empty line; `None` at the end. Fails if a line is too long or S3 breaks off.
    pub async fn next(&mut self) -> Result<Option<RawLine>, ReadError> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.at..];
            let end = match memchr::memchr(b'\n', &rest[searched..]) {
                Some(found) => searched + found + 1,
                None if self.ended => rest.len(),
                None if rest.len() > MAX_LINE_BYTES => {
                    let what =
                        Malformed::new(format!("has a line of more than {MAX_LINE_BYTES} bytes"));
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

    /// The MD5 sum of everything read; complete after the last line.
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
