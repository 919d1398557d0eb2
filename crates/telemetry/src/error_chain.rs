//! An error and its causes in one line, for logs and for people. Errors here never repeat their
//! cause in their own words.

use std::error::Error;

/// The error and its causes.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

/// The error and its causes, from the outermost to the root.
#[must_use]
pub fn in_words(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
