//! Compares downloaded files with their expected length and checksum.

use std::path::Path;
use tableferry_domain::hex::hex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use tokio::io::AsyncReadExt as _;

#[derive(Debug, Clone)]
pub struct Expected {
    pub size_bytes: u64,
    /// The base64 of the MD5 checksum in the manifest.
    pub md5: Option<String>,
    pub etag: Option<String>,
}

/// The checksum and length of the bytes so far.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    md5: Md5,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// The checksum matches.
    Proven,
    /// The length matches, and there is no checksum.
    Unproven,
}

impl Sum {
    pub fn add(&mut self, piece: &[u8]) {
        self.md5.update(piece);
        self.bytes += piece.len() as u64;
    }

    pub async fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut sum = Self::default();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer).await? {
                0 => return Ok(sum),
                read => sum.add(&buffer[..read]),
            }
        }
    }

    pub fn base64(&self) -> String {
        STANDARD.encode(self.md5.clone().finalize())
    }

    /// The ETags of an object with these bytes, uploaded at once or in one part, unless it is
    /// encrypted with a KMS key.
    fn etags(&self) -> [String; 2] {
        let md5 = self.md5.clone().finalize();
        [hex(&md5), format!("{}-1", hex(&Md5::digest(md5)))]
    }
}

impl Expected {
    pub fn judge(&self, sum: &Sum) -> Result<Worth, String> {
        if sum.bytes != self.size_bytes {
            return Err(format!(
                "has {} bytes; S3 said {}",
                sum.bytes, self.size_bytes
            ));
        }
        match &self.md5 {
            Some(md5) if *md5 != sum.base64() => Err(format!(
                "has the MD5 checksum {}; the manifest says {md5}",
                sum.base64()
            )),
            Some(_) => Ok(Worth::Proven),
            // An ETag need not be a checksum, so a different one proves nothing.
            None if self
                .etag
                .as_ref()
                .is_some_and(|etag| sum.etags().contains(etag)) =>
            {
                Ok(Worth::Proven)
            }
            None => Ok(Worth::Unproven),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_judged_by_length_and_sum() {
        let mut sum = Sum::default();
        sum.add(b"hel");
        sum.add(b"lo");
        let expected = |size_bytes, md5: Option<&str>, etag: Option<&str>| {
            Expected {
                size_bytes,
                md5: md5.map(str::to_owned),
                etag: etag.map(str::to_owned),
            }
            .judge(&sum)
        };
        assert_eq!(
            expected(5, Some("XUFAKrxLKna5cZ2REBfFkg=="), Some("whatever")),
            Ok(Worth::Proven)
        );
        assert_eq!(
            expected(5, None, Some("5d41402abc4b2a76b9719d911017c592")),
            Ok(Worth::Proven)
        );
        assert_eq!(
            expected(5, None, Some("62bb4d6cbc7efb48f8d6e5cdbc0bb9a8-2")),
            Ok(Worth::Unproven)
        );
        assert!(expected(5, Some("AAAAKrxLKna5cZ2REBfFkg=="), None).is_err());
        assert!(expected(6, Some("XUFAKrxLKna5cZ2REBfFkg=="), None).is_err());
    }
}
