//! The fingerprint of a request body. It distinguishes a repeated request from a different one with
//! the same idempotency key.

use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 over a canonical form of the body: the order of members, white space and members with
/// the value null make no difference.
#[must_use]
pub fn fingerprint(body: &Value) -> [u8; 32] {
    #[expect(
        clippy::expect_used,
        reason = "names are strings, and memory does not fail to be written to"
    )]
    let form = serde_json::to_vec(&WithoutNulls(body)).expect("a JSON value can be written");
    Sha256::digest(form).into()
}

/// A value without members that are null.
struct WithoutNulls<'a>(&'a Value);

impl Serialize for WithoutNulls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // `serde_json` keeps members in the order of their names.
            Value::Object(members) => serializer.collect_map(
                members
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name, Self(value))),
            ),
            Value::Array(elements) => serializer.collect_seq(elements.iter().map(Self)),
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_stays_what_it_was_when_the_stored_ones_were_made() {
        let body = serde_json::json!({"b": [1, null, {"x": null, "y": "\u{e9}\"\n"}], "a": {"c": null}, "n": null, "f": 1.5});
        let form =
            r#"{"a":{},"b":[1,null,{"y":"\u{e9}\"\n"}],"f":1.5}"#.replace("\\u{e9}", "\u{e9}");
        assert_eq!(fingerprint(&body), <[u8; 32]>::from(Sha256::digest(form)));
    }

    #[test]
    fn the_same_meaning_is_the_same_fingerprint() {
        let read = |text: &str| fingerprint(&serde_json::from_str(text).unwrap());
        assert_eq!(
            read(r#"{"a":1,"b":{"c":null,"d":[1]}}"#),
            read(r#"{ "b": {"d":[1]}, "x": null, "a": 1 }"#)
        );
        assert_ne!(read(r#"{"a":[1,2]}"#), read(r#"{"a":[2,1]}"#));
        assert_ne!(read(r#"{"a":"1"}"#), read(r#"{"a":1}"#));
    }
}
