//! Data files in Amazon Ion text: one record per line, each with a version marker.
//!
//! Numbers are Ion decimals and binary values are blobs; the three kinds of sets are lists
//! annotated `$dynamodb_SS`, `_NS`, `_BS`. An item is in a field `Item`, a change in a field
//! `Record`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ion_rs::{Bytes, Element, IonError, IonType, TextFormat, WriteConfig, v1_0};
use serde_json::Value;

use super::snapshot::Record;
use crate::item::Item;

/// A fraction with at least this many zeros after the point is written with an exponent.
const MAX_LEADING_ZEROS: usize = 6;

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
        Record::Change {
            write_micros,
            keys,
            new_image,
            old_image,
        } => {
            let mut fields = vec![
                format!("Keys:{}", structure(keys)?),
                format!("Metadata:{{WriteTimestampMicros:{write_micros}.}}"),
            ];
            for (name, image) in [("OldImage", old_image), ("NewImage", new_image)] {
                if let Some(image) = image {
                    fields.push(format!("{name}:{}", structure(image)?));
                }
            }
            Ok(format!("{{Record:{{{}}}}}", fields.join(",")))
        }
    }
}

fn structure(item: &Item) -> Result<String, IonError> {
    let fields = item
        .iter()
        .map(|(name, value)| Ok(format!("{}:{}", field_name(name)?, attribute(value)?)));
    Ok(format!(
        "{{{}}}",
        fields.collect::<Result<Vec<_>, IonError>>()?.join(",")
    ))
}

/// A field's name: bare if it is a plain identifier, otherwise quoted. Names that look like Ion's
/// own symbols are quoted too.
fn field_name(name: &str) -> Result<String, IonError> {
    let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    if is_word && !["null", "true", "false", "nan"].contains(&name) {
        return Ok(name.to_owned());
    }
    // A quoted symbol is escaped like a string, except for the quotes.
    let text = scalar(Element::string(name))?;
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(&text);
    Ok(format!("'{inner}'"))
}

fn attribute(value: &Value) -> Result<String, IonError> {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return scalar(Element::null(IonType::Null));
    };
    match kind.as_str() {
        "S" => string(inner),
        "N" => Ok(decimal(inner.as_str().unwrap_or_default())),
        "B" => blob(inner),
        "BOOL" => scalar(Element::boolean(inner.as_bool().unwrap_or_default())),
        "L" => list(inner, attribute),
        "M" => inner
            .as_object()
            .map_or_else(|| structure(&Item::new()), structure),
        "SS" => Ok(format!("$dynamodb_SS::{}", list(inner, string)?)),
        "NS" => Ok(format!(
            "$dynamodb_NS::{}",
            list(inner, |element| Ok(decimal(
                element.as_str().unwrap_or_default()
            )))?
        )),
        "BS" => Ok(format!("$dynamodb_BS::{}", list(inner, blob)?)),
        _ => scalar(Element::null(IonType::Null)),
    }
}

fn list(
    inner: &Value,
    element: impl Fn(&Value) -> Result<String, IonError>,
) -> Result<String, IonError> {
    let elements: Result<Vec<String>, IonError> = inner
        .as_array()
        .into_iter()
        .flatten()
        .map(element)
        .collect();
    Ok(format!("[{}]", elements?.join(",")))
}

fn string(inner: &Value) -> Result<String, IonError> {
    scalar(Element::string(inner.as_str().unwrap_or_default()))
}

/// Writes a decimal, never an integer: Ion distinguishes them by the point. Trailing zeros of a
/// whole number and many leading zeros of a fraction become an exponent, as AWS writes them: 600 is
/// `6d2`.
fn decimal(plain: &str) -> String {
    let Some((whole, fraction)) = plain.split_once('.') else {
        let digits = plain.trim_end_matches('0');
        return match plain.len() - digits.len() {
            0 => format!("{plain}."),
            _ if digits.is_empty() || digits == "-" => "0.".to_owned(),
            zeros => format!("{digits}d{zeros}"),
        };
    };
    let digits = fraction.trim_start_matches('0');
    if whole.trim_start_matches('-') == "0" && fraction.len() - digits.len() >= MAX_LEADING_ZEROS {
        return format!(
            "{}{digits}d-{}",
            whole.trim_end_matches('0'),
            fraction.len()
        );
    }
    plain.to_owned()
}

fn blob(inner: &Value) -> Result<String, IonError> {
    let bytes = BASE64
        .decode(inner.as_str().unwrap_or_default())
        .unwrap_or_default();
    scalar(Element::blob(Bytes::from(bytes)))
}

/// The text of a scalar value.
fn scalar(value: Element) -> Result<String, IonError> {
    let text: String = value.encode_as(WriteConfig::<v1_0::Text>::new(TextFormat::Compact))?;
    let mut escaped = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        if letter.is_ascii_control() {
            // The library does not escape these, and its own reader rightly rejects them.
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
        for part in [
            "103.",
            "-1.50",
            "$dynamodb_SS::[",
            "$dynamodb_NS::[",
            "$dynamodb_BS::[",
            "{{aGVsbG8=}}",
            "null",
            "true",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let read = Element::read_all(text.as_bytes()).unwrap();
        assert_eq!(read.len(), 1);
        let read = read
            .get(0)
            .unwrap()
            .as_struct()
            .unwrap()
            .get("Item")
            .unwrap()
            .as_struct()
            .unwrap();
        assert_eq!(read.get("two words").unwrap().as_string(), Some("$ion_1_0"));
        assert_eq!(read.get("null").unwrap().as_string(), Some("é\u{1}\n"));
        assert_eq!(read.get("Big"), Some(&Element::read_one("1d-20").unwrap()));
    }

    #[test]
    fn names_like_ions_own_symbols_stay_whole() {
        let names = [
            "$ion_1_0",
            "$ion_1_0abc",
            "$ion_1_0 x",
            "$7",
            "it's",
            "a\"b",
            "null",
            "",
            "ä\n",
            "plain_1",
        ];
        let mut inner: Item = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({"S": *name})))
            .collect();
        inner.insert("map".to_owned(), json!({"M": {"$ion_1_0": {"N": "1"}}}));
        let text = render(&[Record::Item(Arc::new(inner))]).unwrap();
        let read = Element::read_all(text.as_bytes()).unwrap();
        assert_eq!(read.len(), 1, "{text}");
        let read = read
            .get(0)
            .unwrap()
            .as_struct()
            .unwrap()
            .get("Item")
            .unwrap()
            .as_struct()
            .unwrap();
        for name in names {
            assert_eq!(
                read.get(name).and_then(Element::as_string),
                Some(name),
                "{text}"
            );
        }
        assert!(
            read.get("map")
                .unwrap()
                .as_struct()
                .unwrap()
                .get("$ion_1_0")
                .is_some(),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_written_as_aws_does() {
        for (plain, written) in [
            ("103", "103."),
            ("600", "6d2"),
            ("-20", "-2d1"),
            ("0", "0."),
            ("20240101", "20240101."),
            ("1.5", "1.5"),
            ("0.001", "0.001"),
            ("0.000001", "0.000001"),
            ("-0.0000001", "-1d-7"),
        ] {
            assert_eq!(decimal(plain), written);
            assert_eq!(
                Element::read_one(written).unwrap().ion_type(),
                IonType::Decimal
            );
        }
    }

    #[test]
    fn a_change_stands_in_a_record() {
        let item = |text: &str| json!({"pk": {"S": text}}).as_object().cloned().unwrap();
        let change = Record::Change {
            write_micros: 1_684_374_845_117_899,
            keys: item("a"),
            new_image: Some(Arc::new(item("a"))),
            old_image: None,
        };
        let text = render(&[change]).unwrap();
        assert_eq!(
            text,
            "$ion_1_0 {Record:{Keys:{pk:\"a\"},Metadata:{WriteTimestampMicros:1684374845117899.},NewImage:{pk:\"a\"}}}\n"
        );
    }
}
