//! The fingerprint of a request body: what tells a repeated request from another one with the same idempotency key.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 over the body in one fixed form: the order of members, white space, and members that are null make no difference.
#[must_use]
pub fn fingerprint(body: &Value) -> [u8; 32] {
    Sha256::digest(without_nulls(body).to_string().as_bytes()).into()
}

/// `serde_json` keeps members in the order of their names.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name.clone(), without_nulls(v))).collect(),
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_meaning_is_the_same_fingerprint() {
        let read = |text: &str| fingerprint(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"a":1,"b":{"c":null,"d":[1]}}"#), read(r#"{ "b": {"d":[1]}, "x": null, "a": 1 }"#));
        assert_ne!(read(r#"{"a":[1,2]}"#), read(r#"{"a":[2,1]}"#));
        assert_ne!(read(r#"{"a":"1"}"#), read(r#"{"a":1}"#));
    }
}
