//! `aws-chunked` bodies: chunks are joined, signatures dropped, trailing headers kept.

/// A decoded body and its trailing headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    pub(super) trailer: Vec<(String, String)>,
}

/// Decodes a whole body; `None` if it does not have this form.
pub(super) fn decode(mut body: &[u8]) -> Option<Decoded> {
    let mut bytes = Vec::new();
    loop {
        let header = take_line(&mut body)?;
        let size = header.split(|b| *b == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        if size == 0 {
            break;
        }
        bytes.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
    let mut trailer = Vec::new();
    while let Some(line) = take_line(&mut body).filter(|line| !line.is_empty()) {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        trailer.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Decoded { bytes, trailer })
}

fn take_line<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = body.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = body.split_at(end);
    *body = &rest[2..];
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_the_trailer_kept() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        let decoded = decode(body).unwrap();
        assert_eq!(decoded.bytes, b"hello world");
        assert_eq!(
            decoded.trailer,
            [("x-amz-checksum-crc32".to_owned(), "AAAA".to_owned())]
        );
        assert!(decode(b"not chunked").is_none());
        assert!(decode(b"ff\r\nshort\r\n").is_none());
    }
}
