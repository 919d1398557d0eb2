//! The first items of a data file. Reads no more than needed.

use std::io::{self, BufRead};

use serde_json::Value;

use super::records::Records;
use tableferry_domain::export::request::ExportFormat;

/// Reads at most `limit` items from a data file, each in DynamoDB JSON: `{"Item": …}`, or the
/// record of a change. Stops after `max_bytes` of text, but not before the first item. Returns the
/// items and the bytes of text.
///
/// Fails if the reader does, or with the kind `InvalidData` and a [`super::Malformed`] inside if
/// the bytes are not a valid export file.
pub fn preview(
    reader: impl BufRead,
    format: ExportFormat,
    limit: usize,
    max_bytes: usize,
) -> io::Result<(Vec<Value>, usize)> {
    let mut records = Records::new(reader, format);
    let bytes = |records: &Records<_>| usize::try_from(records.text_bytes()).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    while items.len() < limit && (bytes(&records) < max_bytes || items.is_empty()) {
        match records.read_next::<true>()? {
            Some(item) => items.push(item),
            None => break,
        }
    }
    Ok((items, bytes(&records)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::records::malformed;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_no_more_than_asked_for() {
        let text: String = (0..1000)
            .map(|n| format!("{{\"Item\":{{\"pk\":{{\"N\":\"{n}\"}}}}}}\n"))
            .collect();
        let mut bytes = gzip(&text);
        let read = |bytes: &[u8], limit, most| {
            preview(bytes, ExportFormat::DynamodbJson, limit, most).map(|(items, _)| items)
        };
        assert_eq!(read(&bytes, 3, 1 << 20).unwrap()[2]["Item"]["pk"]["N"], "2");
        assert_eq!(read(&bytes, 5000, 1 << 20).unwrap().len(), 1000);
        assert_eq!(read(&bytes, 5000, 1).unwrap().len(), 1);
        // What comes after them may be broken.
        bytes.truncate(bytes.len() - 4);
        assert_eq!(read(&bytes, 3, 1 << 20).unwrap().len(), 3);
        let error = read(&bytes, 5000, 1 << 20).unwrap_err();
        assert!(malformed(&error).is_some(), "{error}");
    }

    #[test]
    fn says_what_is_no_item() {
        for (text, why) in [
            ("no json\n", "not JSON"),
            ("{\"Item\":\n", "in the middle"),
            ("{\"Other\":1}\n", "export records"),
        ] {
            let error = preview(&gzip(text)[..], ExportFormat::DynamodbJson, 1, 100).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(preview(&b"garbage"[..], ExportFormat::DynamodbJson, 1, 100).is_err());
        assert!(preview(&gzip("{Item:")[..], ExportFormat::Ion, 1, 100).is_err());
        assert!(
            preview(&gzip("")[..], ExportFormat::Ion, 1, 100)
                .unwrap()
                .0
                .is_empty()
        );
        assert!(
            preview(&b""[..], ExportFormat::Ion, 1, 100)
                .unwrap()
                .0
                .is_empty()
        );
    }
}
