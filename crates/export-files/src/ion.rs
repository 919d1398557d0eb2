//! Records of ION exports as DynamoDB JSON; both formats contain the same items.
//!
//! AWS writes `$ion_1_0 {Item:{…}}`: numbers are decimals, binary values are blobs, and sets are
//! lists annotated `$dynamodb_SS`, `$dynamodb_NS` or `$dynamodb_BS`. According to AWS's guide, a
//! change is in a field `Record`; a change without it is accepted too. Anything else is refused,
//! because it could not be converted without loss.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ion_rs::{Decimal, Element, IonError, IonType, Sequence, Struct};
use serde_json::{Map, Value, json};

use super::dynamodb_json::Wrong;
use super::number::is_number;

/// The error of a record.
type Refusal = &'static str;

/// Reads the text of a record, such as `{Item:{…}}`; `None` if it contains no value.
pub fn read_record(text: &[u8]) -> Result<Option<Value>, Wrong> {
    let wrong = |what: &str, at| Wrong {
        what: what.to_owned(),
        at,
    };
    if let Err(error) = std::str::from_utf8(text) {
        return Err(wrong("it is not UTF-8", error.valid_up_to()));
    }
    let read = Element::read_all(text).map_err(|error| match error {
        IonError::Incomplete(error) => wrong(
            "it ends in the middle of an Ion value",
            error.position().byte_offset(),
        ),
        IonError::Decoding(error) => wrong(
            "it is not Ion text",
            error
                .position()
                .map_or(0, |position| position.byte_offset()),
        ),
        _ => wrong("it is not Ion text", 0),
    })?;
    let mut values = read.iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong("it has a value that is not a record", 0));
    }
    record(value).map(Some).map_err(|what| wrong(what, 0))
}

fn record(value: &Element) -> Result<Value, Refusal> {
    let parts = fields(value, "it has a value that is not a record")?;
    let mut all = parts.fields();
    if let (Some((name, change)), None) = (all.next(), all.next())
        && name.text() == Some("Record")
    {
        return change_of(fields(change, "it has a Record that is not a struct")?);
    }
    if parts.get("Item").is_none() {
        return change_of(parts);
    }
    let item = members(parts, |name, part| match name {
        "Item" => Ok(Value::Object(attributes(fields(
            part,
            "it has an Item that is not a struct",
        )?)?)),
        _ => Err("it has a field that export records do not have"),
    })?;
    Ok(Value::Object(item))
}

fn change_of(parts: &Struct) -> Result<Value, Refusal> {
    if parts.get("Keys").is_none() {
        return Err("it has neither an Item alone, nor the Keys of a change");
    }
    let change = members(parts, |name, part| match name {
        "Keys" | "NewImage" | "OldImage" | "Metadata" => Ok(Value::Object(attributes(fields(
            part,
            "it has a part of a change that is not a struct",
        )?)?)),
        _ => Err("it has a field that export records do not have"),
    })?;
    Ok(Value::Object(change))
}

/// The fields of a struct without annotations.
fn fields(value: &Element, what: Refusal) -> Result<&Struct, Refusal> {
    value
        .as_struct()
        .filter(|_| value.annotations().is_empty())
        .ok_or(what)
}

/// The fields of a struct; duplicates are an error.
fn members(
    of: &Struct,
    read: impl Fn(&str, &Element) -> Result<Value, Refusal>,
) -> Result<Map<String, Value>, Refusal> {
    let mut members = Map::new();
    for (name, value) in of.fields() {
        let name = name.text().ok_or("it has a field without a name")?;
        if members
            .insert(name.to_owned(), read(name, value)?)
            .is_some()
        {
            return Err("it has two fields of the same name");
        }
    }
    Ok(members)
}

fn attributes(item: &Struct) -> Result<Map<String, Value>, Refusal> {
    members(item, |_, value| attribute(value))
}

fn attribute(value: &Element) -> Result<Value, Refusal> {
    const UNKNOWN: Refusal = "it has a value of an Ion type that attributes do not have";
    if value.ion_type() == IonType::List && !value.is_null() {
        return list(value, value.as_list().ok_or(UNKNOWN)?);
    }
    if !value.annotations().is_empty() {
        return Err("it has an annotation that export values do not have");
    }
    if value.is_null() {
        return Ok(json!({"NULL": true}));
    }
    Ok(match value.ion_type() {
        IonType::Bool => json!({"BOOL": value.as_bool()}),
        IonType::Int | IonType::Decimal => json!({"N": number(value).ok_or(UNKNOWN)?}),
        IonType::String => json!({"S": value.as_string().ok_or(UNKNOWN)?}),
        IonType::Blob => json!({"B": blob(value).ok_or(UNKNOWN)?}),
        IonType::Struct => json!({"M": attributes(value.as_struct().ok_or(UNKNOWN)?)?}),
        _ => return Err(UNKNOWN),
    })
}

fn list(value: &Element, elements: &Sequence) -> Result<Value, Refusal> {
    let set = |read: fn(&Element) -> Option<String>| {
        let texts = elements
            .iter()
            .map(|element| read(element).filter(|_| element.annotations().is_empty()));
        texts
            .collect::<Option<Vec<_>>>()
            .ok_or("it has a set with an element of another type")
    };
    let mut annotations = value
        .annotations()
        .iter()
        .map(|annotation| annotation.text());
    let kind = annotations.next();
    if annotations.next().is_some() {
        return Err("it has an annotation that export values do not have");
    }
    Ok(match kind {
        None => json!({"L": elements.iter().map(attribute).collect::<Result<Vec<_>, _>>()?}),
        Some(Some("$dynamodb_SS")) => {
            json!({"SS": set(|element| element.as_string().map(str::to_owned))?})
        }
        Some(Some("$dynamodb_NS")) => json!({"NS": set(number)?}),
        Some(Some("$dynamodb_BS")) => json!({"BS": set(blob)?}),
        Some(_) => return Err("it has an annotation that export values do not have"),
    })
}

fn blob(value: &Element) -> Option<String> {
    value.as_blob().map(|bytes| BASE64.encode(bytes))
}

fn number(value: &Element) -> Option<String> {
    match value.ion_type() {
        IonType::Int => value.as_int().map(ToString::to_string),
        IonType::Decimal => value.as_decimal().map(|decimal| plain(&decimal)),
        _ => None,
    }
    .filter(|digits| is_number(digits))
}

/// Digits without an exponent, as in DynamoDB JSON.
fn plain(decimal: &Decimal) -> String {
    let digits = decimal.coefficient().magnitude().to_string();
    let sign = if decimal.is_less_than_zero() { "-" } else { "" };
    let exponent = decimal.exponent();
    // DynamoDB's numbers have at most 130 digits on either side of the point; others keep their
    // exponent.
    if exponent.unsigned_abs() > 200 {
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
    fn a_change_comes_with_and_without_a_record_around_it() {
        let inner = r#"Keys:{pk:"a"},Metadata:{WriteTimestampMicros:1680109764000000.},NewImage:{pk:"a",Record:{Keys:1.}}"#;
        let expected = json!({
            "Keys": {"pk": {"S": "a"}}, "Metadata": {"WriteTimestampMicros": {"N": "1680109764000000"}},
            "NewImage": {"pk": {"S": "a"}, "Record": {"M": {"Keys": {"N": "1"}}}},
        });
        for text in [
            format!("$ion_1_0 {{{inner}}}"),
            format!("$ion_1_0 {{Record:{{{inner}}}}}"),
        ] {
            assert_eq!(
                read_record(text.as_bytes()).unwrap().unwrap(),
                expected,
                "{text}"
            );
        }
        // An attribute of an item may have that name.
        assert_eq!(
            read_record(b"{Item:{Record:1.}}").unwrap().unwrap(),
            json!({"Item": {"Record": {"N": "1"}}})
        );
    }

    #[test]
    fn other_spellings_of_the_same_values_are_understood() {
        let text =
            br#"{Item:{a:5,b:null.string,c:'''x''' '''y''',d:"\x41\u00e9",'$ion_1_0':1.,e:0x10}}"#;
        let expected = json!({"a": {"N": "5"}, "b": {"NULL": true}, "c": {"S": "xy"}, "d": {"S": "Aé"}, "$ion_1_0": {"N": "1"}, "e": {"N": "16"}});
        assert_eq!(read_record(text).unwrap().unwrap()["Item"], expected);
    }

    #[test]
    fn what_is_no_record_is_told_and_not_quoted() {
        assert_eq!(read_record(b"$ion_1_0\n").unwrap(), None);
        for text in [
            "{Item:",
            "[1]",
            "5",
            "secret",
            "{}",
            "{Item:1.}",
            "{Item:null}",
            "{Item:null.struct}",
            "secret::{Item:{}}",
            "{Item:secret::{}}",
            "{Item:{}} {Item:{}}",
            "{Item:{}} secret",
            "{Item:{},Keys:{}}",
            "{Item:{},secret:{}}",
            "{Item:{},Item:{}}",
            "{secret:{}}",
            "{Record:{}}",
            "{Record:{Item:{}}}",
            "{Record:{Keys:{}},secret:1}",
            "{Record:{Keys:{},secret:{}}}",
            "{Keys:{},NewImage:null}",
            "{Item:{a:2007-01-01T}}",
            "{Item:{a:1e0}}",
            "{Item:{a:secret}}",
            "{Item:{a:(1 2)}}",
            "{Item:{a:{{\"secret\"}}}}",
            "{Item:{a:secret::1.}}",
            "{Item:{a:secret::null}}",
            "{Item:{a:$dynamodb_XS::[]}}",
            "{Item:{a:$dynamodb_SS::$dynamodb_NS::[]}}",
            "{Item:{a:$dynamodb_SS::[1.]}}",
            "{Item:{a:$dynamodb_NS::[\"1\"]}}",
            "{Item:{a:$dynamodb_BS::[\"aGk=\"]}}",
            "{Item:{a:$dynamodb_SS::[secret::\"a\"]}}",
            "{Item:{a:$dynamodb_SS::[null]}}",
            "{Item:{a:1.,a:2.}}",
            "{Item:{a:{b:1.,b:1.}}}",
            "{Item:{a:$9}}",
            "{Item:{$10:1.}}",
            "{Item:{$0:1.}}",
            "{Item:{a:nan}}",
            "$ion_1_1 {Item:{}}",
            "{Item:{a:\"\u{1}\"}}",
        ] {
            let told = read_record(text.as_bytes()).expect_err(text).what;
            assert!(
                !told.contains("secret") && !told.contains('\n'),
                "{text}: {told}"
            );
        }
        assert!(read_record(b"{Item:{a:\"\xff\"}}").is_err());
        assert!(read_record(b"\xe0\x01\x00\xea\x0f").is_err());
    }
}
