//! Records of an ION export as DynamoDB JSON: both formats hold the same items.
//!
//! AWS writes one value a line, `$ion_1_0 {Item:{…}}`: numbers are decimals, binaries blobs, and the three kinds of sets lists
//! annotated `$dynamodb_SS`, `$dynamodb_NS` and `$dynamodb_BS`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ion_rs::{Decimal, Element, IonType, Sequence, Struct};
use serde_json::{Map, Value, json};

use super::Malformed;

/// Reads a line: a record such as `{"Item": {…}}`, or `None` for a line without a value.
///
/// # Errors
/// It is no Ion text, or no record of an export.
pub fn read_record(line: &[u8]) -> Result<Option<Value>, Malformed> {
    let read = Element::read_all(line).map_err(|error| Malformed::new(format!("has a line that is not Ion text: {error}")))?;
    let Some(record) = read.iter().next() else { return Ok(None) };
    let parts = record.as_struct().ok_or_else(|| Malformed::new("has a line that is no Ion struct"))?;
    let mut json = Map::new();
    for (name, part) in parts.fields() {
        let part = part.as_struct().ok_or_else(|| Malformed::new("has a record whose parts are no Ion structs"))?;
        json.insert(name_of(name)?, Value::Object(attributes(part)?));
    }
    Ok(Some(Value::Object(json)))
}

fn attributes(item: &Struct) -> Result<Map<String, Value>, Malformed> {
    item.fields().map(|(name, value)| Ok((name_of(name)?, attribute(value)?))).collect()
}

fn name_of(symbol: &ion_rs::Symbol) -> Result<String, Malformed> {
    symbol.text().map(str::to_owned).ok_or_else(|| Malformed::new("has an attribute without a name"))
}

fn attribute(value: &Element) -> Result<Value, Malformed> {
    let unknown = || Malformed::new(format!("has a value of Ion type {}, which no attribute has", value.ion_type()));
    if value.is_null() {
        return Ok(json!({"NULL": true}));
    }
    Ok(match value.ion_type() {
        IonType::Bool => json!({"BOOL": value.as_bool()}),
        IonType::Int | IonType::Decimal => json!({"N": number(value).ok_or_else(unknown)?}),
        IonType::String | IonType::Symbol => json!({"S": value.as_text()}),
        IonType::Blob | IonType::Clob => json!({"B": blob(value).ok_or_else(unknown)?}),
        IonType::Struct => json!({"M": attributes(value.as_struct().ok_or_else(unknown)?)?}),
        IonType::List | IonType::SExp => list(value, value.as_sequence().ok_or_else(unknown)?)?,
        _ => return Err(unknown()),
    })
}

fn list(value: &Element, elements: &Sequence) -> Result<Value, Malformed> {
    let set = |read: fn(&Element) -> Option<String>| {
        let texts = elements.iter().map(read).collect::<Option<Vec<_>>>();
        texts.ok_or_else(|| Malformed::new("has a set whose elements are not of its kind"))
    };
    let kind = value.annotations().iter().find_map(|annotation| annotation.text()?.strip_prefix("$dynamodb_"));
    Ok(match kind {
        Some("SS") => json!({"SS": set(|element| element.as_text().map(str::to_owned))?}),
        Some("NS") => json!({"NS": set(number)?}),
        Some("BS") => json!({"BS": set(blob)?}),
        _ => json!({"L": elements.iter().map(attribute).collect::<Result<Vec<_>, _>>()?}),
    })
}

fn blob(value: &Element) -> Option<String> {
    value.as_lob().map(|bytes| BASE64.encode(bytes))
}

fn number(value: &Element) -> Option<String> {
    match value.ion_type() {
        IonType::Int => value.as_int().map(ToString::to_string),
        IonType::Decimal => value.as_decimal().map(|decimal| plain(&decimal)),
        _ => None,
    }
}

/// Digits without an exponent, as DynamoDB JSON has them.
fn plain(decimal: &Decimal) -> String {
    let digits = decimal.coefficient().magnitude().to_string();
    let sign = if decimal.is_less_than_zero() { "-" } else { "" };
    let exponent = decimal.exponent();
    // DynamoDB's numbers have at most 130 digits after the point or before it; others are left with their exponent.
    if exponent.unsigned_abs() > 1000 {
        return format!("{sign}{digits}E{exponent}");
    }
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    if exponent >= 0 {
        let zeros = if digits == "0" { 0 } else { places };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back() {
        let line = br#"$ion_1_0 {Item:{Id:103.,Price:-1.50,Big:1d20,Small:1d-20,Zero:0.,Title:"Book \"103\"\n",Data:{{aGVsbG8=}},Authors:$dynamodb_SS::["a","b"],Counts:$dynamodb_NS::[1.,2.5],Blobs:$dynamodb_BS::[{{aGk=}}],Flag:true,Nothing:null,'two words':"x",List:[1.,[]],Map:{k:"v"}}}"#;
        let read = read_record(line).unwrap().unwrap();
        let expected = json!({"Item": {
            "Id": {"N": "103"}, "Price": {"N": "-1.50"}, "Big": {"N": "100000000000000000000"},
            "Small": {"N": "0.00000000000000000001"}, "Zero": {"N": "0"},
            "Title": {"S": "Book \"103\"\n"}, "Data": {"B": "aGVsbG8="},
            "Authors": {"SS": ["a", "b"]}, "Counts": {"NS": ["1", "2.5"]}, "Blobs": {"BS": ["aGk="]},
            "Flag": {"BOOL": true}, "Nothing": {"NULL": true}, "two words": {"S": "x"},
            "List": {"L": [{"N": "1"}, {"L": []}]}, "Map": {"M": {"k": {"S": "v"}}},
        }});
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_record_is_told() {
        assert_eq!(read_record(b"$ion_1_0\n").unwrap(), None);
        for line in ["{Item:", "[1]", "{Item:1.}", "{Item:{a:2007-01-01T}}"] {
            assert!(read_record(line.as_bytes()).is_err(), "{line}");
        }
    }
}
