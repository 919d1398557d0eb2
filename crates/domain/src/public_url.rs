//! Where callers reach the service: the base of every link that it hands out.

use std::sync::Arc;

use url::Url;

use super::invalid::Invalid;

/// The URL under which callers know the service, without a slash at its end; empty if it is not
/// set, and then links are relative. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicUrl(Arc<str>);

impl PublicUrl {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// It is not one that links can begin with.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).map_err(|_| {
            Invalid::new("must be an absolute URL, such as https://exports.example.com/tableferry")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Invalid::new("must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new(
                "must not hold a user or a password: everybody who gets a link sees it",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid::new(
                "must end with its path: a query or a fragment cannot be the beginning of other URLs",
            ));
        }
        Ok(Self(url.as_str().trim_end_matches('/').into()))
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// The URL itself, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path of the service: absolute if this is set, else the path itself.
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
