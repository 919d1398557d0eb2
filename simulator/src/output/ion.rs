//! Data files in Amazon Ion text: one record per line, each with its version marker.
//!
//! Numbers are Ion decimals, binaries blobs; the three kinds of sets are lists annotated `$dynamodb_SS`, `_NS`, `_BS`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ion_rs::{Bytes, Element, IonError, IonType, TextFormat, WriteConfig, v1_0};
use serde_json::Value;

use super::snapshot::Record;
use crate::item::Item;

/// The text of one partition's file.
pub(super) fn render(records: &[Record]) -> Result<String, IonError> {
    let mut text = String::new();
    for record in records {
        text.push_str("$ion_1_0 ");
        text.push_str(&line(record)?);
        text.push('\n');
    }
    Ok(text)
}

fn line(record: &Record) -> Result<String, IonError> {
    match record {
        Record::Item(item) => Ok(format!("{{Item:{}}}", structure(item)?)),
        Record::Change { write_micros, keys, new_image, old_image } => {
            let mut fields = vec![
                format!("Metadata:{{WriteTimestampMicros:{}}}", decimal(&write_micros.to_string())?),
                format!("Keys:{}", structure(keys)?),
            ];
            for (name, image) in [("NewImage", new_image), ("OldImage", old_image)] {
                if let Some(image) = image {
                    fields.push(format!("{name}:{}", structure(image)?));
                }
            }
            Ok(format!("{{{}}}", fields.join(",")))
        }
    }
}

fn structure(item: &Item) -> Result<String, IonError> {
    let fields = item.iter().map(|(name, value)| Ok(format!("{}:{}", scalar(Element::symbol(name.as_str()))?, attribute(value)?)));
    Ok(format!("{{{}}}", fields.collect::<Result<Vec<_>, IonError>>()?.join(",")))
}

fn attribute(value: &Value) -> Result<String, IonError> {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return scalar(Element::null(IonType::Null));
    };
    match kind.as_str() {
        "S" => string(inner),
        "N" => decimal(inner.as_str().unwrap_or_default()),
        "B" => blob(inner),
        "BOOL" => scalar(Element::boolean(inner.as_bool().unwrap_or_default())),
        "L" => list(inner, attribute),
        "M" => inner.as_object().map_or_else(|| structure(&Item::new()), structure),
        "SS" => Ok(format!("$dynamodb_SS::{}", list(inner, string)?)),
        "NS" => Ok(format!("$dynamodb_NS::{}", list(inner, |element| decimal(element.as_str().unwrap_or_default()))?)),
        "BS" => Ok(format!("$dynamodb_BS::{}", list(inner, blob)?)),
        _ => scalar(Element::null(IonType::Null)),
    }
}

fn list(inner: &Value, element: impl Fn(&Value) -> Result<String, IonError>) -> Result<String, IonError> {
    let elements: Result<Vec<String>, IonError> = inner.as_array().into_iter().flatten().map(element).collect();
    Ok(format!("[{}]", elements?.join(",")))
}

fn string(inner: &Value) -> Result<String, IonError> {
    scalar(Element::string(inner.as_str().unwrap_or_default()))
}

/// A decimal, never an integer: Ion tells them apart by the point.
fn decimal(plain: &str) -> Result<String, IonError> {
    scalar(if plain.contains('.') { Element::read_one(plain)? } else { Element::read_one(format!("{plain}."))? })
}

fn blob(inner: &Value) -> Result<String, IonError> {
    let bytes = BASE64.decode(inner.as_str().unwrap_or_default()).unwrap_or_default();
    scalar(Element::blob(Bytes::from(bytes)))
}

/// The text of a value that holds no others.
fn scalar(value: Element) -> Result<String, IonError> {
    let text: String = value.encode_as(WriteConfig::<v1_0::Text>::new(TextFormat::Compact))?;
    let mut escaped = String::with_capacity(text.len());
    for letter in text.trim_start_matches("$ion_1_0").trim().chars() {
        if letter.is_ascii_control() {
            // The library writes these as they are, which its own reader, rightly, refuses.
            let _ = write!(escaped, "\\x{:02x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_has_its_ion_form() {
        let item = json!({
            "Id": {"N": "103"}, "Price": {"N": "-1.50"}, "Title": {"S": "Book \"103\""}, "Data": {"B": "aGVsbG8="},
            "Authors": {"SS": ["a", "b"]}, "Counts": {"NS": ["1", "2.5"]}, "Blobs": {"BS": ["aGk="]},
            "Flag": {"BOOL": true}, "Nothing": {"NULL": true}, "two words": {"S": "$ion_1_0"}, "null": {"S": "é\u{1}\n"}, "Big": {"N": "0.00000000000000000001"}, "List": {"L": [{"N": "1"}]}, "Map": {"M": {"k": {"S": "v"}}},
        });
        let record = Record::Item(Arc::new(item.as_object().cloned().unwrap()));
        let text = render(&[record]).unwrap();
        assert!(text.starts_with("$ion_1_0 {Item:"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["103.", "-1.50", "$dynamodb_SS::[", "$dynamodb_NS::[", "$dynamodb_BS::[", "{{aGVsbG8=}}", "null", "true"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let read = Element::read_all(text.as_bytes()).unwrap();
        assert_eq!(read.len(), 1);
        let read = read.get(0).unwrap().as_struct().unwrap().get("Item").unwrap().as_struct().unwrap();
        assert_eq!(read.get("two words").unwrap().as_string(), Some("$ion_1_0"));
        assert_eq!(read.get("null").unwrap().as_string(), Some("é\u{1}\n"));
        assert_eq!(read.get("Big"), Some(&Element::read_one("1d-20").unwrap()));
    }
}
