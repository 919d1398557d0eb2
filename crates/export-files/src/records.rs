//! The records of a data file in both formats, one after the other. Each is checked, no text
//! between them is skipped, and at most one is in memory.

use std::io::{self, BufRead, BufReader, ErrorKind};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::dynamodb_json::{Wrong, read_record};
use super::ion_text::Framing;
use super::{Malformed, ion};
use tableferry_domain::export::request::ExportFormat;

/// Maximum text of a record in bytes. An item has at most 400 KB, but its text can be longer:
/// 1E+125 takes 3 bytes in DynamoDB and 135 in DynamoDB JSON, and a change has two images. That
/// makes 36 MB.
pub const MAX_RECORD_BYTES: usize = 40 * 1024 * 1024;

/// Maximum values of a record: in DynamoDB, a list element takes at least two bytes, and a change
/// has two images.
const MAX_VALUES: u32 = 450_000;

/// Bytes decompressed at a time.
const TEXT_BYTES: usize = 64 * 1024;

/// Reads the records of a data file.
#[derive(Debug)]
pub struct Records<R: BufRead> {
    text: Text<R>,
    format: ExportFormat,
    max_bytes: usize,
    /// The text of the current record.
    record: Vec<u8>,
    framing: Framing,
    /// Its start: the line (from 0) and the byte in the decompressed text.
    line: u64,
    offset: u64,
}

/// The source of text. The decompressor reads when it is created, so it is created late.
#[derive(Debug)]
enum Text<R: BufRead> {
    Compressed(R),
    Decompressed(Box<BufReader<MultiGzDecoder<R>>>),
    /// An object without bytes.
    Empty,
}

/// What is read next.
enum Part {
    /// A whole record, or the text between two.
    Record,
    /// The rest of the text.
    Rest,
}

impl<R: BufRead> Records<R> {
    /// The records of a data file: gzip, or an object without bytes, which has none.
    pub fn new(reader: R, format: ExportFormat) -> Self {
        let framing = Framing::new(MAX_VALUES);
        Self {
            text: Text::Compressed(reader),
            format,
            max_bytes: MAX_RECORD_BYTES,
            record: Vec::new(),
            framing,
            line: 0,
            offset: 0,
        }
    }

    /// Bytes of decompressed text read so far.
    pub fn text_bytes(&self) -> u64 {
        self.offset + self.record.len() as u64
    }

    /// The next record in DynamoDB JSON: `{"Item": …}`, or a change; `None` at the end. Without
    /// `KEEP` it is only checked, and the result may be empty.
    ///
    /// Fails if the reader does, or with the kind `InvalidData` and a [`Malformed`] inside if the
    /// bytes are not a valid export file.
    pub fn read_next<const KEEP: bool>(&mut self) -> io::Result<Option<Value>> {
        loop {
            self.pass();
            let part = self.take_part()?;
            if self.record.trim_ascii().is_empty() {
                match part {
                    Part::Record => continue,
                    Part::Rest => return Ok(None),
                }
            }
            let read = match self.format {
                ExportFormat::DynamodbJson => {
                    read_record::<KEEP>(&self.record, MAX_VALUES).map(Some)
                }
                ExportFormat::Ion => ion::read_record(&self.record),
            };
            match (read, part) {
                (Ok(Some(record)), _) => return Ok(Some(record)),
                (Ok(None), Part::Rest) => return Ok(None),
                (Ok(None), Part::Record) => return Err(self.malformed("it has no value", 0)),
                (Err(Wrong { what, at }), _) => return Err(self.malformed(&what, at)),
            }
        }
    }

    /// Ends the current record.
    fn pass(&mut self) {
        self.line += memchr::memchr_iter(b'\n', &self.record).count() as u64;
        self.offset += self.record.len() as u64;
        self.record.clear();
    }

    /// Reads up to the end of a line, or of an Ion struct.
    fn take_part(&mut self) -> io::Result<Part> {
        loop {
            let piece = self.text.fill()?;
            if piece.is_empty() {
                if self.format == ExportFormat::Ion && !self.framing.is_between_records() {
                    return Err(
                        self.malformed("it ends in the middle of an Ion value", self.record.len())
                    );
                }
                return Ok(Part::Rest);
            }
            let end = match self.format {
                ExportFormat::DynamodbJson => Ok(memchr::memchr(b'\n', piece).map(|at| at + 1)),
                ExportFormat::Ion => self.framing.feed(piece),
            };
            let length = end.map_or(piece.len(), |end| end.unwrap_or(piece.len()));
            self.record.extend_from_slice(&piece[..length]);
            self.text.consume(length);
            match end {
                Err(what) => return Err(self.malformed(what, 0)),
                _ if self.record.len() > self.max_bytes => {
                    return Err(self.malformed("it is longer than any DynamoDB item", 0));
                }
                Ok(Some(_)) => return Ok(Part::Record),
                Ok(None) => {}
            }
        }
    }

    /// The error for the record, at this byte of it.
    fn malformed(&self, what: &str, at: usize) -> io::Error {
        let space = self.record.len() - self.record.trim_ascii_start().len();
        let at = at.max(space).min(self.record.len());
        let line = self.line + memchr::memchr_iter(b'\n', &self.record[..at]).count() as u64 + 1;
        let byte = self.offset + at as u64 + 1;
        let what = format!(
            "has an invalid record on line {line}, byte {byte} of its decompressed text: {what}"
        );
        io::Error::new(ErrorKind::InvalidData, Malformed::new(what))
    }
}

impl<R: BufRead> Text<R> {
    /// The next bytes; empty at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        *self = match std::mem::replace(self, Self::Empty) {
            Self::Compressed(mut reader) => match reader.fill_buf()?.is_empty() {
                true => Self::Empty,
                false => Self::Decompressed(Box::new(BufReader::with_capacity(
                    TEXT_BYTES,
                    MultiGzDecoder::new(reader),
                ))),
            },
            begun => begun,
        };
        match self {
            Self::Decompressed(text) => text.fill_buf().map_err(not_gzip),
            Self::Compressed(_) | Self::Empty => Ok(&[]),
        }
    }

    fn consume(&mut self, length: usize) {
        if let Self::Decompressed(text) = self {
            text.consume(length);
        }
    }
}

/// The [`Malformed`] inside an error of kind `InvalidData`.
#[must_use]
pub fn malformed(error: &io::Error) -> Option<&Malformed> {
    error.get_ref()?.downcast_ref()
}

/// Rewords gzip's errors; the reader's stay unchanged.
fn not_gzip(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            io::Error::new(
                ErrorKind::InvalidData,
                Malformed::new(format!("is not valid gzip: {error}")),
            )
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(text: &[u8], format: ExportFormat) -> Result<Vec<String>, String> {
        let bytes = gzip(text);
        let mut records = Records::new(&bytes[..], format);
        let mut all = Vec::new();
        loop {
            match records.read_next::<true>() {
                Ok(Some(record)) => all.push(record.to_string()),
                Ok(None) => break,
                Err(error) => return Err(malformed(&error).unwrap().to_string()),
            }
        }
        assert_eq!(records.text_bytes(), text.len() as u64);
        Ok(all)
    }

    const JSON: ExportFormat = ExportFormat::DynamodbJson;
    const ION: ExportFormat = ExportFormat::Ion;

    #[test]
    fn ion_is_divided_by_its_grammar() {
        let a = r#"{"Item":{"a":{"N":"1"}}}"#;
        let b = r#"{"Item":{"b":{"S":"}\n{"}}}"#;
        for text in [
            "$ion_1_0 {Item:{a:1.}}\n$ion_1_0 {Item:{b:\"}\\n{\"}}\n",
            "$ion_1_0\n{Item:{a:1.}}\n\n{Item:{b:\"}\\n{\"}}",
            "{Item:{a:1.}}{Item:{b:'''}\n{'''}}",
            "{Item:{a:1.}} $ion_1_0 {Item:{b:\"}\\n{\"}} $ion_1_0 // the end",
            "{ // Item\n  Item: {\n a: 1. }\n}\n/* between */ {Item:{b:\"}\\n{\"}}",
        ] {
            assert_eq!(read(text.as_bytes(), ION).unwrap(), [a, b], "{text}");
        }
        for text in ["", "\n", "$ion_1_0", "$ion_1_0\n$ion_1_0\n"] {
            assert!(read(text.as_bytes(), ION).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn json_is_divided_by_lines() {
        let a = r#"{"Item":{"a":{"N":"1"}}}"#;
        assert_eq!(
            read(format!("{a}\n\r\n{a}\r\n{a}").as_bytes(), JSON).unwrap(),
            [a, a, a]
        );
        assert!(read(b"", JSON).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_dropped_and_the_place_is_told() {
        let good = "$ion_1_0 {Item:{secret:1.}}\n";
        for (text, place) in [
            ("{Item:{secret:1.}}}", "line 2, byte 47 "),
            ("{Item:{secret:", "line 2, byte 43 "),
            ("5", "line 2, byte 29 "),
            ("\n secret {Item:{}}", "line 3, byte 31 "),
            ("[1]{Item:{}}", "line 2, byte 29 "),
            ("secret::{Item:{}}", "line 2, byte 29 "),
            ("$ion_1_0 {Item:{a:$9}}", "line 2, byte 29 "),
            (
                "$ion_symbol_table::{symbols:[\"secret\"]}",
                "line 2, byte 29 ",
            ),
            ("{Item:{}} \"secret", "line 2, byte 46 "),
        ] {
            let told = read(format!("{good}{text}").as_bytes(), ION).expect_err(text);
            assert!(
                told.starts_with(&format!("has an invalid record on {place}")),
                "{text}: {told}"
            );
            assert!(
                !told.contains('\n') && !told.contains("secret"),
                "{text}: {told}"
            );
        }
        let good = "{\"Item\":{}}\n";
        for (text, place) in [
            ("{\"Item\":{}} {\"Item\":{}}\n", "line 2, byte 25 "),
            ("\n{\"Item\":{\"a\":{\"Q\":\"x\"}}}\n", "line 3, byte "),
            ("{\"Item\":\n{}}\n", "line 2, byte "),
            ("[1]\n", "line 2, byte 13 "),
        ] {
            let told = read(format!("{good}{text}").as_bytes(), JSON).expect_err(text);
            assert!(
                told.starts_with(&format!("has an invalid record on {place}")),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_record_has_a_longest_text() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                into.fill(b'a');
                Ok(into.len())
            }
        }
        let long = "a".repeat(100_000);
        assert_eq!(
            read(
                format!("{{\"Item\":{{\"a\":{{\"S\":\"{long}\"}}}}}}\n").as_bytes(),
                JSON
            )
            .unwrap()
            .len(),
            1
        );
        assert_eq!(
            read(format!("{{Item:{{a:\"{long}\"}}}}\n").as_bytes(), ION)
                .unwrap()
                .len(),
            1
        );
        for (begin, format) in [("{\"Item\":{\"a\":{\"S\":\"", JSON), ("{Item:{a:\"", ION)] {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(begin.as_bytes()).unwrap();
            io::copy(&mut Endless.take(1_000_000), &mut encoder).unwrap();
            let bytes = encoder.finish().unwrap();
            let mut records = Records::new(&bytes[..], format);
            records.max_bytes = 500_000;
            let error = records.read_next::<false>().unwrap_err();
            assert!(
                error.to_string().contains("longer than any DynamoDB item"),
                "{error}"
            );
            assert!(records.record.len() < 600_000);
        }
        const { assert!(MAX_RECORD_BYTES > 2 * 400_000 / 3 * 135) };
    }
}
