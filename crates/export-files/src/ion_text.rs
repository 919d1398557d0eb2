//! Finds the end of each record in Ion text. Follows brackets, strings, symbols, blobs and comments
//! by Ion's grammar, not by lines, and keeps no text.
//!
//! It only divides the text; Amazon's library parses each part. A part that was divided incorrectly
//! cannot pass as a record: the library refuses it, or finds a number of values other than one.

/// Maximum nesting: DynamoDB allows 32 levels, and a record adds up to three.
const MAX_DEPTH: u32 = 64;

/// The state after the bytes so far.
#[derive(Debug)]
pub struct Framing {
    state: State,
    depth: u32,
    max_values: u32,
    /// Commas and colons of a record outside of strings: about the number of values, names and
    /// annotations.
    commas: u32,
    colons: u32,
    /// Length of the current run of digits, hexadecimal digits and marks between them included.
    digits: u32,
    /// Bytes of values and their annotations outside of structs.
    bytes_between: u32,
}

/// Maximum digits of a number: DynamoDB's have 38, and up to 130 zeros. The time to parse an
/// integer grows with the square of its digits.
const MAX_DIGITS: u32 = 400;

/// Maximum bytes between two records, besides blanks, comments and the text of strings: enough for
/// several `$ion_1_0`.
const MAX_BYTES_BETWEEN: u32 = 100;

/// The element of the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Plain,
    /// After `/`: a comment or not.
    Slash,
    LineComment,
    BlockComment,
    /// After `*` in a comment.
    BlockCommentStar,
    /// After `{`: a struct, or a blob if another follows.
    Brace,
    Blob,
    /// After `}` in a blob.
    BlobBrace,
    Text,
    TextEscape,
    /// After `'`: a symbol, or a long string if two more follow.
    Quote,
    /// After `''`: an empty symbol, or a long string.
    TwoQuotes,
    Symbol,
    SymbolEscape,
    Long,
    LongEscape,
    /// After this many quotes that may end a long string.
    LongQuote,
    LongTwoQuotes,
}

impl Framing {
    /// At the start of a text whose records have at most `max_values` values.
    pub fn new(max_values: u32) -> Self {
        Self {
            state: State::Plain,
            depth: 0,
            max_values,
            commas: 0,
            colons: 0,
            digits: 0,
            bytes_between: 0,
        }
    }

    /// Processes more text. Returns how many of its bytes end the record, or `None` if the record
    /// continues. Fails if it is nested too deeply, has too many values, or closes a bracket that
    /// is not open.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Option<usize>, &'static str> {
        let mut at = 0;
        while at < piece.len() {
            // Most text is inside strings.
            if self.state == State::Text {
                let Some(found) = memchr::memchr2(b'"', b'\\', &piece[at..]) else {
                    return Ok(None);
                };
                at += found;
            }
            let before = self.depth;
            self.step(piece[at])?;
            at += 1;
            if before == 1 && self.depth == 0 {
                (self.commas, self.colons, self.bytes_between) = (0, 0, 0);
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Whether the text may end here.
    pub fn is_between_records(&self) -> bool {
        self.depth == 0
            && matches!(
                self.state,
                State::Plain | State::LineComment | State::TwoQuotes
            )
    }

    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        self.state = match (self.state, byte) {
            (State::Plain, _) => return self.plain(byte),
            (State::Slash, b'/') => State::LineComment,
            (State::Slash, b'*') => State::BlockComment,
            (State::Brace, b'{') => State::Blob,
            (State::Brace, _) => {
                self.open()?;
                return self.plain(byte);
            }
            // Neither a comment nor a long string.
            (State::Slash | State::TwoQuotes, _)
                if !(self.state == State::TwoQuotes && byte == b'\'') =>
            {
                return self.plain(byte);
            }
            (State::LineComment, b'\n' | b'\r') => State::Plain,
            (State::BlockComment | State::BlockCommentStar, b'*') => State::BlockCommentStar,
            (State::BlockCommentStar, b'/') => State::Plain,
            (State::BlockComment | State::BlockCommentStar, _) => State::BlockComment,
            (State::Blob, b'}') => State::BlobBrace,
            (State::BlobBrace, b'}') => State::Plain,
            (State::BlobBrace, _) => State::Blob,
            (State::Text, b'"') => State::Plain,
            (State::Text, b'\\') => State::TextEscape,
            (State::TextEscape, _) => State::Text,
            (State::Quote, b'\'') => State::TwoQuotes,
            (State::Symbol, b'\'') => State::Plain,
            (State::Quote | State::Symbol, b'\\') => State::SymbolEscape,
            (State::Quote | State::Symbol | State::SymbolEscape, _) => State::Symbol,
            (State::TwoQuotes, _) => State::Long,
            (State::Long | State::LongQuote | State::LongTwoQuotes, b'\\') => State::LongEscape,
            (State::Long, b'\'') => State::LongQuote,
            (State::LongQuote, b'\'') => State::LongTwoQuotes,
            (State::LongTwoQuotes, b'\'') => State::Plain,
            (State::LongEscape | State::LongQuote | State::LongTwoQuotes, _) => State::Long,
            (unchanged, _) => unchanged,
        };
        Ok(())
    }

    fn plain(&mut self, byte: u8) -> Result<(), &'static str> {
        self.state = match byte {
            b'"' => State::Text,
            b'\'' => State::Quote,
            b'/' => State::Slash,
            b'{' => State::Brace,
            _ => State::Plain,
        };
        self.digits = if byte.is_ascii_hexdigit() || matches!(byte, b'_' | b'x' | b'X') {
            self.digits + 1
        } else {
            0
        };
        if self.digits > MAX_DIGITS {
            return Err("it has a number with more digits than DynamoDB allows");
        }
        if self.depth == 0 && !byte.is_ascii_whitespace() && byte != b'/' {
            self.bytes_between += 1;
            if self.bytes_between > MAX_BYTES_BETWEEN {
                return Err("there is text outside of records");
            }
        }
        match byte {
            b'(' => return Err("it has an Ion S-expression, which exports do not have"),
            b'[' => self.open()?,
            b'}' | b']' => {
                self.depth = self
                    .depth
                    .checked_sub(1)
                    .ok_or("it closes a bracket that is not open")?
            }
            b',' | b':' => {
                let count = if byte == b',' {
                    &mut self.commas
                } else {
                    &mut self.colons
                };
                *count += 1;
                if *count > self.max_values {
                    return Err("it has more values than any DynamoDB item");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), &'static str> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err("it is nested deeper than any item")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a text, the same in pieces of any size, and whether it may end there.
    fn parts(text: &str) -> (Vec<String>, bool) {
        let cut = |size: usize| {
            let (mut framing, mut parts, mut part) = (Framing::new(10), Vec::new(), Vec::new());
            for mut piece in text.as_bytes().chunks(size) {
                while let Some(end) = framing.feed(piece).unwrap() {
                    part.extend_from_slice(&piece[..end]);
                    parts.push(String::from_utf8(std::mem::take(&mut part)).unwrap());
                    piece = &piece[end..];
                }
                part.extend_from_slice(piece);
            }
            parts.push(String::from_utf8(part).unwrap());
            (parts, framing.is_between_records())
        };
        let whole = cut(text.len().max(1));
        for size in 1..8 {
            assert_eq!(cut(size), whole, "{text} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn records_end_with_their_last_bracket() {
        for (text, expected) in [
            ("{a:1}{b:2}", vec!["{a:1}", "{b:2}", ""]),
            (
                "$ion_1_0 {a:{b:[1,[2]]}}\n$ion_1_0\n{b:2}\n",
                vec!["$ion_1_0 {a:{b:[1,[2]]}}", "\n$ion_1_0\n{b:2}", "\n"],
            ),
            (
                r#"{a:"}\"}"}{b:'}\'}'}"#,
                vec![r#"{a:"}\"}"}"#, r#"{b:'}\'}'}"#, ""],
            ),
            (
                r"{a:'''}'}''}\'''}'''}{b:''}",
                vec![r"{a:'''}'}''}\'''}'''}", "{b:''}", ""],
            ),
            (
                "{a:{{YQ==}}}{b:{{ }}}",
                vec!["{a:{{YQ==}}}", "{b:{{ }}}", ""],
            ),
            (
                "{a:1 // }\n}/* } **/{b:2}//{",
                vec!["{a:1 // }\n}", "/* } **/{b:2}", "//{"],
            ),
            ("5 {a:1} x::{b:2}", vec!["5 {a:1}", " x::{b:2}", ""]),
        ] {
            assert_eq!(
                parts(text),
                (expected.into_iter().map(str::to_owned).collect(), true),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_cut_off_is_noticed() {
        for text in [
            "{", "{a:1", "{a:\"", "'a", "'''a", "{{YQ==}", "/* a", "{a:1}{",
        ] {
            assert!(!parts(text).1, "{text}");
        }
        assert!(Framing::new(10).feed(b"}").is_err());
        assert!(Framing::new(10).feed(&b"[".repeat(65)).is_err());
        assert!(Framing::new(10).feed(&b"1,".repeat(10)).is_ok());
        assert!(Framing::new(10).feed(&b"1,".repeat(11)).is_err());
        assert!(Framing::new(10).feed(b"{Item:{a:(5 5)}}").is_err());
        assert!(
            Framing::new(10)
                .feed(&[b"{a:".to_vec(), b"a::".repeat(6)].concat())
                .is_err()
        );
        assert!(Framing::new(10).feed(&b"5 ".repeat(101)).is_err());
        assert!(
            Framing::new(10)
                .feed(&[b"{a:".to_vec(), b"9".repeat(401), b"}".to_vec()].concat())
                .is_err()
        );
        assert!(
            Framing::new(10)
                .feed(&[b"{a:\"".to_vec(), b"9".repeat(4001), b"\"}".to_vec()].concat())
                .is_ok()
        );
        assert!(
            Framing::new(10)
                .feed(
                    &[
                        b" ".repeat(10_000),
                        b"// a comment\n".repeat(1000),
                        b"$ion_1_0 {}".to_vec()
                    ]
                    .concat()
                )
                .is_ok()
        );
    }
}
