//! Verifies signatures by Standard Webhooks 1.0.0, with code that is independent of the service's.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The maximum difference between an attempt's time and the receiver's clock.
const TOLERANCE_S: u64 = 300;

/// The signed parts of a webhook.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`: several, separated by blanks.
    pub signatures: &'a str,
    /// The exact bytes.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Whether it has an id, and a time close to `now`.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let now_s = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        !self.id.is_empty()
            && self
                .timestamp
                .parse::<u64>()
                .is_ok_and(|at_s| at_s.abs_diff(now_s) <= TOLERANCE_S)
    }

    /// Whether a `v1` signature was made with this secret.
    #[must_use]
    pub fn is_of_secret(&self, secret: &str) -> bool {
        let Some(key) = secret
            .strip_prefix("whsec_")
            .and_then(|encoded| BASE64.decode(encoded).ok())
        else {
            return false;
        };
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&key) else {
            return false;
        };
        let mac = mac.chain_update(self.content());
        self.of_version("v1")
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }

    /// Whether there is a `v1a` signature for each of these public keys.
    #[must_use]
    pub fn is_of_every_key(&self, public_keys: &[String]) -> bool {
        let content = self.content();
        let is_of = |text: &String| {
            let Some(key) = public_key(text) else {
                return false;
            };
            let mut signatures = self
                .of_version("v1a")
                .filter_map(|bytes| Signature::from_slice(&bytes).ok());
            signatures.any(|signature| key.verify_strict(&content, &signature).is_ok())
        };
        !public_keys.is_empty() && public_keys.iter().all(is_of)
    }

    fn content(&self) -> Vec<u8> {
        [
            format!("{}.{}.", self.id, self.timestamp).as_bytes(),
            self.body,
        ]
        .concat()
    }

    fn of_version(&self, version: &str) -> impl Iterator<Item = Vec<u8>> {
        let all = self
            .signatures
            .split(' ')
            .filter_map(|one| one.split_once(','));
        all.filter(move |(its, _)| *its == version)
            .filter_map(|(_, encoded)| BASE64.decode(encoded).ok())
    }
}

fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes = BASE64.decode(text.strip_prefix("whpk_")?).ok()?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const OF_THE_SPECIFICATION: Signed<'_> = Signed {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: "1649367553",
        signatures: "v1a,AAAA v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        body: br#"{"email":"test@example.com","username":"test_user"}"#,
    };

    #[test]
    fn the_vector_of_the_specification_passes_and_nothing_else() {
        assert!(OF_THE_SPECIFICATION.is_of_secret(SECRET));
        assert!(
            !OF_THE_SPECIFICATION.is_of_secret("whsec_dGFibGVmZXJyeSBjaGFvcywgdGhlIHNlcnZpY2U=")
        );
        for other in [
            Signed {
                id: "msg_other",
                ..OF_THE_SPECIFICATION
            },
            Signed {
                timestamp: "1649367554",
                ..OF_THE_SPECIFICATION
            },
            Signed {
                body: b"{}",
                ..OF_THE_SPECIFICATION
            },
            Signed {
                signatures: "v1a,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
                ..OF_THE_SPECIFICATION
            },
            Signed {
                signatures: "",
                ..OF_THE_SPECIFICATION
            },
        ] {
            assert!(!other.is_of_secret(SECRET), "{other:?}");
        }
    }

    #[test]
    fn every_key_must_have_signed() {
        // Made with Node's crypto: the private key is the 32 bytes 0, 1, … 31.
        let key = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".to_owned();
        let signatures = format!("v1,AAAA v1a,{SIGNATURE_OF_THE_KEY}");
        let signed = Signed {
            signatures: &signatures,
            ..OF_THE_SPECIFICATION
        };
        assert!(signed.is_of_every_key(std::slice::from_ref(&key)));
        assert!(!signed.is_of_every_key(&[]));
        assert!(!signed.is_of_every_key(&[
            key.clone(),
            "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned()
        ]));
        assert!(
            !Signed {
                body: b"{}",
                ..signed
            }
            .is_of_every_key(&[key])
        );
    }

    const SIGNATURE_OF_THE_KEY: &str =
        "CnkujwXFUOk59gNZFCCzmJ2MkkC0yKa+OmyYFXFtPnxkRhEkUBAd4PGNNNjLh4huOXNuqy+Eyxud5+wHP2ezBA==";

    #[test]
    fn an_old_attempt_is_not_fresh() {
        let at = UNIX_EPOCH + std::time::Duration::from_secs(1_649_367_553);
        assert!(
            OF_THE_SPECIFICATION.is_fresh(at)
                && !OF_THE_SPECIFICATION
                    .is_fresh(at + std::time::Duration::from_secs(TOLERANCE_S + 1))
        );
    }
}
