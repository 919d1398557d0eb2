//! Page tokens: where a page ended and which filters it was for. Callers only hand them back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::invalid::Invalid;
use crate::store::page::ExportFilter;

/// The token of the page after the export of this id.
#[must_use]
pub fn after(id: Uuid, filter: &ExportFilter) -> String {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend(mark(id, filter));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The id that a token stands for.
///
/// # Errors
/// It is no token of this service, or was given for other filters.
pub fn read(token: &str, filter: &ExportFilter) -> Result<Uuid, Invalid> {
    let wrong = || Invalid::new("must be a next_page_token of this service, used with the same filters as the page before");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let (id, given) = bytes.split_at_checked(16).ok_or_else(wrong)?;
    let id = Uuid::from_slice(id).map_err(|_| wrong())?;
    if given == mark(id, filter) { Ok(id) } else { Err(wrong()) }
}

/// Eight bytes that tie a token to its filters.
fn mark(id: Uuid, filter: &ExportFilter) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(format!("{id} {filter:?}").as_bytes()).into();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_filters() {
        let (one, other) = (ExportFilter::default(), ExportFilter { status: Some("FAILED"), ..ExportFilter::default() });
        let id = Uuid::from_u128(7);
        let token = after(id, &one);
        assert_eq!(read(&token, &one).unwrap(), id);
        assert!(read(&token, &other).is_err());
        for bad in ["", "AAAA", "not base64!", &token[1..]] {
            assert!(read(bad, &one).is_err(), "{bad}");
        }
    }
}
