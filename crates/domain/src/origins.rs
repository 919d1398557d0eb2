//! Web origins that may call the API from a browser.

use url::{Origin, Url};

use crate::invalid::Invalid;

/// Allowed origins, as browsers send them in `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every origin.
    Any,
    These(Vec<String>),
}

impl Origins {
    /// Reads a comma-separated list, or `*`. An entry that no browser would send is an error.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        text.split(',')
            .map(|entry| read(entry.trim()))
            .collect::<Result<_, _>>()
            .map(Self::These)
    }
}

/// An origin in the form that browsers send: scheme, host, and the port unless it is the scheme's
/// default.
fn read(entry: &str) -> Result<String, Invalid> {
    let invalid = || {
        Invalid::new(
            "must be * or a comma-separated list of origins, each a scheme and a host (and a port), \
             without a path, such as https://console.example.com,http://localhost:3000",
        )
    };
    let url = Url::parse(entry).map_err(|_| invalid())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    match url.origin() {
        origin @ Origin::Tuple(..)
            if plain
                && url.path() == "/"
                && matches!(url.scheme(), "http" | "https")
                && !entry.contains('*') =>
        {
            Ok(origin.ascii_serialization())
        }
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        let these = |origins: &[&str]| {
            Ok(Origins::These(
                origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ))
        };
        assert_eq!(Origins::parse("*"), Ok(Origins::Any));
        assert_eq!(
            Origins::parse("https://console.example.com"),
            these(&["https://console.example.com"])
        );
        let mixed = "HTTPS://Console.Example.com:443/, http://localhost:3000 ,http://[::1]:3000";
        assert_eq!(
            Origins::parse(mixed),
            these(&[
                "https://console.example.com",
                "http://localhost:3000",
                "http://[::1]:3000"
            ])
        );
        for text in [
            "",
            "https://*.example.com",
            "console.example.com",
            "https://a.example/path",
            "https://*.example.com/x",
            "null",
            "*,https://a.example",
            "file:///x",
            "https://u@a.example",
        ] {
            assert!(Origins::parse(text).is_err(), "{text}");
        }
    }
}
