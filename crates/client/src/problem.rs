//! Shows the problem documents (RFC 9457) that the service sends.

use std::fmt;

use serde::Deserialize;

use super::words::clean;

#[derive(Debug, Default, Deserialize)]
pub struct ProblemDocument {
    #[serde(default)]
    title: String,
    pub status: u16,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
    /// The document as received.
    #[serde(skip)]
    pub raw: String,
    /// The request's ID in the service's log.
    #[serde(skip)]
    pub request_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FieldProblem {
    pointer: String,
    detail: String,
}

impl ProblemDocument {
    /// `None` if the text is not a problem document.
    pub(super) fn parse(raw: &str) -> Option<Self> {
        let problem: Self = serde_json::from_str(raw).ok()?;
        (!problem.title.is_empty()).then(|| Self {
            raw: raw.to_owned(),
            ..problem
        })
    }
}

impl fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {})", clean(&self.title), self.status)?;
        if let Some(detail) = self
            .detail
            .as_deref()
            .filter(|detail| !detail.is_empty() && *detail != self.title)
        {
            write!(f, "\n  {}", clean(detail))?;
        }
        let fields: Vec<_> = self
            .errors
            .iter()
            .map(|error| (field(&error.pointer), clean(&error.detail)))
            .collect();
        let width = fields
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or_default();
        for (name, detail) in fields {
            write!(f, "\n    {name:width$}  {detail}")?;
        }
        match self.status {
            401 => f.write_str("\n  Set an API key with TABLEFERRY_API_KEY or --api-key-file.")?,
            500 => {
                if let Some(id) = &self.request_id {
                    write!(
                        f,
                        "\n  The service's log has details under request ID {}.",
                        clean(id)
                    )?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `/timeouts/create` as `timeouts.create`, `#query/label` as `label`.
fn field(pointer: &str) -> String {
    let path = pointer
        .strip_prefix("#query/")
        .or_else(|| pointer.strip_prefix("#header/"))
        .or_else(|| pointer.strip_prefix('/'));
    clean(
        &path
            .unwrap_or(pointer)
            .replace('/', ".")
            .replace("~1", "/")
            .replace("~0", "~"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_error_is_shown_by_its_name() {
        let raw = r##"{"type":"/problems/validation-failed","title":"The request body is invalid","status":422,
            "detail":"2 fields break a rule; see errors","instance":"/v1/exports","errors":[
            {"pointer":"/timeouts/create","detail":"is odd\u001b[31m"},{"pointer":"#query/label","detail":"is named twice"}]}"##;
        let text = ProblemDocument::parse(raw).unwrap().to_string();
        assert_eq!(
            text,
            "The request body is invalid (HTTP 422)\n  2 fields break a rule; see errors\n    timeouts.create  is odd\u{fffd}[31m\n    label            is named twice"
        );
        assert!(
            ProblemDocument::parse("<html>").is_none()
                && ProblemDocument::parse("{\"status\":404}").is_none()
        );
    }
}
