//! The files of an export: data files by partition, and the manifests that list them.

mod ion;
mod json_lines;
mod manifest;
mod snapshot;

use std::io::Write as _;

use dynamodb_expressions::NotAValue;
use flate2::Compression;
use flate2::write::GzEncoder;
use time::OffsetDateTime;

pub(crate) use snapshot::Snapshot;

use crate::s3::{NewObject, ObjectStore, StoreError, multipart_etag};
use crate::world::{Export, Scope};

#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("gzip: {0}")]
    Gzip(#[from] std::io::Error),
    #[error("Ion: {0}")]
    Ion(#[from] ion_rs::IonError),
    #[error("an item: {0}")]
    Item(#[from] NotAValue),
}

/// Totals of a written export.
pub(crate) struct Written {
    pub(crate) manifest_key: String,
    pub(crate) item_count: u64,
    pub(crate) billed_size_bytes: u64,
}

/// Puts the empty object with which an export tests whether it may write.
pub(crate) fn write_probe(
    store: &ObjectStore,
    export: &Export,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    let key = format!("{}/_started", export.own_folder());
    store
        .put(
            &export.request.s3_bucket,
            NewObject::of(&key, Vec::new(), at),
        )
        .map(|_| ())
}

/// Writes the data files, then the manifests, the summary last: once it exists, all files exist.
pub(crate) fn write(
    store: &ObjectStore,
    export: &Export,
    snapshot: &Snapshot,
    ends_at: OffsetDateTime,
) -> Result<Written, OutputError> {
    let bucket = &export.request.s3_bucket;
    let own = export.own_folder();
    let data_folder = match export.scope {
        Scope::Full { .. } => format!("{own}/data"),
        Scope::Incremental { .. } => format!("{}/data", export.request.folder()),
    };
    let mut names = fastrand::Rng::with_seed(u64::from(crc32fast::hash(export.arn.as_bytes())));
    let mut files = Vec::new();
    for records in &snapshot.partitions {
        let (text, extension) = if export.request.is_ion() {
            (ion::render(records)?, "ion.gz")
        } else {
            (json_lines::render(records), "json.gz")
        };
        let bytes = gzip(text.as_bytes())?;
        let file = manifest::DataFile {
            key: format!("{data_folder}/{}.{extension}", file_name(&mut names)),
            item_count: records.len(),
            md5_base64: manifest::md5_base64(&bytes),
            etag: multipart_etag(&bytes),
        };
        store.put(
            bucket,
            NewObject {
                etag: Some(file.etag.clone()),
                ..NewObject::of(&file.key, bytes, ends_at)
            },
        )?;
        files.push(file);
    }
    let put_with_sum = |name: &str, text: String| -> Result<String, OutputError> {
        let key = format!("{own}/{name}.json");
        let sum = manifest::md5_base64(text.as_bytes());
        store.put(
            bucket,
            NewObject::of(&format!("{own}/{name}.md5"), sum.into_bytes(), ends_at),
        )?;
        store.put(bucket, NewObject::of(&key, text.into_bytes(), ends_at))?;
        Ok(key)
    };
    let files_key = put_with_sum("manifest-files", manifest::files(&files))?;
    let item_count = files
        .iter()
        .map(|file| u64::try_from(file.item_count).unwrap_or(u64::MAX))
        .sum();
    let billed_size_bytes = snapshot.billed_size_bytes;
    let totals = manifest::Totals {
        files_key,
        item_count,
        billed_size_bytes,
        ends_at,
    };
    let manifest_key = put_with_sum(
        "manifest-summary",
        manifest::summary(export, &totals).to_string(),
    )?;
    Ok(Written {
        manifest_key,
        item_count,
        billed_size_bytes,
    })
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

/// 26 letters and digits, as in AWS's data file names.
fn file_name(random: &mut fastrand::Rng) -> String {
    (0..26)
        .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[random.usize(..32)]))
        .collect()
}
