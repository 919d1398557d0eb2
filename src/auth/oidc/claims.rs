//! The claims of a token in the forms that providers use: its audience, its client and its scopes.
//!
//! Sources: RFC 7519 (`aud`), OpenID Connect Core 1.0 (`azp`), RFC 9068 (`client_id`, `typ`), and
//! the providers' documentation, linked in docs/access.md.

use serde_json::{Map, Value};

use super::settings::OidcSettings;
use crate::domain::caller::scope::{Scope, Scopes};

pub(super) type Claims = Map<String, Value>;

/// The claims in which providers name the client that a token was issued to: Keycloak, Auth0,
/// Google and Entra v2; Cognito and RFC 9068; Okta; Entra v1.
const CLIENT: [&str; 4] = ["azp", "client_id", "cid", "appid"];

impl OidcSettings {
    pub(super) fn check_audience(&self, claims: &Claims) -> Result<(), &'static str> {
        let named = claims.get("aud").filter(|aud| !aud.is_null());
        if self.audiences.is_empty() {
            // A token with an audience is for another service. ID tokens always have one.
            return if named.is_none() {
                Ok(())
            } else {
                Err("it is for another audience (aud); TABLEFERRY_OIDC_AUDIENCE is not set")
            };
        }
        let is_ours = |aud: &Value| {
            aud.as_str()
                .is_some_and(|aud| self.audiences.iter().any(|own| own == aud))
        };
        match named {
            None => Err("it has no audience (aud)"),
            Some(Value::Array(all)) if all.iter().any(is_ours) => Ok(()),
            Some(one) if is_ours(one) => Ok(()),
            Some(_) => Err("it is for another audience (aud)"),
        }
    }

    pub(super) fn check_client(&self, claims: &Claims) -> Result<(), &'static str> {
        if self.client_ids.is_empty() {
            return Ok(());
        }
        let named: Vec<_> = CLIENT
            .iter()
            .filter_map(|name| claims.get(*name))
            .filter(|client| !client.is_null())
            .collect();
        let allowed = |client: &&Value| {
            client
                .as_str()
                .is_some_and(|client| self.client_ids.iter().any(|own| own == client))
        };
        match named.is_empty() {
            true => Err("it has no client claim (azp, client_id, cid or appid)"),
            false if named.iter().all(allowed) => Ok(()),
            false => Err("it was issued to a client that is not allowed"),
        }
    }

    /// The scopes of this service among those of the token.
    pub(super) fn scopes(&self, claims: &Claims) -> Scopes {
        let known = |word: &str| Scope::parse(word.strip_prefix(self.scope_prefix.as_str())?).ok();
        let values = self
            .scope_claims
            .iter()
            .filter_map(|name| find(claims, name));
        Scopes::from_scopes(values.flat_map(words).filter_map(known))
    }
}

/// The words of a claim: a space-separated text, or a list.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(words) => words.split(' ').collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A claim by its name, or by a path with dots (`realm_access.roles`). Names may contain dots too.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(at, _)| {
            claims
                .get(&path[..at])
                .and_then(Value::as_object)
                .and_then(|inner| find(inner, &path[at + 1..]))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let claims = json!({
            "scope": "a b", "https://example.com/roles": ["c"], "realm_access": {"roles": ["d"]}, "a.b": {"c.d": 1},
        });
        let claims = claims.as_object().unwrap();
        assert_eq!(find(claims, "scope"), Some(&json!("a b")));
        assert_eq!(
            find(claims, "https://example.com/roles"),
            Some(&json!(["c"]))
        );
        assert_eq!(find(claims, "realm_access.roles"), Some(&json!(["d"])));
        assert_eq!(find(claims, "a.b.c.d"), Some(&json!(1)));
        for missing in ["roles", "realm_access.", ".roles", "scope.a", ""] {
            assert_eq!(find(claims, missing), None, "{missing}");
        }
    }
}
