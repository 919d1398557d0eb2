//! IAM, S3 and KMS policies: writes the statements that an export needs, and checks what a bucket
//! policy says about its writes.
//!
//! Sources: DynamoDB's developer guide, "Requesting a table export" (the caller's three S3 actions,
//! the statement for a bucket of another account); S3's guide on SSE-KMS (`kms:GenerateDataKey` and
//! `kms:Decrypt` for multipart uploads); IAM's guide on policy elements (`*` and `?` in actions and
//! resources).

use serde_json::{Value, json};

use crate::export::request::ExportRequest;

/// Actions on the bucket that AWS performs with the caller's credentials.
pub const WRITE_ACTIONS: [&str; 3] = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"];

/// Actions on the KMS key that S3 performs with the caller's credentials.
pub const KEY_ACTIONS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

/// The account that calls AWS for this export, as a principal.
fn principal(request: &ExportRequest) -> String {
    let table = &request.table_arn;
    format!("arn:{}:iam::{}:root", table.partition(), table.account_id())
}

/// The ARN pattern of the objects that the export writes.
fn objects(request: &ExportRequest) -> String {
    let to = &request.destination;
    let below = to
        .prefix
        .as_ref()
        .map(|prefix| format!("{}/", prefix.as_str().trim_end_matches('/')))
        .unwrap_or_default();
    format!(
        "arn:{}:s3:::{}/{below}*",
        request.table_arn.partition(),
        to.bucket.as_str()
    )
}

/// A statement that allows these actions on this resource, as JSON.
#[must_use]
pub fn caller_statement(actions: &[&str], resource: &str) -> String {
    let action = if let [one] = actions {
        json!(one)
    } else {
        json!(actions)
    };
    json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string()
}

/// The statement for the caller's policy that allows the writes, as JSON.
#[must_use]
pub fn write_statement(request: &ExportRequest) -> String {
    caller_statement(&WRITE_ACTIONS, &objects(request))
}

/// The statement for the bucket's policy that allows the table's account to write, as JSON.
#[must_use]
pub fn bucket_policy_statement(request: &ExportRequest) -> String {
    json!({
        "Sid": "TableferryExport",
        "Effect": "Allow",
        "Principal": {"AWS": principal(request)},
        "Action": WRITE_ACTIONS,
        "Resource": objects(request),
    })
    .to_string()
}

/// The statement for the KMS key's policy that allows the table's account to encrypt, as JSON.
#[must_use]
pub fn key_policy_statement(request: &ExportRequest) -> String {
    json!({
        "Sid": "TableferryExport",
        "Effect": "Allow",
        "Principal": {"AWS": principal(request)},
        "Action": KEY_ACTIONS,
        "Resource": "*",
    })
    .to_string()
}

/// What a bucket policy says about the writes of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// A statement denies them to every principal or to this account.
    Denies {
        /// Its `Sid`, or its position.
        statement: String,
    },
    /// A statement denies them under a condition or to some principals.
    MayDeny {
        /// Its `Sid`, or its position.
        statement: String,
    },
    /// No statement denies them, and one allows them.
    Allows,
    /// No statement applies to them.
    Silent,
}

/// Checks a bucket policy for the writes of this export.
#[must_use]
pub fn verdict(policy: &Value, request: &ExportRequest) -> PolicyVerdict {
    let statements = match &policy["Statement"] {
        Value::Array(all) => all.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let mut verdict = PolicyVerdict::Silent;
    for (place, statement) in statements.iter().enumerate() {
        let Some(certain) = concerns(statement, request) else {
            continue;
        };
        let name = statement["Sid"]
            .as_str()
            .map_or_else(|| format!("number {}", place + 1), str::to_owned);
        match statement["Effect"].as_str() {
            Some("Deny") if certain => return PolicyVerdict::Denies { statement: name },
            Some("Deny") => verdict = PolicyVerdict::MayDeny { statement: name },
            Some("Allow") if verdict == PolicyVerdict::Silent => verdict = PolicyVerdict::Allows,
            _ => {}
        }
    }
    verdict
}

/// Whether a statement applies to the export's writes: `None` if not, otherwise whether that is
/// certain.
fn concerns(statement: &Value, request: &ExportRequest) -> Option<bool> {
    let action = named(statement, "Action", "NotAction", |pattern| {
        WRITE_ACTIONS
            .iter()
            .any(|action| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    });
    let object = objects(request).trim_end_matches('*').to_owned()
        + "AWSDynamoDB/01700000000000-abcdef01/data/part.json.gz";
    let resource = named(statement, "Resource", "NotResource", |pattern| {
        matches(pattern, &object)
    });
    if !action || !resource {
        return None;
    }
    let account = request.table_arn.account_id();
    let principal = match &statement["Principal"] {
        Value::Null => Some(false), // NotPrincipal: everybody but some
        Value::String(all) => (all == "*").then_some(true),
        Value::Object(kinds) => {
            let names = kinds.get("AWS").map(texts).unwrap_or_default();
            let whole = names.iter().any(|name| {
                *name == "*" || *name == account || name.ends_with(&format!("::{account}:root"))
            });
            let part = names
                .iter()
                .any(|name| name.contains(&format!("::{account}:")));
            if whole {
                Some(true)
            } else {
                part.then_some(false)
            }
        }
        _ => None,
    }?;
    // AWS writes over TLS, so a condition on TLS alone never applies.
    let conditions: Vec<&String> = statement["Condition"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .filter_map(Value::as_object)
        .flat_map(|m| m.keys())
        .collect();
    let about_tls = |key: &&String| {
        ["aws:securetransport", "s3:tlsversion"].contains(&key.to_ascii_lowercase().as_str())
    };
    if !conditions.is_empty() && conditions.iter().all(about_tls) {
        return None;
    }
    Some(principal && conditions.is_empty())
}

/// Whether a statement includes something by `member`, or does not exclude it by `not_member`.
fn named(statement: &Value, member: &str, not_member: &str, fits: impl Fn(&str) -> bool) -> bool {
    match (statement.get(member), statement.get(not_member)) {
        (Some(patterns), _) => texts(patterns).into_iter().any(fits),
        (None, Some(patterns)) => !texts(patterns).into_iter().any(fits),
        (None, None) => false,
    }
}

/// A string or an array of strings.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Matches `*` (any characters) and `?` (one character). Linear in practice, because only the last
/// `*` is tried again.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::examples::request;

    fn judge(statement: &Value) -> PolicyVerdict {
        verdict(&json!({"Statement": [statement]}), &request())
    }

    #[test]
    fn wildcards() {
        for (pattern, text, fits) in [
            ("s3:*", "s3:PutObject", true),
            ("*", "", true),
            ("s3:Put*", "s3:GetObject", false),
            ("a?c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn denials_of_writes_are_found() {
        let denied = PolicyVerdict::Denies {
            statement: "number 1".to_owned(),
        };
        let maybe = PolicyVerdict::MayDeny {
            statement: "number 1".to_owned(),
        };
        let objects = "arn:aws:s3:::my-exports/*";
        for (statement, expected) in [
            (
                json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": objects}),
                &denied,
            ),
            (
                json!({"Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:put*"], "Resource": [objects]}),
                &denied,
            ),
            (
                json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "*", "Resource": "*"}),
                &denied,
            ),
            (
                json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:role/x"}, "Action": "*", "Resource": "*"}),
                &maybe,
            ),
            (
                json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": objects, "Condition": {"Null": {"s3:x": "true"}}}),
                &maybe,
            ),
            (
                json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": objects, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
                &PolicyVerdict::Silent,
            ),
            (
                json!({"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}),
                &PolicyVerdict::Silent,
            ),
            (
                json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::my-exports/other/*"}),
                &PolicyVerdict::Silent,
            ),
            (
                serde_json::from_str(&bucket_policy_statement(&request())).unwrap(),
                &PolicyVerdict::Allows,
            ),
        ] {
            assert_eq!(&judge(&statement), expected, "{statement}");
        }
    }
}
