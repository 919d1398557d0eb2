//! S3 on a folder: buckets, objects, and the listener that serves S3's protocol.
//!
//! Objects are in the simulator's own index, with the ETag that S3 would give them; s3s implements
//! the protocol.

mod bucket;
mod buckets;
mod checksums;
mod chunked;
mod conditions;
mod copies;
mod defaults;
mod errors;
mod files;
mod forms;
mod front;
mod journal;
mod keys;
mod listing;
mod lists;
mod multipart;
mod objects;
mod operations;
mod service;
mod store;
mod uploads;

pub(crate) use bucket::Access;
pub use bucket::BucketInfo;
pub(crate) use front::S3Front;
pub(crate) use keys::KeyCheck;
pub(crate) use service::S3Service;
pub use store::StoreError;
pub(crate) use store::{NewObject, ObjectStore};

use std::fmt::Write as _;

use md5::Digest as _;

/// The ETag of an object that was put in one piece.
pub(crate) fn plain_etag(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// The ETag of an object that was uploaded as one part of a multipart upload, as exports do.
pub(crate) fn multipart_etag(bytes: &[u8]) -> String {
    parts_etag(&[md5::Md5::digest(bytes).into()])
}

/// The ETag of an object that was uploaded in parts with these MD5 sums.
pub(crate) fn parts_etag(sums: &[[u8; 16]]) -> String {
    format!("{}-{}", hex(&md5::Md5::digest(sums.concat())), sums.len())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
