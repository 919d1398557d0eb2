//! Page tokens: where a page ended, and which list it belongs to. Callers send them back unchanged.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::invalid::Invalid;

/// The token of the page after the row with this id. `scope` is the list with its filters.
#[must_use]
pub fn after(id: Uuid, scope: &impl Debug) -> String {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend(list_mark(id, scope));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The id that a token stands for.
pub fn read(token: &str, scope: &impl Debug) -> Result<Uuid, Invalid> {
    let wrong = || {
        Invalid::new(
            "must be a next_page_token of this service, used with the same filters as the previous page",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let (id, given) = bytes.split_at_checked(16).ok_or_else(wrong)?;
    let id = Uuid::from_slice(id).map_err(|_| wrong())?;
    if given == list_mark(id, scope) {
        Ok(id)
    } else {
        Err(wrong())
    }
}

/// Eight bytes that bind a token to its purpose.
#[must_use]
pub fn mark(what: &str) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(what.as_bytes()).into();
    std::array::from_fn(|i| digest[i])
}

/// Binds a token to its list and filters.
fn list_mark(id: Uuid, scope: &impl Debug) -> [u8; 8] {
    mark(&format!("{id} {scope:?}"))
}

/// The token of the page of an export's files that begins at this byte of manifest-files.json.
#[must_use]
pub fn at_offset(id: Uuid, offset: u64) -> String {
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend(offset_mark(id, offset));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The byte that a token of an export's files stands for.
pub fn read_offset(token: &str, id: Uuid) -> Result<u64, Invalid> {
    let wrong =
        || Invalid::new("must be a next_page_token of this service, from the same export's files");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let (offset, given) = bytes.split_at_checked(8).ok_or_else(wrong)?;
    let offset = u64::from_be_bytes(offset.try_into().map_err(|_| wrong())?);
    if given == offset_mark(id, offset) {
        Ok(offset)
    } else {
        Err(wrong())
    }
}

/// Binds an offset to its export.
fn offset_mark(id: Uuid, offset: u64) -> [u8; 8] {
    mark(&format!("{id} files {offset}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_filters() {
        let (one, other) = ("exports", "exports that FAILED");
        let id = Uuid::from_u128(7);
        let token = after(id, &one);
        assert_eq!(read(&token, &one).unwrap(), id);
        assert!(read(&token, &other).is_err());
        for bad in ["", "AAAA", "not base64!", &token[1..]] {
            assert!(read(bad, &one).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_of_files_belongs_to_its_export() {
        let (one, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let token = at_offset(one, 12_345);
        assert_eq!(read_offset(&token, one).unwrap(), 12_345);
        assert!(read_offset(&token, other).is_err());
        assert!(read_offset(&token[1..], one).is_err());
    }
}
