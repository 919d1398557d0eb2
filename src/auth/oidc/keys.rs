//! An issuer's set of keys (RFC 7517). Sets hold keys that are of no use here beside those that
//! are: for encryption, of unknown kinds and curves, malformed ones. Each is read by itself, and
//! what cannot verify a token is passed over.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// What of a key makes its public half. The rest (certificates, thumbprints) is not needed, so it
/// may be wrong.
const PARTS: [&str; 6] = ["kty", "n", "e", "crv", "x", "y"];

/// Keys of RSA verify all of these.
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
pub(super) enum NoKey {
    /// None of that name, or none for that algorithm. A newer set may have it.
    Unknown,
    /// The token names none, and several might be meant.
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
    /// What can be used of a set.
    pub(super) fn read(set: &Value) -> Result<Self, String> {
        let keys = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or("its key set has no list of keys")?;
        Ok(Self(
            keys.iter()
                .filter_map(|key| read_key(key.as_object()?))
                .collect(),
        ))
    }

    /// The keys that a token of this header may be signed with: two may bear the same name while
    /// one takes the place of the other.
    pub(super) fn of(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&DecodingKey>, NoKey> {
        let suits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            // OpenID Connect Core 1.0, 10.1: without a name there must be no doubt.
            return match self.0.iter().filter(suits).collect::<Vec<_>>()[..] {
                [] => Err(NoKey::Unknown),
                [one] => Ok(vec![&one.key]),
                _ => Err(NoKey::Ambiguous),
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
            // The only key of an issuer that names none.
            ([], [one @ Key { id: None, .. }]) if suits(&one) => Ok(vec![&one.key]),
            ([], _) => Err(NoKey::Unknown),
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
    let of_kind = match (text("kty")?, text("crv")) {
        ("RSA", _) => OF_RSA.to_vec(),
        ("EC", Some("P-256")) => vec![Algorithm::ES256],
        ("EC", Some("P-384")) => vec![Algorithm::ES384],
        ("OKP", Some("Ed25519")) => vec![Algorithm::EdDSA],
        _ => return None,
    };
    let algorithms = match text("alg") {
        None if absent("alg") => of_kind,
        // RFC 9864 has this name for it.
        Some("Ed25519") => of_kind,
        alg => {
            let own: Algorithm = alg?.parse().ok()?;
            of_kind
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

    fn count(keys: Value, id: Option<&str>) -> Result<usize, NoKey> {
        KeySet::read(&json!({"keys": keys}))
            .unwrap()
            .of(id, Algorithm::ES256)
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
        assert_eq!(count(json!(odd), Some("good")), Err(NoKey::Unknown));
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
        assert_eq!(count(json!([one, other]), Some("3")), Err(NoKey::Unknown));
        assert_eq!(count(json!([one]), None), Ok(1));
        assert_eq!(count(json!([one, other]), None), Err(NoKey::Ambiguous));
        assert_eq!(count(json!([nameless]), Some("1")), Ok(1));
        assert_eq!(
            count(json!([nameless, one]), Some("2")),
            Err(NoKey::Unknown)
        );
        assert_eq!(count(json!([]), None), Err(NoKey::Unknown));
        // A key of another kind leaves no doubt.
        let set = json!({"keys": [one, {"kty": "OKP", "crv": "Ed25519", "x": X}]});
        assert_eq!(
            KeySet::read(&set)
                .unwrap()
                .of(None, Algorithm::ES256)
                .unwrap()
                .len(),
            1
        );
        assert!(KeySet::read(&json!({"keys": {}})).is_err() && KeySet::read(&json!([])).is_err());
    }
}
