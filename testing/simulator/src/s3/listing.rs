//! Bucket listings: keys in order, grouped at a delimiter, in pages.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::bucket::ObjectInfo;

pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    /// Only entries after this key or common prefix.
    pub(crate) after: Option<&'a str>,
    pub(crate) max_keys: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, ObjectInfo)>,
    pub(crate) common_prefixes: Vec<String>,
    /// The last entry of this page, if more follow.
    pub(crate) next: Option<String>,
}

pub(super) fn list(objects: &BTreeMap<String, ObjectInfo>, query: &Query<'_>) -> Page {
    let mut page = Page::default();
    let mut last: Option<String> = None;
    let from = match query.after {
        Some(after) if after >= query.prefix => Excluded(after),
        _ => Included(query.prefix),
    };
    for (key, info) in objects.range::<str, _>((from, Unbounded)) {
        if !key.starts_with(query.prefix) {
            break;
        }
        let folded = fold(key, query.prefix, query.delimiter);
        let seen = |prefix: &String| {
            last.as_ref() == Some(prefix)
                || query.after.is_some_and(|after| prefix.as_str() <= after)
        };
        if folded.as_ref().is_some_and(seen) {
            continue;
        }
        if page.objects.len() + page.common_prefixes.len() >= query.max_keys {
            page.next = last;
            return page;
        }
        if let Some(prefix) = folded {
            last = Some(prefix.clone());
            page.common_prefixes.push(prefix);
        } else {
            last = Some(key.clone());
            page.objects.push((key.clone(), info.clone()));
        }
    }
    page
}

/// The part of a key up to the first delimiter after the prefix, if there is one.
pub(super) fn fold(key: &str, prefix: &str, delimiter: Option<&str>) -> Option<String> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    Some(key[..prefix.len() + at + delimiter.len()].to_owned())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::s3::bucket::Headers;

    fn objects(keys: &[&str]) -> BTreeMap<String, ObjectInfo> {
        let info = ObjectInfo {
            file: String::new(),
            size: 0,
            etag: String::new(),
            modified_at: OffsetDateTime::UNIX_EPOCH,
            headers: Headers::default(),
            sum: None,
            part_sizes: Vec::new(),
        };
        keys.iter()
            .map(|key| ((*key).to_owned(), info.clone()))
            .collect()
    }

    #[test]
    fn pages_go_through_everything_once() {
        let objects = objects(&["a/1", "a/2", "b", "c/1", "c/2", "d"]);
        let mut after: Option<String> = None;
        let mut seen = Vec::new();
        loop {
            let query = Query {
                prefix: "",
                delimiter: Some("/"),
                after: after.as_deref(),
                max_keys: 2,
            };
            let page = list(&objects, &query);
            seen.extend(page.common_prefixes);
            seen.extend(page.objects.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["a/", "b", "c/", "d"]);
    }

    #[test]
    fn a_prefix_limits_the_keys() {
        let objects = objects(&["a/1", "a/b/2", "b"]);
        let query = Query {
            prefix: "a/",
            delimiter: Some("/"),
            after: None,
            max_keys: 1000,
        };
        let page = list(&objects, &query);
        assert_eq!(page.common_prefixes, ["a/b/"]);
        assert_eq!(page.objects.len(), 1);
    }
}
