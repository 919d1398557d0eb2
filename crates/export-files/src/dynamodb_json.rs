//! Records of DYNAMODB_JSON exports, checked while they are parsed. Only what AWS writes is
//! accepted, and duplicate members are an error.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::number::is_number;

/// Why a text is not a record, and the byte at which that was noticed.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The error, as a sentence without a full stop. Never contains parts of the text.
    pub what: String,
    /// Counted from 0.
    pub at: usize,
}

/// Reads a record on a line of its own: `{"Item": …}`, or a change with its `Keys`. With `KEEP` it
/// is returned; without, it is only checked, which needs no memory for it. `max_values` is the
/// maximum number of attribute values.
pub fn read_record<const KEEP: bool>(line: &[u8], max_values: u32) -> Result<Value, Wrong> {
    let left = Cell::new(max_values);
    let mut json = serde_json::Deserializer::from_slice(line);
    let read = Seed::<KEEP, _> {
        left: &left,
        what: Record,
    }
    .deserialize(&mut json)
    .and_then(|record| json.end().map(|()| record));
    read.map_err(|error| {
        // The text is one line, so the column is the position.
        let at = error.column().saturating_sub(1);
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        let what = match error.classify() {
            Category::Eof => "it ends in the middle of a JSON text".to_owned(),
            Category::Data if message.starts_with(OWN_MESSAGES) => message.to_owned(),
            // serde's message may quote the text.
            Category::Data => {
                "it has a value of another type than an export writes there".to_owned()
            }
            Category::Syntax | Category::Io => format!("it is not JSON ({message})"),
        };
        Wrong { what, at }
    })
}

/// The prefix of this module's own errors.
const OWN_MESSAGES: &str = "it has ";

/// The expected element, and how many attribute values may still follow.
#[derive(Clone, Copy)]
struct Seed<'a, const KEEP: bool, What> {
    left: &'a Cell<u32>,
    what: What,
}

#[derive(Clone, Copy)]
struct Record;
/// Names and values of attributes.
#[derive(Clone, Copy)]
struct Attributes;
/// A value with its type.
#[derive(Clone, Copy)]
struct Attribute;
#[derive(Clone, Copy)]
struct List;
/// A text of this kind.
#[derive(Clone, Copy)]
struct Text(Kind);
/// A set of texts of this kind.
#[derive(Clone, Copy)]
struct Set(Kind);
/// `true` or `false`; NULL is always `true`.
#[derive(Clone, Copy)]
struct Bool {
    is_null: bool,
}
/// The metadata of a change, with any content.
#[derive(Clone, Copy)]
struct Metadata;
struct Name;

#[derive(Clone, Copy)]
enum Kind {
    String,
    Number,
    Binary,
}

impl<'a, const KEEP: bool, What> Seed<'a, KEEP, What> {
    fn next<Next>(&self, what: Next) -> Seed<'a, KEEP, Next> {
        Seed {
            left: self.left,
            what,
        }
    }
}

/// Records a member's name; duplicates are an error.
fn once<E: Error>(mut names: Vec<Cow<'_, str>>) -> Result<(), E> {
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(E::custom("it has two members of the same name"));
    }
    Ok(())
}

/// Maximum length of a value in a change's metadata, in bytes of JSON.
const MAX_METADATA_BYTES: usize = 4096;

/// Counts one more value.
fn count<E: Error>(left: &Cell<u32>) -> Result<(), E> {
    left.set(
        left.get()
            .checked_sub(1)
            .ok_or_else(|| E::custom("it has more values than any DynamoDB item"))?,
    );
    Ok(())
}

macro_rules! seed {
    ($what:ty, $ask:ident, $expecting:literal, { $($visit:tt)* }) => {
        impl<'de, const KEEP: bool> DeserializeSeed<'de> for Seed<'_, KEEP, $what> {
            type Value = Value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
                from.$ask(self)
            }
        }

        impl<'de, const KEEP: bool> Visitor<'de> for Seed<'_, KEEP, $what> {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }
            $($visit)*
        }
    };
}

seed!(Record, deserialize_map, "a record", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut parts, mut names) = (Map::new(), Vec::new());
        while let Some(name) = map.next_key_seed(Name)? {
            let part = match &*name {
                "Item" | "Keys" | "NewImage" | "OldImage" => {
                    map.next_value_seed(self.next(Attributes))?
                }
                "Metadata" => map.next_value_seed(self.next(Metadata))?,
                _ => {
                    return Err(A::Error::custom(
                        "it has a member that export records do not have",
                    ));
                }
            };
            if KEEP {
                parts.insert(name.clone().into_owned(), part);
            }
            names.push(name);
        }
        let is_record = match names.iter().any(|name| name == "Item") {
            true => names.iter().all(|name| name == "Item"),
            false => names.iter().any(|name| name == "Keys"),
        };
        if !is_record {
            return Err(A::Error::custom(
                "it has neither an Item alone, nor the Keys of a change",
            ));
        }
        once(names)?;
        Ok(Value::Object(parts))
    }
});

seed!(Attributes, deserialize_map, "attributes", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut attributes, mut names) = (Map::new(), Vec::new());
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(self.next(Attribute))?;
            if KEEP {
                attributes.insert(name.clone().into_owned(), value);
            }
            names.push(name);
        }
        once(names)?;
        Ok(Value::Object(attributes))
    }
});

seed!(
    Attribute,
    deserialize_map,
    "an attribute's value with its type",
    {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
            count(self.left)?;
            let Some(tag) = map.next_key_seed(Name)? else {
                return Err(A::Error::custom("it has an attribute value without a type"));
            };
            let value = match &*tag {
                "S" => map.next_value_seed(self.next(Text(Kind::String)))?,
                "N" => map.next_value_seed(self.next(Text(Kind::Number)))?,
                "B" => map.next_value_seed(self.next(Text(Kind::Binary)))?,
                "SS" => map.next_value_seed(self.next(Set(Kind::String)))?,
                "NS" => map.next_value_seed(self.next(Set(Kind::Number)))?,
                "BS" => map.next_value_seed(self.next(Set(Kind::Binary)))?,
                "BOOL" => map.next_value_seed(self.next(Bool { is_null: false }))?,
                "NULL" => map.next_value_seed(self.next(Bool { is_null: true }))?,
                "L" => map.next_value_seed(self.next(List))?,
                "M" => map.next_value_seed(self.next(Attributes))?,
                _ => {
                    return Err(A::Error::custom(
                        "it has an attribute value of a type that DynamoDB does not have",
                    ));
                }
            };
            if map.next_key_seed(Name)?.is_some() {
                return Err(A::Error::custom("it has an attribute value of two types"));
            }
            Ok(if KEEP {
                Value::Object(Map::from_iter([(tag.into_owned(), value)]))
            } else {
                Value::Null
            })
        }
    }
);

seed!(List, deserialize_seq, "a list", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = seq.next_element_seed(self.next(Attribute))? {
            if KEEP {
                all.push(value);
            }
        }
        Ok(Value::Array(all))
    }
});

seed!(Set, deserialize_seq, "a set", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(value) = seq.next_element_seed(self.next(Text(self.what.0)))? {
            count(self.left)?;
            if KEEP {
                all.push(value);
            }
        }
        Ok(Value::Array(all))
    }
});

seed!(Text, deserialize_str, "a text", {
    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.what.0 {
            Kind::Number if !is_number(text) => return Err(E::custom("it has a malformed number")),
            Kind::Binary if BASE64.decode(text).is_err() => {
                return Err(E::custom("it has a binary value that is not base64"));
            }
            _ => {}
        }
        Ok(if KEEP {
            Value::String(text.to_owned())
        } else {
            Value::Null
        })
    }
});

seed!(Bool, deserialize_bool, "true or false", {
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        if self.what.is_null && !value {
            return Err(E::custom("it has a NULL that is not true"));
        }
        Ok(Value::Bool(value))
    }
});

seed!(Metadata, deserialize_map, "metadata", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let (mut members, mut names) = (Map::new(), Vec::new());
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &RawValue = map.next_value()?;
            if value.get().len() > MAX_METADATA_BYTES {
                return Err(A::Error::custom("it has longer metadata than any change"));
            }
            count(self.left)?;
            if KEEP {
                members.insert(
                    name.clone().into_owned(),
                    serde_json::from_str(value.get()).map_err(A::Error::custom)?,
                );
            }
            names.push(name);
        }
        once(names)?;
        Ok(Value::Object(members))
    }
});

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_come_back_as_they_are() {
        for record in [
            json!({"Item": {}}),
            json!({"Item": {"s": {"S": "\u{1}é\u{2028}"}, "n": {"N": "-1.50"}, "e": {"N": "1E+5"}, "b": {"B": "aGk="}, "none": {"B": ""}, "t": {"BOOL": false},
                "nil": {"NULL": true}, "ss": {"SS": ["a", ""]}, "ns": {"NS": ["1"]}, "bs": {"BS": ["aGk="]}, "l": {"L": [{"M": {}}, {"L": []}]}, "m": {"M": {"S": {"S": "x"}}}}}),
            json!({"Keys": {"pk": {"S": "a"}}, "Metadata": {"WriteTimestampMicros": {"N": "1"}}, "NewImage": {"pk": {"S": "a"}}, "OldImage": {}}),
            json!({"Keys": {"pk": {"S": "a"}}, "Metadata": {"WriteTimestampMicros": "1680109764000000", "Other": [1]}}),
        ] {
            let text = format!("{record}\n");
            assert_eq!(read_record::<true>(text.as_bytes(), 100).unwrap(), record);
            assert!(read_record::<false>(text.as_bytes(), 100).is_ok());
        }
    }

    #[test]
    fn what_an_export_does_not_write_is_no_record_and_is_not_quoted() {
        let item = |value: &str| format!(r#"{{"Item":{{"secret":{value}}}}}"#);
        let texts = [
            (r#"{"Other":1}"#.to_owned(), "a member that export records"),
            ("[1]".to_owned(), "another type"),
            (r#""secret""#.to_owned(), "another type"),
            ("{}".to_owned(), "neither an Item alone"),
            (r#"{"NewImage":{}}"#.to_owned(), "neither an Item alone"),
            (
                r#"{"Item":{},"Keys":{}}"#.to_owned(),
                "neither an Item alone",
            ),
            (r#"{"Item":null}"#.to_owned(), "another type"),
            (
                r#"{"Item":{}} {"Item":{}}"#.to_owned(),
                "trailing characters",
            ),
            (r#"{"Item":{}}x"#.to_owned(), "trailing characters"),
            (r#"{"Item":{},"Item":{}}"#.to_owned(), "same name"),
            (
                r#"{"Item":{"secret":{"S":"secret"},"secret":{"N":"1"}}}"#.to_owned(),
                "same name",
            ),
            (r#"{"Item":{"#.to_owned(), "ends in the middle"),
            (
                item(r#"{"Q":"secret"}"#),
                "type that DynamoDB does not have",
            ),
            (item("{}"), "without a type"),
            (item(r#"{"S":"secret","N":"1"}"#), "of two types"),
            (item(r#""secret""#), "another type"),
            (item(r#"{"S":1}"#), "another type"),
            (item(r#"{"N":1}"#), "another type"),
            (item(r#"{"N":"secret"}"#), "a malformed number"),
            (item(r#"{"N":""}"#), "a malformed number"),
            (item(r#"{"NS":["1","NaN"]}"#), "a malformed number"),
            (item(r#"{"B":"aGk"}"#), "not base64"),
            (item(r#"{"B":"secret!"}"#), "not base64"),
            (item(r#"{"BS":["aGk=","a"]}"#), "not base64"),
            (item(r#"{"NULL":false}"#), "a NULL that is not true"),
            (item(r#"{"BOOL":"true"}"#), "another type"),
            (item(r#"{"L":{"M":{}}}"#), "another type"),
            (item(r#"{"L":[{"S":"a"},5]}"#), "another type"),
            (item(r#"{"M":{"a":{"S":"x"},"a":{"S":"y"}}}"#), "same name"),
            (item("{\"S\":\"\\ud800\"}"), "not JSON"),
            (item("{\"S\":\"\u{1}\"}"), "not JSON"),
            (item(&r#"{"L":["#.repeat(100)), "not JSON"),
        ];
        for (text, why) in texts {
            let told = read_record::<true>(text.as_bytes(), 100)
                .expect_err(&text)
                .what;
            assert!(told.contains(why), "{text}: {told}");
            assert!(
                !told.contains("secret") && !told.contains('\n') && !told.contains(" line "),
                "{text}: {told}"
            );
            assert!(
                read_record::<false>(text.as_bytes(), 100).is_err(),
                "{text}"
            );
        }
        assert!(read_record::<true>(b"{\"Item\":{\"a\":{\"S\":\"\xff\"}}}", 100).is_err());
        assert_eq!(
            read_record::<true>(br#"{"Item":{"a":{"Q":1}}}"#, 100)
                .unwrap_err()
                .at,
            16
        );
    }

    #[test]
    fn values_are_counted() {
        let text = format!(
            r#"{{"Item":{{"l":{{"L":[{}]}}}}}}"#,
            vec![r#"{"NULL":true}"#; 100].join(",")
        );
        assert!(read_record::<true>(text.as_bytes(), 101).is_ok());
        assert!(
            read_record::<false>(text.as_bytes(), 100)
                .unwrap_err()
                .what
                .contains("more values")
        );
    }
}
