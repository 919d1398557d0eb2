//! Accounts that the service reaches by assuming a role.

use serde::Deserialize;

use crate::aws::arn::is_account_id;
use crate::invalid::Invalid;

/// The role that is assumed for calls in another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRole {
    account_id: String,
    role_arn: String,
    external_id: Option<String>,
}

/// An account in the settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    account_id: String,
    role_arn: String,
    external_id: Option<String>,
}

impl AccountRole {
    /// Reads a JSON array of `{"account_id", "role_arn", "external_id"}`, the last one optional.
    /// Errors repeat no value, since an external id may be secret.
    pub fn parse_all(json: &str) -> Result<Vec<Self>, Invalid> {
        let form = "must be a list of accounts, each with account_id, role_arn and optionally external_id, all strings, \
            such as [{\"account_id\": \"111122223333\", \"role_arn\": \"arn:aws:iam::111122223333:role/tableferry\"}]";
        let written: Vec<Written> = serde_json::from_str(json).map_err(|_| Invalid::new(form))?;
        let mut roles: Vec<Self> = Vec::with_capacity(written.len());
        for (place, one) in written.into_iter().enumerate() {
            let at = |what: &str| Invalid::new(format!("account number {}: {what}", place + 1));
            if roles.iter().any(|other| other.account_id == one.account_id) {
                return Err(at("its account_id is given twice"));
            }
            roles.push(Self::parse(one).map_err(at)?);
        }
        Ok(roles)
    }

    /// Forms: IAM's guide on ARNs; STS's model of AssumeRole (external ids of 2 to 1224 characters
    /// of `\w+=,.@:/-`).
    fn parse(written: Written) -> Result<Self, &'static str> {
        let Written {
            account_id,
            role_arn,
            external_id,
        } = written;
        if !is_account_id(&account_id) {
            return Err("account_id must have 12 digits");
        }
        if !is_role_of(&role_arn, &account_id) {
            return Err(
                "role_arn must be the ARN of a role of that account, such as arn:aws:iam::111122223333:role/tableferry",
            );
        }
        let plain = |id: &str| {
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
        };
        if external_id
            .as_deref()
            .is_some_and(|id| !(2..=1224).contains(&id.len()) || !plain(id))
        {
            return Err(
                "external_id must have 2 to 1224 characters of a-z, A-Z, 0-9 and _+=,.@:/-",
            );
        }
        Ok(Self {
            account_id,
            role_arn,
            external_id,
        })
    }

    /// The 12 digits of the account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    #[must_use]
    pub fn role_arn(&self) -> &str {
        &self.role_arn
    }

    /// The external id that the role's trust policy requires, if any.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        self.external_id.as_deref()
    }
}

/// `arn:<partition>:iam::<account>:role/<path and name>`.
fn is_role_of(arn: &str, account_id: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (word, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&b);
    (word, service, region, account) == ("arn", "iam", "", account_id)
        && partition.starts_with("aws")
        && (1..=576).contains(&name.len())
        && !name.ends_with('/')
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_or_told_what_is_wrong() {
        let role = "arn:aws:iam::111122223333:role/path/tableferry";
        let good = format!(
            r#"[{{"account_id": "111122223333", "role_arn": "{role}", "external_id": "a-b"}}]"#
        );
        let read = AccountRole::parse_all(&good).unwrap();
        assert_eq!(
            (
                read[0].account_id(),
                read[0].role_arn(),
                read[0].external_id()
            ),
            ("111122223333", role, Some("a-b"))
        );
        assert!(AccountRole::parse_all("[]").unwrap().is_empty());
        let twice = format!("[{0}, {0}]", good.trim_matches(['[', ']']));
        for (json, words) in [
            ("hunter2", "must be a list"),
            (r#"[{"account_id": "111122223333"}]"#, "must be a list"),
            (&good.replace("external_id", "colour"), "must be a list"),
            (
                &good.replace("111122223333\", \"role", "1\", \"role"),
                "12 digits",
            ),
            (
                &good.replace("iam::111122223333", "iam::999999999999"),
                "role of that account",
            ),
            (&good.replace("role/", "user/"), "role of that account"),
            (&good.replace("a-b", "hunter2 and more"), "external_id must"),
            (&twice, "number 2"),
        ] {
            let error = AccountRole::parse_all(json).unwrap_err().to_string();
            assert!(
                error.contains(words) && !error.contains("hunter2"),
                "{json}: {error}"
            );
        }
    }
}
