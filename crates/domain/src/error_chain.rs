//! An error and its sources on one line. The errors of this workspace do not repeat their source in
//! their own message.

use std::error::Error;

/// The error and its sources, from the outermost to the root.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

/// The messages of the chain, joined by `: `.
#[must_use]
pub fn in_words(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
