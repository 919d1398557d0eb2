//! Reads a URL's query: every error reported at once, unknown and repeated parameters refused.

use super::problem::{FieldError, Problem, ProblemType};
use crate::domain::invalid::Invalid;

/// A query that is being read.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Query {
    /// From the raw text after `?`.
    #[must_use]
    pub fn of(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { pairs, known: Vec::new(), errors: Vec::new() }
    }

    /// A parameter that may be given once.
    pub fn one<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        self.known.push(name);
        let mut given = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let value = given.next()?;
        let parsed = if given.next().is_some() { Err(Invalid::new("is given more than once")) } else { clean(value).and_then(parse) };
        parsed.map_err(|e| self.errors.push(FieldError::new(format!("#query/{name}"), &e))).ok()
    }

    /// A parameter that may be given many times.
    pub fn many<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Invalid>) -> Vec<T> {
        self.known.push(name);
        let given = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| clean(value).and_then(&parse));
        let (good, bad): (Vec<_>, Vec<_>) = given.partition(Result::is_ok);
        self.errors.extend(bad.into_iter().filter_map(Result::err).map(|e| FieldError::new(format!("#query/{name}"), &e)));
        good.into_iter().filter_map(Result::ok).collect()
    }

    /// Says that a parameter that was read breaks a rule after all.
    pub fn refuse(&mut self, name: &'static str, invalid: &Invalid) {
        self.errors.push(FieldError::new(format!("#query/{name}"), invalid));
    }

    /// Ends reading.
    ///
    /// # Errors
    /// A problem with everything that is wrong, unknown parameters included.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in self.pairs.iter().filter(|(name, _)| !self.known.contains(&name.as_str())) {
            let known = if self.known.is_empty() { "there are none".to_owned() } else { format!("known are {}", self.known.join(", ")) };
            self.errors.push(FieldError::new(format!("#query/{name}"), &Invalid::new(format!("is not a known parameter; {known}"))));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(ProblemType::InvalidParameter, self.errors)) }
    }
}

fn clean(value: &str) -> Result<&str, Invalid> {
    if value.contains('\0') { Err(Invalid::new("must not contain NUL characters")) } else { Ok(value) }
}

/// `true` or `false`.
///
/// # Errors
/// It is another word.
pub fn boolean(text: &str) -> Result<bool, Invalid> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::new("must be true or false")),
    }
}
