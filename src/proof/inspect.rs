//! Reads a whole data file once, as a stream: its MD5 sum, whether it is whole gzip, and how many items it holds.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use md5::{Digest as _, Md5};

/// How much decompressed text is held at a time.
const TEXT_BYTES: usize = 128 * 1024;

/// What the bytes of a data file amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The MD5 sum of the bytes, compressed as they are.
    pub md5: [u8; 16],
    /// How many bytes.
    pub size_bytes: u64,
    /// How many items, or why the bytes are not whole gzip.
    pub items: Result<u64, String>,
}

/// Reads a data file to its end. Items are lines, in DynamoDB JSON as in Ion text; an object without bytes has none.
///
/// # Errors
/// The reader failed. Bytes that are no gzip are no error: the figures say so.
pub fn inspect(reader: impl BufRead) -> io::Result<Figures> {
    let mut hashed = Hashed { reader, md5: Md5::new(), size_bytes: 0, failure: None };
    let items = count_items(&mut hashed).map_err(|error| error.to_string());
    let drained = hashed.drain();
    if let Some(failure) = hashed.failure {
        return Err(failure);
    }
    drained?;
    Ok(Figures { md5: hashed.md5.finalize().into(), size_bytes: hashed.size_bytes, items })
}

fn count_items(mut hashed: impl BufRead) -> io::Result<u64> {
    if hashed.fill_buf()?.is_empty() {
        return Ok(0);
    }
    let mut text = BufReader::with_capacity(TEXT_BYTES, MultiGzDecoder::new(hashed));
    let mut lines = LineCount::default();
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines.total());
        }
        lines.add(piece);
        let length = piece.len();
        text.consume(length);
    }
}

/// Counts lines that hold something besides Ion's version marker.
#[derive(Debug, Default)]
struct LineCount {
    lines: u64,
    /// The first bytes of the line that is being read.
    begun: Vec<u8>,
}

/// Ion's version marker; a line may consist of it alone.
const ION_MARKER: &[u8] = b"$ion_1_0";

/// How much of a line is looked at to tell whether it is empty or a marker alone, in bytes.
const BEGINNING: usize = 64;

impl LineCount {
    fn add(&mut self, piece: &[u8]) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            self.begin(&piece[from..end]);
            self.end();
            from = end + 1;
        }
        self.begin(&piece[from..]);
    }

    fn begin(&mut self, part: &[u8]) {
        let room = BEGINNING.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end(&mut self) {
        let line = self.begun.trim_ascii();
        if !line.is_empty() && line != ION_MARKER {
            self.lines += 1;
        }
        self.begun.clear();
    }

    /// A last line without its end counts as well.
    fn total(mut self) -> u64 {
        self.end();
        self.lines
    }
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
        // Asked again, since the borrow checker lets no buffer out of the branch above; what is buffered is given at once.
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
    use std::io::Write as _;

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

    fn figures(bytes: &[u8]) -> Figures {
        let whole = inspect(bytes).unwrap();
        for size in [1, 7, 1000] {
            assert_eq!(inspect(BufReader::new(Dribble(bytes, size))).unwrap(), whole);
        }
        assert_eq!(whole.md5, <[u8; 16]>::from(Md5::digest(bytes)));
        assert_eq!(whole.size_bytes, u64::try_from(bytes.len()).unwrap());
        whole
    }

    #[test]
    fn items_are_lines() {
        let lines: String = (0..5000).map(|n| format!("{{\"Item\":{{\"pk\":{{\"N\":\"{n}\"}}}}}}\n")).collect();
        assert_eq!(figures(&gzip(lines.as_bytes())).items, Ok(5000));
        assert_eq!(figures(&gzip(lines.trim_end().as_bytes())).items, Ok(5000));
        assert_eq!(figures(&gzip(b"")).items, Ok(0));
        assert_eq!(figures(b"").items, Ok(0));
        assert_eq!(figures(&gzip(b"$ion_1_0 {Item:{a:1.}}\n$ion_1_0 {Item:{a:2.}}\n")).items, Ok(2));
        assert_eq!(figures(&gzip(b"$ion_1_0\n{Item:{a:1.}}\n\n{Item:{a:2.}}")).items, Ok(2));
    }

    #[test]
    fn members_of_gzip_follow_one_another() {
        let bytes = [gzip(b"{}\n{}\n"), gzip(b"{}\n")].concat();
        assert_eq!(figures(&bytes).items, Ok(3));
    }

    #[test]
    fn broken_gzip_is_told_and_hashed_to_its_end() {
        let good = gzip(&b"{\"Item\":{}}\n".repeat(10_000));
        assert!(figures(&good[..good.len() - 9]).items.is_err());
        assert!(figures(&good[..good.len() - 3]).items.is_err());
        assert!(figures(&good[..6]).items.is_err());
        let mut flipped = good.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(figures(&flipped).items.is_err());
        assert!(figures(b"no gzip at all, and longer than a header").items.is_err());
        assert!(figures(&[good, b"trailing".to_vec()].concat()).items.is_err());
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
        let error = inspect(BufReader::new(good[..20].chain(Failing))).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
