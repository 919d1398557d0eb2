//! The `webhook-signature` of Standard Webhooks 1.0.0, over `{id}.{timestamp}.{body}`: `v1` is
//! HMAC-SHA256 with a secret that the receiver shares, `v1a` is ed25519 with a key of this service,
//! whose public key anyone may fetch.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::secret::WebhookSecret;

/// The length of an ed25519 private key.
pub const SEED_BYTES: usize = 32;

#[derive(Debug)]
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    #[must_use]
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        #[expect(clippy::expect_used, reason = "any 32 bytes are the seed of a key")]
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are the seed of a key");
        Self { pair }
    }

    /// Parses the private key: `whsk_` and the base64 of its 32 bytes. The error does not repeat
    /// the text.
    pub fn parse_private(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("must be \"whsk_\" followed by the base64 of 32 bytes");
        let bytes = text
            .strip_prefix("whsk_")
            .and_then(|encoded| BASE64.decode(encoded).ok())
            .ok_or_else(wrong)?;
        Ok(Self::from_seed(&bytes.try_into().map_err(|_| wrong())?))
    }

    /// The private key as text: `whsk_` and the base64 of its 32 bytes.
    #[must_use]
    pub fn private_text(seed: &[u8; SEED_BYTES]) -> String {
        format!("whsk_{}", BASE64.encode(seed))
    }

    /// The public key as text: `whpk_` and the base64 of its 32 bytes.
    #[must_use]
    pub fn public_text(&self) -> String {
        format!("whpk_{}", BASE64.encode(self.pair.public_key().as_ref()))
    }
}

/// The header's value: one `v1` per secret, then one `v1a` per key, separated by spaces.
/// `timestamp_s` is the time of the attempt in seconds since the Unix epoch; `body` is exactly what
/// is sent.
#[must_use]
pub fn sign(
    secrets: &[WebhookSecret],
    keys: &[SigningKey],
    webhook_id: &str,
    timestamp_s: i64,
    body: &str,
) -> String {
    let signed = format!("{webhook_id}.{timestamp_s}.{body}");
    let v1 = secrets
        .iter()
        .map(|secret| format!("v1,{}", BASE64.encode(hmac(secret, signed.as_bytes()))));
    let v1a = keys
        .iter()
        .map(|key| format!("v1a,{}", BASE64.encode(key.pair.sign(signed.as_bytes()))));
    v1.chain(v1a).collect::<Vec<_>>().join(" ")
}

fn hmac(secret: &WebhookSecret, signed: &[u8]) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.key()).expect("HMAC takes keys of any length");
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;

    #[test]
    fn signs_the_vector_of_the_specification() {
        let secret = WebhookSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let signature = sign(
            &[secret],
            &[],
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            BODY,
        );
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn the_public_key_verifies_v1a_and_survives_being_stored() {
        let seed = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let key = SigningKey::parse_private(&SigningKey::private_text(&seed)).unwrap();
        // RFC 8032's function for the seed 00 01 … 1f, as every implementation gives it.
        assert_eq!(
            key.public_text(),
            "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
        );
        let header = sign(&[], &[key], "msg_1", 7, BODY);
        let signature = BASE64.decode(header.strip_prefix("v1a,").unwrap()).unwrap();
        let public = BASE64
            .decode("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")
            .unwrap();
        let verifier = UnparsedPublicKey::new(&ED25519, public);
        assert!(
            verifier
                .verify(format!("msg_1.7.{BODY}").as_bytes(), &signature)
                .is_ok()
        );
        assert!(
            verifier
                .verify(format!("msg_1.8.{BODY}").as_bytes(), &signature)
                .is_err()
        );
    }
}
