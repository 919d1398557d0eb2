//! The caller's account and the region of a request, both read from the scope of the AWS signature.
//! Signatures are not verified.

use http::HeaderMap;

use crate::arn::is_account_id;

/// The region of a request that does not name one.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) region: String,
    /// Whether the request carried credentials.
    pub(crate) signed: bool,
}

impl Caller {
    pub(crate) fn of_headers(headers: &HeaderMap, default_account: &str) -> Self {
        let header = headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let credential = header.split_once("Credential=").map_or("", |(_, rest)| {
            rest.split([',', ' ']).next().unwrap_or_default()
        });
        Self::of_credential(credential, default_account)
    }

    /// Parses a credential scope: access key id, date, region, service.
    pub(crate) fn of_credential(credential: &str, default_account: &str) -> Self {
        let mut parts = credential.split('/');
        let key_id = parts.next().unwrap_or_default();
        let region = parts
            .nth(1)
            .filter(|region| !region.is_empty())
            .unwrap_or(DEFAULT_REGION);
        Self {
            account: if is_account_id(key_id) {
                key_id
            } else {
                default_account
            }
            .to_owned(),
            region: region.to_owned(),
            signed: !key_id.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_come_from_the_scope() {
        let mut headers = HeaderMap::new();
        let caller = Caller::of_headers(&headers, "123456789012");
        assert_eq!(
            (
                caller.account.as_str(),
                caller.region.as_str(),
                caller.signed
            ),
            ("123456789012", "us-east-1", false)
        );
        let scope = "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x";
        headers.insert(
            http::header::AUTHORIZATION,
            http::HeaderValue::from_static(scope),
        );
        let caller = Caller::of_headers(&headers, "123456789012");
        assert_eq!(
            (
                caller.account.as_str(),
                caller.region.as_str(),
                caller.signed
            ),
            ("111122223333", "eu-west-1", true)
        );
    }
}
