//! API keys: found by their first digits, compared by hash in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Refusal;
use crate::domain::caller::secret::ApiKeySecret;
use crate::domain::caller::{Caller, CallerName};
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::telemetry::error_chain::in_words;

/// How exactly the last use is noted: a key in use costs one write a minute.
const USE_NOTED_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// The bearer of this key, and until when it works.
pub(super) async fn look_up(
    store: &Store,
    text: &str,
    now: Timestamp,
) -> Result<(Caller, Option<Timestamp>), Refusal> {
    // The checksum refuses typos before anybody is asked.
    let secret = ApiKeySecret::parse(text).ok_or(Refusal::Malformed)?;
    let found = store
        .look_up_api_key(secret.lookup())
        .await
        .map_err(Refusal::Store)?;
    let (key, hash) = found.ok_or(Refusal::Unknown)?;
    verify_slices_are_equal(&secret.hash(), &hash).map_err(|_| Refusal::Unknown)?;
    if let Some(why) = key.refusal(now) {
        return Err(Refusal::Ended(why));
    }
    if key
        .last_used_at
        .is_none_or(|at| at.plus(USE_NOTED_EVERY) <= now)
        && let Err(error) = store.note_use_of_api_key(key.id, now).await
    {
        // Whoever may in may in.
        tracing::warn!(
            error.message = in_words(&error),
            "the use of an API key was not noted"
        );
    }
    let caller = Caller {
        name: Some(CallerName::of_api_key(key.name.as_str())),
        grant: key.grant,
        rate_per_s: key.rate_per_s,
    };
    Ok((caller, key.expires_at))
}
