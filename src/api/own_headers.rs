//! Headers that a caller wants to be sent to a receiver: of an endpoint, or of a callback. Their
//! values may be tokens, so they are sealed as they are read.

use std::collections::BTreeMap;

use super::fields::{Errors, Fields, kind};
use super::problem::FieldError;
use crate::domain::invalid::Invalid;
use crate::domain::webhook::endpoint::{MOST_HEADERS, SealedHeaders, check_header};
use crate::webhooks::vault::Vault;

/// Reads a field that holds headers for a receiver.
pub(super) fn read_headers(
    field: &'static str,
    vault: &Vault,
    fields: &mut Fields<'_>,
    errors: &mut Errors,
) -> Option<SealedHeaders> {
    let at = fields.pointer(field);
    let members = fields.object(field, errors)?;
    // Before each is compared with the others: a body may name very many.
    if members.members().count() > MOST_HEADERS {
        errors.push(FieldError::new(
            at,
            &Invalid::new(format!("must hold at most {MOST_HEADERS} headers")),
        ));
        return None;
    }
    let mut headers = BTreeMap::new();
    for (name, value) in members.members() {
        let checked = match value.as_str() {
            Some(text) => check_header(name, text).map(|()| text),
            None => Err(Invalid::new(format!(
                "must be a string, not {}",
                kind(value)
            ))),
        };
        match checked {
            Ok(_)
                if headers
                    .keys()
                    .any(|known: &String| known.eq_ignore_ascii_case(name)) =>
            {
                errors.push(FieldError::new(
                    members.pointer(name),
                    &Invalid::new("is given twice (header names are case-insensitive)"),
                ));
            }
            Ok(text) => drop(headers.insert(name.clone(), text.to_owned())),
            Err(error) => errors.push(FieldError::new(members.pointer(name), &error)),
        }
    }
    let names: Vec<_> = headers.keys().cloned().collect();
    let sealed =
        (!names.is_empty()).then(|| vault.seal(&serde_json::json!(headers).to_string()))?;
    Some(SealedHeaders { names, sealed })
}
