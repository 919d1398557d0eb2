//! An issuer's set of keys (RFC 7517). A set may also hold keys that cannot verify tokens: for
//! encryption, of unknown kinds or curves, malformed ones. Each key is read by itself, and those
//! are skipped.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// The members that make up the public key. Others (certificates, thumbprints) are ignored, so they
/// may be malformed.
const PARTS: [&str; 6] = ["kty", "n", "e", "crv", "x", "y"];

/// What an RSA key can verify.
const OF_RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a set has no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyNotFound {
    /// No key has that ID and algorithm. A newer set may have one.
    Unknown,
    /// The token names no key ID, and several keys suit its algorithm.
    Ambiguous,
}

/// The keys that can verify tokens.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    pub(super) fn read(set: &Value) -> Result<Self, String> {
        let keys = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or("its key set does not contain a list of keys")?;
        Ok(Self(
            keys.iter()
                .filter_map(|key| read_key(key.as_object()?))
                .collect(),
        ))
    }

    /// The keys that may have signed a token with this header. During a rotation two keys may have
    /// the same ID.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&DecodingKey>, KeyNotFound> {
        let suits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            // OpenID Connect Core 1.0, 10.1: without an ID only one key may suit.
            return match self.0.iter().filter(suits).collect::<Vec<_>>()[..] {
                [] => Err(KeyNotFound::Unknown),
                [one] => Ok(vec![&one.key]),
                _ => Err(KeyNotFound::Ambiguous),
            };
        };
        let named: Vec<_> = self
            .0
            .iter()
            .filter(|key| key.id.as_deref() == Some(id))
            .filter(suits)
            .map(|key| &key.key)
            .collect();
        match (&named[..], &self.0[..]) {
            // The issuer's only key, which has no ID.
            ([], [one @ Key { id: None, .. }]) if suits(&one) => Ok(vec![&one.key]),
            ([], _) => Err(KeyNotFound::Unknown),
            _ => Ok(named),
        }
    }
}

fn read_key(key: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    // A member of the wrong type is not the same as an absent one: such a key is ignored too.
    let absent = |name: &str| key.get(name).is_none_or(Value::is_null);
    let signs = absent("use") || text("use") == Some("sig");
    let verifies = |all: &Value| {
        all.as_array()
            .is_some_and(|all| all.iter().any(|one| one == "verify"))
    };
    if !signs || !(absent("key_ops") || verifies(&key["key_ops"])) {
        return None;
    }
    let possible = match (text("kty")?, text("crv")) {
        ("RSA", _) => OF_RSA.to_vec(),
        ("EC", Some("P-256")) => vec![Algorithm::ES256],
        ("EC", Some("P-384")) => vec![Algorithm::ES384],
        ("OKP", Some("Ed25519")) => vec![Algorithm::EdDSA],
        _ => return None,
    };
    let algorithms = match text("alg") {
        None if absent("alg") => possible,
        // The name of EdDSA with this curve in RFC 9864.
        Some("Ed25519") => possible,
        alg => {
            let own: Algorithm = alg?.parse().ok()?;
            possible
                .into_iter()
                .filter(|algorithm| *algorithm == own)
                .collect()
        }
    };
    let parts: Map<_, _> = PARTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), key.get(*name)?.clone())))
        .collect();
    let jwk: Jwk = serde_json::from_value(Value::Object(parts)).ok()?;
    let id = if absent("kid") {
        None
    } else {
        Some(text("kid")?.to_owned())
    };
    (!algorithms.is_empty()).then_some(Key {
        id,
        algorithms,
        key: DecodingKey::from_jwk(&jwk).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // RFC 7517, appendix A.1.
    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    fn ec(more: Value) -> Value {
        let mut key = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        key.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        key
    }

    fn count(keys: Value, id: Option<&str>) -> Result<usize, KeyNotFound> {
        KeySet::read(&json!({"keys": keys}))
            .unwrap()
            .candidates(id, Algorithm::ES256)
            .map(|keys| keys.len())
    }

    #[test]
    fn an_odd_key_spoils_no_other() {
        let odd = [
            json!(null),
            json!("key"),
            json!({}),
            json!({"kty": 7, "kid": "good"}),
            json!({"kty": "RSA", "kid": "good", "x5c": ["MIIB"]}),
            json!({"kty": "EC", "crv": "P-256", "kid": "good", "x": "!", "y": "!"}),
            json!({"kty": "EC", "crv": "P-521", "kid": "good", "x": X, "y": Y}),
            json!({"kty": "oct", "kid": "good", "k": "AAAA", "alg": "HS256"}),
            json!({"kty": "AKP", "kid": "good", "pub": "AAAA", "alg": "ML-DSA-44"}),
            json!({"kty": "OKP", "crv": "X25519", "kid": "good", "x": X}),
            ec(json!({"kid": "good", "use": "enc"})),
            ec(json!({"kid": "good", "use": "SIG"})),
            ec(json!({"kid": "good", "use": 1})),
            ec(json!({"kid": "good", "key_ops": ["encrypt"]})),
            ec(json!({"kid": "good", "key_ops": "verify"})),
            ec(json!({"kid": "good", "alg": "ECDH-ES"})),
            ec(json!({"kid": "good", "alg": "RS256"})),
            ec(json!({"kid": 5})),
        ];
        assert_eq!(count(json!(odd), Some("good")), Err(KeyNotFound::Unknown));
        for one in odd {
            let good = ec(
                json!({"kid": "good", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "x5c": 5, "x5t": null, "nbf": 1}),
            );
            assert_eq!(count(json!([one, good]), Some("good")), Ok(1), "{one}");
        }
    }

    #[test]
    fn names_may_be_missing_or_shared() {
        let (one, other, nameless) = (
            ec(json!({"kid": "1"})),
            ec(json!({"kid": "2"})),
            ec(json!({})),
        );
        assert_eq!(count(json!([one, one]), Some("1")), Ok(2));
        assert_eq!(
            count(json!([one, other]), Some("3")),
            Err(KeyNotFound::Unknown)
        );
        assert_eq!(count(json!([one]), None), Ok(1));
        assert_eq!(
            count(json!([one, other]), None),
            Err(KeyNotFound::Ambiguous)
        );
        assert_eq!(count(json!([nameless]), Some("1")), Ok(1));
        assert_eq!(
            count(json!([nameless, one]), Some("2")),
            Err(KeyNotFound::Unknown)
        );
        assert_eq!(count(json!([]), None), Err(KeyNotFound::Unknown));
        // A key of another kind leaves no doubt.
        let set = json!({"keys": [one, {"kty": "OKP", "crv": "Ed25519", "x": X}]});
        assert_eq!(
            KeySet::read(&set)
                .unwrap()
                .candidates(None, Algorithm::ES256)
                .unwrap()
                .len(),
            1
        );
        assert!(KeySet::read(&json!({"keys": {}})).is_err() && KeySet::read(&json!([])).is_err());
    }
}
