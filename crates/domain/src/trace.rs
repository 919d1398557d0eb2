//! The trace of an export: `traceparent` of W3C Trace Context, version 00.

use std::fmt;

/// A trace and the parent span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// `None` if an id is zero, which is invalid.
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            flags,
        })
    }

    /// Reads the header's value. The standard says to ignore an invalid value, so there is no
    /// error. Later versions are read as version 00; only the flag *sampled* is understood.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let (trace_id, rest) = rest.split_once('-')?;
        let (span_id, rest) = rest.split_once('-')?;
        let (flags, more) = rest
            .split_once('-')
            .map_or((rest, false), |(flags, _)| (flags, true));
        let hex = |text: &str, digits: usize| {
            let right = text.len() == digits
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
        };
        let version = hex(version, 2).filter(|version| *version != 0xff)?;
        if version == 0 && more {
            return None;
        }
        let flags = u8::try_from(hex(flags, 2)?).ok()?;
        Self::new(
            hex(trace_id, 32)?,
            u64::try_from(hex(span_id, 16)?).ok()?,
            flags & if version == 0 { 0xff } else { 1 },
        )
    }

    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The flags; the lowest bit is *sampled*.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_standard_allows() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(text).unwrap().to_string(), text);
        let later = TraceParent::parse(
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what-the-future-will-be-like",
        );
        assert_eq!(later.unwrap().to_string(), text);
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }
}
