//! Where an object's bytes are stored: in its bucket's folder under its key if a file system allows
//! that, otherwise in a folder of the store (a key may contain `//` or `..`, or a part that is
//! longer than a file name).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::plain_etag;

/// The store's own folder below its root. It is not a valid bucket name.
pub(super) const OWN_FOLDER: &str = ".tableferry-s3";
const LONGEST_PART_BYTES: usize = 200;
const MAX_KEY_BYTES: usize = 800;

/// Writes bytes to a file for `key`; returns its path relative to `root`.
pub(super) fn write(root: &Path, bucket: &str, key: &str, bytes: &[u8]) -> std::io::Result<String> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed).to_string();
    let unfinished = root.join(OWN_FOLDER).join("unfinished").join(number);
    std::fs::write(&unfinished, bytes)?;
    if is_plain(key) {
        let file = format!("{bucket}/{key}");
        if place(&unfinished, &root.join(&file)).is_ok() {
            return Ok(file);
        }
    }
    // A key that is not a valid path, or that would have to be both a file and a folder.
    let file = format!(
        "{OWN_FOLDER}/objects/{}",
        plain_etag(format!("{bucket}/{key}").as_bytes())
    );
    place(&unfinished, &root.join(&file))?;
    Ok(file)
}

/// Removes an object's file and the bucket's folders that become empty.
pub(super) fn remove(root: &Path, bucket: &str, file: &str) {
    let path = root.join(file);
    let _ = std::fs::remove_file(&path);
    let bucket = root.join(bucket);
    let mut folder = path.parent().map(PathBuf::from);
    while let Some(empty) = folder.filter(|folder| folder.starts_with(&bucket) && *folder != bucket)
    {
        if std::fs::remove_dir(&empty).is_err() {
            break;
        }
        folder = empty.parent().map(PathBuf::from);
    }
}

fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::rename(from, to)
}

fn is_plain(key: &str) -> bool {
    key.len() <= MAX_KEY_BYTES
        && !key.contains('\0')
        && key.split('/').all(|part| {
            !part.is_empty() && part.len() <= LONGEST_PART_BYTES && part != "." && part != ".."
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_keys_that_are_safe_paths_become_paths() {
        for plain in [
            "a",
            "a/b.gz",
            "AWSDynamoDB/0170-ab/data/x.json.gz",
            "...",
            "ä ö",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for not in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            ".",
            &"x".repeat(201),
            &"xyz/".repeat(300),
        ] {
            assert!(!is_plain(not), "{not}");
        }
    }
}
