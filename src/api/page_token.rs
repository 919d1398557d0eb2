//! Page tokens: where a page ended and which list it was of. Callers only hand them back.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::invalid::Invalid;

/// The token of the page after the row of this id. `scope` is the list with its filters.
#[must_use]
pub fn after(id: Uuid, scope: &impl Debug) -> String {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend(mark(id, scope));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The id that a token stands for.
///
/// # Errors
/// It is no token of this service, or was given for another list or other filters.
pub fn read(token: &str, scope: &impl Debug) -> Result<Uuid, Invalid> {
    let wrong = || Invalid::new("must be a next_page_token of this service, used with the same filters as the page before");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let (id, given) = bytes.split_at_checked(16).ok_or_else(wrong)?;
    let id = Uuid::from_slice(id).map_err(|_| wrong())?;
    if given == mark(id, scope) { Ok(id) } else { Err(wrong()) }
}

/// Eight bytes that tie a token to its list and filters.
fn mark(id: Uuid, scope: &impl Debug) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(format!("{id} {scope:?}").as_bytes()).into();
    std::array::from_fn(|i| digest[i])
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
}
