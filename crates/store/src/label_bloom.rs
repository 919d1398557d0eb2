//! A Bloom filter of an export's table, bucket, type and labels: 64 bits, one hash. Each row of
//! `export_labels` holds that of its export (column `marks`), so that a list by a label and
//! something else reads few exports besides those that match.
//!
//! Migration 0010 calls this file by its old path, src/store/marks.rs.

use sha2::{Digest as _, Sha256};

use super::page::ExportFilter;
use tableferry_domain::export::labels::Labels;
use tableferry_domain::export::request::ExportRequest;

/// The Bloom filter of an export. It is stored: the bit of a text must never change.
pub(super) fn for_export(request: &ExportRequest) -> i64 {
    let labels = request
        .labels
        .as_map()
        .iter()
        .map(|(key, value)| label(key, value));
    table(request.table_arn.as_str())
        | bucket(request.destination.bucket.as_str())
        | export_type(request.kind.as_str())
        | union(labels)
}

/// The bits that the row of a matching export must have. `None` if only one label is asked for:
/// then the row's own label answers.
pub(super) fn for_filter(filter: &ExportFilter) -> Option<i64> {
    let fields = [
        filter.table_arn.as_deref().map(table),
        filter.s3_bucket.as_deref().map(bucket),
        filter.export_type.map(export_type),
        (filter.labels.len() > 1)
            .then(|| union(filter.labels.iter().map(|(key, value)| label(key, value)))),
    ];
    let given: Vec<i64> = fields.into_iter().flatten().collect();
    (!given.is_empty()).then(|| union(given))
}

fn table(arn: &str) -> i64 {
    bit(&format!("table:{arn}"))
}

fn bucket(name: &str) -> i64 {
    bit(&format!("bucket:{name}"))
}

fn export_type(word: &str) -> i64 {
    bit(&format!("type:{word}"))
}

fn label(key: &str, value: &str) -> i64 {
    bit(&format!("label:{}", Labels::entry(key, value)))
}

fn bit(text: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    1 << (digest[0] & 63)
}

fn union(blooms: impl IntoIterator<Item = i64>) -> i64 {
    blooms.into_iter().fold(0, |all, bloom| all | bloom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_of_a_text_never_changes() {
        assert_eq!(
            table("arn:aws:dynamodb:us-east-1:123456789012:table/Orders"),
            1 << 7
        );
        assert_eq!(label("team", "orders"), 1 << 26);
    }

    #[test]
    fn a_filter_of_one_label_needs_no_bits() {
        let mut filter = ExportFilter {
            labels: [("a".to_owned(), "1".to_owned())].into(),
            ..ExportFilter::default()
        };
        assert_eq!(for_filter(&filter), None);
        filter.export_type = Some("FULL_EXPORT");
        assert_eq!(for_filter(&filter), Some(export_type("FULL_EXPORT")));
        filter.labels.insert("b".to_owned(), "2".to_owned());
        assert_eq!(
            for_filter(&filter),
            Some(export_type("FULL_EXPORT") | label("a", "1") | label("b", "2"))
        );
    }
}
