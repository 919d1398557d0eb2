//! A bucket's journal: one JSON line per change, replayed when the store is opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, BucketInfo, ObjectInfo};

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    Bucket(BucketInfo),
    Put { key: String, info: Box<ObjectInfo> },
    Delete { key: String },
}

impl Journal {
    pub(super) fn create(path: &Path, info: &BucketInfo) -> std::io::Result<Self> {
        let file = File::create(path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
        };
        journal.append(&Entry::Bucket(info.clone()))?;
        Ok(journal)
    }

    pub(super) fn append(&mut self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    pub(super) fn remove(self) -> std::io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Replays a bucket's journal. A last line that a crash cut short is ignored.
    pub(super) fn read(path: &Path) -> std::io::Result<Option<Bucket>> {
        let mut info = None;
        let mut objects = BTreeMap::new();
        for line in BufReader::new(File::open(path)?).lines() {
            match serde_json::from_str(&line?) {
                Ok(Entry::Bucket(latest)) => info = Some(latest),
                Ok(Entry::Put { key, info }) => {
                    objects.insert(key, *info);
                }
                Ok(Entry::Delete { key }) => {
                    objects.remove(&key);
                }
                Err(_) => break,
            }
        }
        let Some(info) = info else { return Ok(None) };
        // Rewrite the journal, so that it does not grow indefinitely.
        let beside = path.with_extension("new");
        let mut journal = Self::create(&beside, &info)?;
        for (key, info) in &objects {
            journal.append(&Entry::Put {
                key: key.clone(),
                info: Box::new(info.clone()),
            })?;
        }
        std::fs::rename(&beside, path)?;
        let journal = Self {
            path: path.to_owned(),
            file: OpenOptions::new().append(true).open(path)?,
        };
        Ok(Some(Bucket {
            info,
            objects,
            journal,
        }))
    }
}
