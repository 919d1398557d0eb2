//! Reads the headers that a caller wants sent to a receiver. Their values may be tokens, so they
//! are sealed at once.

use std::collections::BTreeMap;

use super::fields::Field;
use crate::domain::invalid::Invalid;
use crate::domain::webhook::endpoint::{MAX_HEADERS, SealedHeaders, check_header};
use crate::webhooks::vault::Vault;

pub(super) fn read_headers(
    field: &Field<'_, Option<BTreeMap<String, String>>>,
    vault: &Vault,
) -> Option<SealedHeaders> {
    let members = field.members()?;
    // Before each is compared with the others: a body may name very many.
    if members.len() > MAX_HEADERS {
        field.refuse(&Invalid::new(format!(
            "must have at most {MAX_HEADERS} headers"
        )));
        return None;
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in members {
        let check = |text: &str| {
            check_header(name, text)?;
            if headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(Invalid::new(
                    "is given twice (header names are case-insensitive)",
                ));
            }
            Ok(())
        };
        if let Some(text) = field.member((name, value), check) {
            headers.insert(name.clone(), text.to_owned());
        }
    }
    if headers.is_empty() {
        return None;
    }
    Some(SealedHeaders {
        names: headers.keys().cloned().collect(),
        sealed: vault.seal(&serde_json::json!(headers).to_string()),
    })
}
