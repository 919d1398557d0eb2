//! Where an object of S3 goes on the disk: its key laid out below a folder, never outside of it.

use std::path::{Path, PathBuf};

/// The file of a key below a folder, or why there can be none.
pub fn place(folder: &Path, key: &str) -> Result<PathBuf, String> {
    let wrong = |what: &str| Err(format!("its key {what}, so it has no place below the folder"));
    let mut path = folder.to_owned();
    for part in key.split('/') {
        match part {
            "" => return wrong("begins or ends with / or has // in it"),
            "." | ".." => return wrong("has a part . or .."),
            part if part.chars().any(|c| c.is_control() || c == '\\') => return wrong("has a backslash or a control character"),
            // A drive or a stream, where there are such things.
            part if cfg!(windows) && part.contains(':') => return wrong("has a colon"),
            part => path.push(part),
        }
    }
    Ok(path)
}

/// Where the bytes that have come so far are kept.
pub fn part_of(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_below_the_folder() {
        let path = place(Path::new("out"), "daily/AWSDynamoDB/0179-ab/data/x.json.gz").unwrap();
        assert_eq!(path, Path::new("out/daily/AWSDynamoDB/0179-ab/data/x.json.gz"));
        assert_eq!(part_of(&path), Path::new("out/daily/AWSDynamoDB/0179-ab/data/x.json.gz.part"));
    }

    #[test]
    fn no_key_leads_outside() {
        for key in ["../x", "a/../../x", "/etc/passwd", "a//b", "a/", "", ".", "a/./b", "a\\..\\b", "a\0b", "a\nb"] {
            assert!(place(Path::new("out"), key).is_err(), "{key:?}");
        }
    }
}
