//! API keys for tests, created as the command line creates them.

use std::time::Duration;

use reqwest::Method;
use tableferry::domain::caller::Grant;
use tableferry::domain::caller::allow::AllowList;
use tableferry::domain::caller::api_key::{ApiKey, KeyName, NewApiKey};
use tableferry::domain::caller::scope::{Scope, Scopes};

use super::{Answer, TestApp};

/// A key to create.
pub struct NewKey<'a> {
    pub name: &'a str,
    pub scopes: &'a [Scope],
    pub tables: &'a [&'a str],
    pub buckets: &'a [&'a str],
    pub works_for: Option<Duration>,
    pub rate_per_s: Option<f64>,
}

impl Default for NewKey<'_> {
    fn default() -> Self {
        Self {
            name: "a-team",
            scopes: &[Scope::ExportsRead, Scope::ExportsWrite],
            tables: &[],
            buckets: &[],
            works_for: None,
            rate_per_s: None,
        }
    }
}

impl TestApp {
    /// Creates a key and returns it.
    pub async fn new_key(&self, new: NewKey<'_>) -> String {
        let texts = |all: &[&str]| {
            all.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let (secret, now) = (self.clock.api_key_secret(), self.clock.now());
        let allow = AllowList::parse(&texts(new.tables), &texts(new.buckets)).unwrap();
        let said = NewApiKey {
            name: KeyName::parse(new.name).unwrap(),
            grant: Grant::new(Scopes::from_scopes(new.scopes.iter().copied()), allow).unwrap(),
            rate_per_s: new.rate_per_s,
            expires_at: new.works_for.map(|duration| now.plus(duration)),
        };
        let key = ApiKey::new(self.clock.ordered_id(), &secret, said, None, now);
        assert!(
            self.store()
                .add_api_key(&key, &secret.hash())
                .await
                .unwrap()
        );
        secret.expose().to_owned()
    }

    /// Sends a request with these credentials, and a body if the operation takes one.
    pub async fn call_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}
