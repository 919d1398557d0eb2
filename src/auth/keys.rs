//! Verifies API keys: finds them by their prefix, and compares hashes in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::error::AuthError;
use crate::domain::caller::secret::ApiKeySecret;
use crate::domain::caller::{Caller, CallerName};
use crate::domain::error_chain::in_words;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;

/// The precision of a key's `last_used_at`: a key in use costs one write per minute.
const RECORD_USE_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// The caller with this key, and when the key expires.
pub(super) async fn verify(
    store: &Store,
    text: &str,
    now: Timestamp,
) -> Result<(Caller, Option<Timestamp>), AuthError> {
    // The checksum refuses typos without a query.
    let secret = ApiKeySecret::parse(text).ok_or(AuthError::Malformed)?;
    let found = store.look_up_api_key(secret.lookup()).await?;
    let (key, hash) = found.ok_or(AuthError::Unknown)?;
    verify_slices_are_equal(&secret.hash(), &hash).map_err(|_| AuthError::Unknown)?;
    if key.refusal(now).is_some() {
        return Err(if key.revoked_at.is_some() {
            AuthError::Revoked
        } else {
            AuthError::Expired
        });
    }
    if key
        .last_used_at
        .is_none_or(|at| at.plus(RECORD_USE_EVERY) <= now)
        && let Err(error) = store.note_use_of_api_key(key.id, now).await
    {
        // The key is good all the same.
        tracing::warn!(
            error.message = in_words(&error),
            "the use of an API key was not recorded"
        );
    }
    let caller = Caller {
        name: Some(CallerName::for_api_key(key.name.as_str())),
        grant: key.grant,
        rate_per_s: key.rate_per_s,
    };
    Ok((caller, key.expires_at))
}
