//! Data files in Amazon Ion text: one record per line, each with its version marker.
//!
//! Numbers are Ion decimals, binaries blobs; the three kinds of sets are lists annotated `$dynamodb_SS`, `_NS`, `_BS`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ion_rs::{Bytes, Element, IntoAnnotatedElement as _, IonError, IonType, List, Struct, TextFormat, WriteConfig, v1_0};
use serde_json::Value;

use super::snapshot::Record;
use crate::item::Item;

/// The text of one partition's file.
pub(super) fn render(records: &[Record]) -> Result<String, IonError> {
    let mut text = String::new();
    for record in records {
        let config: WriteConfig<v1_0::Text> = WriteConfig::<v1_0::Text>::new(TextFormat::Compact);
        let line: String = element(record)?.encode_as(config)?;
        text.push_str("$ion_1_0 ");
        text.push_str(line.trim_start_matches("$ion_1_0").trim());
        text.push('\n');
    }
    Ok(text)
}

fn element(record: &Record) -> Result<Element, IonError> {
    let fields = match record {
        Record::Item(item) => vec![("Item", structure(item)?)],
        Record::Change { write_micros, keys, new_image, old_image } => {
            let metadata = Struct::builder().with_field("WriteTimestampMicros", decimal(&write_micros.to_string())?).build();
            let mut fields = vec![("Metadata", metadata.into()), ("Keys", structure(keys)?)];
            if let Some(new) = new_image {
                fields.push(("NewImage", structure(new)?));
            }
            if let Some(old) = old_image {
                fields.push(("OldImage", structure(old)?));
            }
            fields
        }
    };
    Ok(Struct::builder().with_fields(fields).build().into())
}

fn structure(item: &Item) -> Result<Element, IonError> {
    let mut builder = Struct::builder();
    for (name, value) in item {
        builder = builder.with_field(name.as_str(), attribute(value)?);
    }
    Ok(builder.build().into())
}

fn attribute(value: &Value) -> Result<Element, IonError> {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return Ok(Element::null(IonType::Null));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let elements = || inner.as_array().into_iter().flatten();
    Ok(match kind.as_str() {
        "S" => Element::string(text(inner)),
        "N" => decimal(&text(inner))?,
        "B" => blob(&text(inner)),
        "BOOL" => Element::boolean(inner.as_bool().unwrap_or_default()),
        "L" => list(elements().map(attribute))?.into(),
        "M" => match inner.as_object() {
            Some(members) => structure(members)?,
            None => Element::null(IonType::Struct),
        },
        "SS" => list(elements().map(|element| Ok(Element::string(text(element)))))?.with_annotations(["$dynamodb_SS"]),
        "NS" => list(elements().map(|element| decimal(&text(element))))?.with_annotations(["$dynamodb_NS"]),
        "BS" => list(elements().map(|element| Ok(blob(&text(element)))))?.with_annotations(["$dynamodb_BS"]),
        _ => Element::null(IonType::Null),
    })
}

fn list(elements: impl Iterator<Item = Result<Element, IonError>>) -> Result<List, IonError> {
    Ok(List::from(elements.collect::<Result<Vec<Element>, IonError>>()?))
}

/// A decimal, never an integer: Ion tells them apart by the point.
fn decimal(plain: &str) -> Result<Element, IonError> {
    if plain.contains('.') { Element::read_one(plain) } else { Element::read_one(format!("{plain}.")) }
}

fn blob(encoded: &str) -> Element {
    Element::blob(Bytes::from(BASE64.decode(encoded).unwrap_or_default()))
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
            "Flag": {"BOOL": true}, "Nothing": {"NULL": true}, "List": {"L": [{"N": "1"}]}, "Map": {"M": {"k": {"S": "v"}}},
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
    }
}
