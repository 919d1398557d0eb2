//! Reads a whole data file once, as a stream: its MD5 sum, whether it is whole gzip, and how many
//! items it holds. Each of them is checked.

use std::io::{self, BufRead, ErrorKind, Read};

use md5::{Digest as _, Md5};

use super::Malformed;
use super::records::{Records, malformed};
use tableferry_domain::request::ExportFormat;

/// What the bytes of a data file amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The MD5 sum of the bytes, compressed as they are.
    pub md5: [u8; 16],
    /// How many bytes.
    pub size_bytes: u64,
    /// How many items, or why the bytes are not those of items.
    pub items: Result<u64, Malformed>,
}

/// Reads a data file to its end. An object without bytes has no items.
///
/// # Errors
/// The reader failed. Bytes that are no gzip, or no items, are no error: the figures say so.
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

/// Hashes what is consumed, and keeps the reader's own failure apart from gzip's.
struct Hashed<R> {
    reader: R,
    md5: Md5,
    size_bytes: u64,
    failure: Option<io::Error>,
}

impl<R: BufRead> Hashed<R> {
    /// Reads on to the end: what follows broken gzip counts for the sum too.
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
        // Asked again, since the borrow checker lets no buffer out of the branch above; what is
        // buffered is given at once.
        self.reader.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        // Buffered already: giving it again reads nothing.
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
                    .contains("no record of an export"),
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
            assert!(told(broken).contains("not whole gzip"));
        }
        let mut flipped = good.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(told(&flipped).contains("not whole gzip"));
        assert!(told(b"no gzip at all, and longer than a header").contains("not whole gzip"));
        assert!(told(&[good, b"trailing".to_vec()].concat()).contains("not whole gzip"));
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
