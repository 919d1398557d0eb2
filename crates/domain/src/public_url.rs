//! The base URL of the service, with which links begin.

use std::sync::Arc;

use url::Url;

use crate::invalid::Invalid;

/// The URL at which callers reach the service, without a trailing slash. If it is not set, it is
/// empty and links are relative. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// Reads an absolute URL without user, query and fragment.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).map_err(|_| {
            Invalid::new("must be an absolute URL, such as https://exports.example.com/tableferry")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Invalid::new("must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new(
                "must not contain a user or a password, because links would show it",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid::new(
                "must not have a query or a fragment, because other URLs begin with it",
            ));
        }
        Ok(Self(url.as_str().trim_end_matches('/').into()))
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// The URL without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path of the service; the path itself if no base URL is set.
    #[must_use]
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_it() {
        for (text, link) in [
            (
                "https://exports.example.com",
                "https://exports.example.com/v1/exports",
            ),
            (
                "https://exports.example.com/",
                "https://exports.example.com/v1/exports",
            ),
            (
                "http://localhost:8080/tableferry/",
                "http://localhost:8080/tableferry/v1/exports",
            ),
            (
                "HTTPS://Exports.Example.com:443/a/b",
                "https://exports.example.com/a/b/v1/exports",
            ),
        ] {
            assert_eq!(
                PublicUrl::parse(text).unwrap().to("/v1/exports"),
                link,
                "{text}"
            );
        }
        assert_eq!(PublicUrl::default().to("/v1/exports"), "/v1/exports");
    }

    #[test]
    fn what_links_cannot_begin_with_is_refused() {
        for text in [
            "",
            "exports.example.com",
            "/tableferry",
            "ftp://exports.example.com",
            "https://user@exports.example.com",
            "https://:hunter2@exports.example.com",
            "https://exports.example.com/?a=b",
            "https://exports.example.com/#docs",
            "https://",
        ] {
            let error = PublicUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
