//! Marks: what an entry of `export_labels` knows of the rest of its export, so that a list by a
//! label and something else looks at few exports besides those it wants. A Bloom filter of 64 bits
//! with one hash.

use sha2::{Digest as _, Sha256};

use super::page::ExportFilter;
use tableferry_domain::labels::Labels;
use tableferry_domain::request::ExportRequest;

/// The marks of an export. They are stored: a text must keep its bit for ever.
pub(super) fn of_export(request: &ExportRequest) -> i64 {
    let labels = request
        .labels
        .as_map()
        .iter()
        .map(|(key, value)| label(key, value));
    table(request.table_arn.as_str())
        | bucket(request.destination.bucket.as_str())
        | export_type(request.kind.as_str())
        | all(labels)
}

/// The marks that an entry must have to be of an export that matches. None for one label alone,
/// which says it all.
pub(super) fn of_filter(filter: &ExportFilter) -> Option<i64> {
    let fields = [
        filter.table_arn.as_deref().map(table),
        filter.s3_bucket.as_deref().map(bucket),
        filter.export_type.map(export_type),
        (filter.labels.len() > 1)
            .then(|| all(filter.labels.iter().map(|(key, value)| label(key, value)))),
    ];
    let given: Vec<i64> = fields.into_iter().flatten().collect();
    (!given.is_empty()).then(|| all(given))
}

fn table(arn: &str) -> i64 {
    mark(&format!("table:{arn}"))
}

fn bucket(name: &str) -> i64 {
    mark(&format!("bucket:{name}"))
}

fn export_type(word: &str) -> i64 {
    mark(&format!("type:{word}"))
}

fn label(key: &str, value: &str) -> i64 {
    mark(&format!("label:{}", Labels::entry(key, value)))
}

fn mark(text: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    1 << (digest[0] & 63)
}

fn all(marks: impl IntoIterator<Item = i64>) -> i64 {
    marks.into_iter().fold(0, |all, mark| all | mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_bit() {
        assert_eq!(
            table("arn:aws:dynamodb:us-east-1:123456789012:table/Orders"),
            1 << 7
        );
        assert_eq!(label("team", "orders"), 1 << 26);
    }

    #[test]
    fn one_label_alone_asks_for_no_marks() {
        let mut filter = ExportFilter {
            labels: [("a".to_owned(), "1".to_owned())].into(),
            ..ExportFilter::default()
        };
        assert_eq!(of_filter(&filter), None);
        filter.export_type = Some("FULL_EXPORT");
        assert_eq!(of_filter(&filter), Some(export_type("FULL_EXPORT")));
        filter.labels.insert("b".to_owned(), "2".to_owned());
        assert_eq!(
            of_filter(&filter),
            Some(export_type("FULL_EXPORT") | label("a", "1") | label("b", "2"))
        );
    }
}
