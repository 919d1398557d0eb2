//! A folder that is removed with the test.

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Empty at first, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    #[expect(clippy::disallowed_methods, reason = "tests may draw names")]
    pub fn new() -> Self {
        let path =
            std::env::temp_dir().join(format!("tableferry-test-{}", Uuid::new_v4().simple()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // At worst, files are left in the temp folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
