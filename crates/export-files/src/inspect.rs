//! Reads a data file once, as a stream: computes its MD5 sum, checks that its gzip data is
//! complete, and checks and counts its items.

use std::io::{self, BufRead, ErrorKind, Read};

use md5::{Digest as _, Md5};

use super::Malformed;
use super::records::{Records, malformed};
use tableferry_domain::export::request::ExportFormat;

/// The results for a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// MD5 of the compressed bytes.
    pub md5: [u8; 16],
    pub size_bytes: u64,
    /// The number of items, or why the bytes are not items.
    pub items: Result<u64, Malformed>,
}

/// Reads a data file to its end. An object without bytes has no items. Fails only if the reader
/// does; invalid gzip or items are part of the figures.
pub fn inspect(reader: impl BufRead, format: ExportFormat) -> io::Result<Figures> {
    let mut hashed = Hashed {
        reader,
        md5: Md5::new(),
        size_bytes: 0,
        failure: None,
    };
    let items = count_items(&mut hashed, format).map_err(|error| {
        malformed(&error)
            .cloned()
            .unwrap_or_else(|| Malformed::new(format!("could not be read: {error}")))
    });
    let drained = hashed.drain();
    if let Some(failure) = hashed.failure {
        return Err(failure);
    }
    drained?;
    Ok(Figures {
        md5: hashed.md5.finalize().into(),
        size_bytes: hashed.size_bytes,
        items,
    })
}

fn count_items(hashed: impl BufRead, format: ExportFormat) -> io::Result<u64> {
    let mut records = Records::new(hashed, format);
    let mut items = 0;
    while records.read_next::<false>()?.is_some() {
        items += 1;
    }
    Ok(items)
}

/// Hashes the bytes that are consumed, and keeps the reader's failures apart from gzip's.
struct Hashed<R> {
    reader: R,
    md5: Md5,
    size_bytes: u64,
    failure: Option<io::Error>,
}

impl<R: BufRead> Hashed<R> {
    /// Reads to the end; bytes after broken gzip are part of the sum too.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            self.consume(length);
        }
    }
}

impl<R: BufRead> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(into.len());
        into[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Hashed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.failure.is_some() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if let Err(error) = self.reader.fill_buf() {
            self.failure = Some(error);
            return Err(ErrorKind::BrokenPipe.into());
        }
        // A second call, because the borrow checker does not let the buffer out of the branch
        // above; buffered bytes are returned at once.
        self.reader.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        // Already buffered; returning it reads nothing.
        if let Ok(piece) = self.reader.fill_buf() {
            let length = length.min(piece.len());
            self.md5.update(&piece[..length]);
            self.size_bytes += u64::try_from(length).unwrap_or_default();
        }
        self.reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Gives its bytes in small pieces, as a network does.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(into.len()).min(self.0.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn figures(bytes: &[u8], format: ExportFormat) -> Figures {
        let whole = inspect(bytes, format).unwrap();
        for size in [1, 7, 1000] {
            assert_eq!(
                inspect(BufReader::new(Dribble(bytes, size)), format).unwrap(),
                whole
            );
        }
        assert_eq!(whole.md5, <[u8; 16]>::from(Md5::digest(bytes)));
        assert_eq!(whole.size_bytes, u64::try_from(bytes.len()).unwrap());
        whole
    }

    const JSON: ExportFormat = ExportFormat::DynamodbJson;
    const ION: ExportFormat = ExportFormat::Ion;

    #[test]
    fn items_are_records() {
        let lines: String = (0..5000)
            .map(|n| format!("{{\"Item\":{{\"pk\":{{\"N\":\"{n}\"}}}}}}\n"))
            .collect();
        assert_eq!(figures(&gzip(lines.as_bytes()), JSON).items, Ok(5000));
        assert_eq!(
            figures(&gzip(lines.trim_end().as_bytes()), JSON).items,
            Ok(5000)
        );
        assert_eq!(figures(&gzip(b""), JSON).items, Ok(0));
        assert_eq!(figures(b"", ION).items, Ok(0));
        assert_eq!(
            figures(
                &gzip(b"$ion_1_0 {Item:{a:1.}}\n$ion_1_0 {Item:{a:2.}}\n"),
                ION
            )
            .items,
            Ok(2)
        );
        assert_eq!(
            figures(&gzip(b"$ion_1_0\n{Item:{a:1.}}\n\n{Item:{a:2.}}"), ION).items,
            Ok(2)
        );
        // Not by lines: the second of a line counts too.
        assert_eq!(
            figures(&gzip(b"$ion_1_0 {Item:{a:1.}} {Item:{\na:2.}}\n"), ION).items,
            Ok(2)
        );
    }

    #[test]
    fn what_is_no_item_is_told_and_hashed_to_its_end() {
        for (text, format) in [
            ("{\"Item\":{}}\n{\"Other\":1}\n", JSON),
            ("{Item:{}}\n{Other:1}\n", ION),
            ("{Item:{}}\n", JSON),
        ] {
            assert!(
                figures(&gzip(text.as_bytes()), format)
                    .items
                    .unwrap_err()
                    .to_string()
                    .contains("invalid record"),
                "{text}"
            );
        }
    }

    #[test]
    fn members_of_gzip_follow_one_another() {
        let bytes = [
            gzip(b"{\"Item\":{}}\n{\"Item\":{}}\n"),
            gzip(b"{\"Item\":{}}\n"),
        ]
        .concat();
        assert_eq!(figures(&bytes, JSON).items, Ok(3));
    }

    #[test]
    fn broken_gzip_is_told_and_hashed_to_its_end() {
        let good = gzip(&b"{\"Item\":{}}\n".repeat(10_000));
        let told = |bytes: &[u8]| figures(bytes, JSON).items.unwrap_err().to_string();
        for broken in [&good[..good.len() - 9], &good[..good.len() - 3], &good[..6]] {
            assert!(told(broken).contains("not valid gzip"));
        }
        let mut flipped = good.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(told(&flipped).contains("not valid gzip"));
        assert!(told(b"no gzip at all, and longer than a header").contains("not valid gzip"));
        assert!(told(&[good, b"trailing".to_vec()].concat()).contains("not valid gzip"));
    }

    #[test]
    fn a_reader_that_fails_is_an_error() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let good = gzip(&b"{\"Item\":{}}\n".repeat(10_000));
        let error = inspect(BufReader::new(good[..20].chain(Failing)), JSON).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
