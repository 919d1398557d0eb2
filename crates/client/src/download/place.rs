//! The path of an S3 object on the disk: its key below a folder, never outside of the folder, and
//! never two keys in one file.
//!
//! The key is used as it is wherever possible. Characters that a file system does not allow, or
//! that would lead outside, are written as `%` and two hexadecimal digits; so is `%` itself. A
//! folder or name that is too long is replaced by `%~` and its SHA-256.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use tableferry_domain::hex::hex;

/// The longest file name in bytes: common file systems allow 255, and `.jsonl.part` is added.
const MAX_NAME_BYTES: usize = 240;

/// The longest folder in bytes, so that paths stay below the 1,024 bytes of macOS.
const MAX_FOLDER_BYTES: usize = 640;

/// The suffix of incomplete files.
const PART: &str = ".part";

/// The suffix of files with a data file's items in plain JSON.
const PLAIN: &str = ".jsonl";

pub fn place(folder: &Path, key: &str) -> PathBuf {
    let (parents, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(parents, name)| (Some(parents), name));
    let mut path = folder.to_owned();
    if let Some(parents) = parents {
        let parts: Vec<_> = parents.split('/').map(encoded).collect();
        let length: usize = parts.iter().map(|part| part.len() + 1).sum();
        if length > MAX_FOLDER_BYTES || parts.iter().any(|part| part.len() > MAX_NAME_BYTES) {
            path.push(sum(parents));
        } else {
            path.extend(parts);
        }
    }
    let mut encoded = encoded(name);
    // These suffixes are reserved for our own files.
    for ours in [PART, PLAIN] {
        if let Some(stem) = encoded.strip_suffix(ours) {
            encoded = format!("{stem}%2E{}", &ours[1..]);
        }
    }
    path.push(if encoded.len() > MAX_NAME_BYTES {
        sum(name)
    } else {
        encoded
    });
    path
}

/// The incomplete file beside the target.
pub fn part_of(target: &Path) -> PathBuf {
    beside(target, PART)
}

/// The file for a data file's items in plain JSON.
pub fn plain_of(target: &Path) -> PathBuf {
    beside(target, PLAIN)
}

fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    target.with_file_name(name)
}

/// A part of a key as a file name.
fn encoded(part: &str) -> String {
    // No part contains a /, so %2F is unambiguous.
    match part {
        "" => return "%2F".to_owned(),
        "." | ".." => return part.replace('.', "%2E"),
        _ => {}
    }
    let mut name = String::with_capacity(part.len());
    for (at, c) in part.char_indices() {
        let is_last = at + c.len_utf8() == part.len();
        // On Windows: drives, streams, patterns, and trailing characters that are dropped.
        let is_odd = cfg!(windows)
            && (matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')
                || (is_last && matches!(c, '.' | ' ')));
        if c == '%' || c == '\\' || c.is_control() || is_odd {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes)
                .bytes()
                .for_each(|byte| name += &format!("%{byte:02X}"));
        } else {
            name.push(c);
        }
    }
    name
}

/// The name of a part that is too long. Encoded names never contain `%~`.
fn sum(text: &str) -> String {
    format!("%~{}", hex(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Component;

    use super::*;

    #[test]
    fn keys_are_laid_out_below_the_folder() {
        let path = place(Path::new("out"), "daily/AWSDynamoDB/0179-ab/data/x.json.gz");
        assert_eq!(
            path,
            Path::new("out/daily/AWSDynamoDB/0179-ab/data/x.json.gz")
        );
        assert_eq!(
            part_of(&path),
            Path::new("out/daily/AWSDynamoDB/0179-ab/data/x.json.gz.part")
        );
        assert_eq!(
            plain_of(&path),
            Path::new("out/daily/AWSDynamoDB/0179-ab/data/x.json.gz.jsonl")
        );
        for (key, path) in [
            ("a//b", "a/%2F/b"),
            ("/lead/b", "%2F/lead/b"),
            ("dot/./x", "dot/%2E/x"),
            ("../../x", "%2E%2E/%2E%2E/x"),
            ("a\\b/x", "a%5Cb/x"),
            ("100%/x y+é", "100%25/x y+é"),
            ("a\u{85}\n/x", "a%C2%85%0A/x"),
            ("a/", "a/%2F"),
            ("", "%2F"),
            ("a/x.part", "a/x%2Epart"),
            ("a/x.jsonl", "a/x%2Ejsonl"),
        ] {
            assert_eq!(place(Path::new(""), key), Path::new(path), "{key}");
        }
    }

    #[test]
    fn long_keys_get_names_that_fit() {
        for key in [
            format!("{}/AWSDynamoDB/data/x", "p".repeat(900)),
            format!("{}x", "p/".repeat(500)),
            format!("a/{}", "é".repeat(500)),
        ] {
            let path = place(Path::new("out"), &key);
            assert!(path.as_os_str().len() < 900, "{key}");
            assert!(
                path.iter().all(|name| name.len() <= MAX_NAME_BYTES),
                "{key}"
            );
            assert_eq!(path, place(Path::new("out"), &key));
        }
        let long = "p".repeat(900);
        assert_eq!(
            place(Path::new("o"), &format!("{long}/x")).parent(),
            place(Path::new("o"), &format!("{long}/y")).parent()
        );
    }

    #[test]
    fn no_key_leads_outside_and_no_two_into_one_file() {
        let parts = [
            "", ".", "..", "a", "%", "%2F", "%2E", "\\", "x.part", "x.jsonl", "x", "a\0",
            "x%2Epart", "%7E", "%~", "C:",
        ];
        let mut keys: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        keys.extend(
            parts
                .iter()
                .flat_map(|a| parts.iter().map(move |b| format!("{a}/{b}"))),
        );
        keys.extend(["p", "q"].map(|c| format!("{}/x", c.repeat(900))));
        let folder = Path::new("out");
        let mut files = HashSet::new();
        for key in &keys {
            let path = place(folder, key);
            let below = path.strip_prefix(folder).unwrap();
            assert!(
                below
                    .components()
                    .all(|part| matches!(part, Component::Normal(_))),
                "{key:?}: {path:?}"
            );
            for file in [
                part_of(&path),
                plain_of(&path),
                part_of(&plain_of(&path)),
                path,
            ] {
                assert!(files.insert(file.clone()), "{key:?}: {file:?}");
            }
        }
    }
}
