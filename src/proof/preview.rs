//! The first items of a data file, read no further than needed.

use std::io::{self, BufRead, BufReader, ErrorKind, Read as _};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::{Malformed, ion};
use crate::domain::request::ExportFormat;

/// The longest line that is read, in bytes: an item has at most 400 KB, its JSON a few times that, and a change has two images.
const MOST_LINE_BYTES: u64 = 8 * 1024 * 1024;

/// A small buffer: what is decompressed beyond the items asked for is in vain.
const TEXT_BYTES: usize = 16 * 1024;

/// Reads at most `limit` items from a data file, each in DynamoDB JSON: `{"Item": …}`, or the record of a change. Stops after
/// `most_bytes` of text, but not before one item. The items, and how many bytes of text they were.
///
/// # Errors
/// The reader failed, or (of kind `InvalidData`, with a [`Malformed`] inside) the bytes are not what an export has.
pub fn preview(reader: impl BufRead, format: ExportFormat, limit: usize, most_bytes: usize) -> io::Result<(Vec<Value>, usize)> {
    let mut text = BufReader::with_capacity(TEXT_BYTES, MultiGzDecoder::new(reader));
    let mut items = Vec::new();
    let (mut line, mut bytes) = (Vec::new(), 0);
    while items.len() < limit && (bytes < most_bytes || items.is_empty()) {
        line.clear();
        (&mut text).take(MOST_LINE_BYTES).read_until(b'\n', &mut line).map_err(not_gzip)?;
        if line.is_empty() {
            break;
        }
        if u64::try_from(line.len()).unwrap_or(u64::MAX) >= MOST_LINE_BYTES && !line.ends_with(b"\n") {
            return Err(malformed(Malformed::new("has a line that is longer than any item")));
        }
        bytes += line.len();
        if let Some(item) = read_line(&line, format).map_err(malformed)? {
            items.push(item);
        }
    }
    Ok((items, bytes))
}

fn read_line(line: &[u8], format: ExportFormat) -> Result<Option<Value>, Malformed> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    match format {
        ExportFormat::DynamodbJson => {
            serde_json::from_slice(line).map(Some).map_err(|error| Malformed::new(format!("has a line that is not JSON: {error}")))
        }
        ExportFormat::Ion => ion::read_record(line),
    }
}

fn malformed(what: Malformed) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Errors of gzip get words of ours; those of the reader stay as they are.
fn not_gzip(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            if error.get_ref().is_none_or(|e| !e.is::<Malformed>()) =>
        {
            malformed(Malformed::new(format!("is not whole gzip: {error}")))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_no_more_than_asked_for() {
        let text: String = (0..1000).map(|n| format!("{{\"Item\":{{\"pk\":{{\"N\":\"{n}\"}}}}}}\n")).collect();
        let mut bytes = gzip(&text);
        let read = |bytes: &[u8], limit, most| preview(bytes, ExportFormat::DynamodbJson, limit, most).map(|(items, _)| items);
        assert_eq!(read(&bytes, 3, 1 << 20).unwrap()[2]["Item"]["pk"]["N"], "2");
        assert_eq!(read(&bytes, 5000, 1 << 20).unwrap().len(), 1000);
        assert_eq!(read(&bytes, 5000, 1).unwrap().len(), 1);
        // What comes after them may be broken.
        bytes.truncate(bytes.len() - 4);
        assert_eq!(read(&bytes, 3, 1 << 20).unwrap().len(), 3);
        let error = read(&bytes, 5000, 1 << 20).unwrap_err();
        assert!(error.get_ref().unwrap().is::<Malformed>(), "{error}");
    }

    #[test]
    fn says_what_is_no_item() {
        for text in ["no json\n", "{\"Item\":\n"] {
            let error = preview(&gzip(text)[..], ExportFormat::DynamodbJson, 1, 100).unwrap_err();
            assert!(error.to_string().contains("not JSON"), "{error}");
        }
        assert!(preview(&b"garbage"[..], ExportFormat::DynamodbJson, 1, 100).is_err());
        assert!(preview(&gzip("{Item:")[..], ExportFormat::Ion, 1, 100).is_err());
        assert!(preview(&gzip("")[..], ExportFormat::Ion, 1, 100).unwrap().0.is_empty());
    }
}
