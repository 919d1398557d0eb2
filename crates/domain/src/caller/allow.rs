//! The tables and buckets that a caller may use: patterns with `*` for any characters.

use crate::invalid::Invalid;

/// Maximum number of patterns of each kind.
pub const MAX_PATTERNS: usize = 100;

/// A pattern for table ARNs or bucket names. `*` stands for zero or more characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern for table ARNs. A pattern that can match no table is an error.
    pub fn for_table(text: &str) -> Result<Self, Invalid> {
        let form = "must be a pattern of table ARNs, such as arn:aws:dynamodb:*:123456789012:table/orders-*";
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/*".contains(&b);
        let reads = text == "*" || text.starts_with("arn:");
        if reads && text.len() <= 1024 && text.bytes().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(form))
        }
    }

    /// Reads a pattern for bucket names. A pattern that can match no bucket is an error.
    pub fn for_bucket(text: &str) -> Result<Self, Invalid> {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b);
        let reads = (1..=255).contains(&text.len()) && text.bytes().all(known);
        if reads {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be a pattern of bucket names, such as orders-exports or orders-*",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches the whole text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<_> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        // Match each part as early as possible, which leaves the most for the later parts.
        for part in parts {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// The pattern for Postgres's `LIKE`.
    #[must_use]
    pub fn to_like(&self) -> String {
        self.0.chars().fold(String::new(), |mut like, c| {
            match c {
                '*' => like.push('%'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                c => like.push(c),
            }
            like
        })
    }
}

/// Allowed tables and buckets; an empty list allows all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowList {
    tables: Vec<Pattern>,
    buckets: Vec<Pattern>,
}

impl AllowList {
    #[must_use]
    pub fn new(tables: Vec<Pattern>, buckets: Vec<Pattern>) -> Self {
        Self { tables, buckets }
    }

    /// Patterns from the database; not validated again.
    #[must_use]
    pub fn from_db(tables: Vec<String>, buckets: Vec<String>) -> Self {
        let patterns = |texts: Vec<String>| texts.into_iter().map(Pattern).collect();
        Self {
            tables: patterns(tables),
            buckets: patterns(buckets),
        }
    }

    /// From patterns as text.
    pub fn parse(tables: &[String], buckets: &[String]) -> Result<Self, Invalid> {
        let tables: Result<_, _> = tables.iter().map(|text| Pattern::for_table(text)).collect();
        let buckets: Result<_, _> = buckets
            .iter()
            .map(|text| Pattern::for_bucket(text))
            .collect();
        Ok(Self {
            tables: tables?,
            buckets: buckets?,
        })
    }

    /// Whether it allows everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.tables.is_empty() && self.buckets.is_empty()
    }

    /// Table patterns; empty allows all.
    #[must_use]
    pub fn tables(&self) -> &[Pattern] {
        &self.tables
    }

    /// Bucket patterns; empty allows all.
    #[must_use]
    pub fn buckets(&self) -> &[Pattern] {
        &self.buckets
    }

    /// Whether this table is allowed.
    #[must_use]
    pub fn table(&self, arn: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|pattern| pattern.matches(arn))
    }

    /// Whether exports of this table to this bucket are allowed.
    #[must_use]
    pub fn export(&self, table_arn: &str, bucket: &str) -> bool {
        self.table(table_arn) && self.bucket(bucket)
    }

    /// Whether this bucket is allowed.
    #[must_use]
    pub fn bucket(&self, name: &str) -> bool {
        self.buckets.is_empty() || self.buckets.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_nothing_else_is() {
        for (pattern, text, yes) in [
            (
                "arn:*",
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
                true,
            ),
            (
                "arn:aws:dynamodb:*:123456789012:table/Orders",
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
                true,
            ),
            (
                "arn:aws:dynamodb:*:123456789012:table/Orders",
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders2",
                false,
            ),
            (
                "arn:aws:dynamodb:*:123456789012:table/Orders*",
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
                true,
            ),
            (
                "arn:aws:dynamodb:*:123456789012:table/a*b*a",
                "arn:aws:dynamodb:x:123456789012:table/aba",
                true,
            ),
            (
                "arn:aws:dynamodb:*:123456789012:table/a*a",
                "arn:aws:dynamodb:x:123456789012:table/a",
                false,
            ),
            (
                "arn:aws:dynamodb:us-east-1:*",
                "arn:aws:dynamodb:us-east-2:1:table/Orders",
                false,
            ),
        ] {
            assert_eq!(
                Pattern::for_table(pattern).unwrap().matches(text),
                yes,
                "{pattern} {text}"
            );
        }
        assert!(
            Pattern::for_bucket("a.b").unwrap().matches("a.b")
                && !Pattern::for_bucket("a.b").unwrap().matches("axb")
        );
        assert_eq!(Pattern::for_bucket("a_*").unwrap().to_like(), "a\\_%");
        for bad in ["", "orders", "arn:aws:dynamodb:?", "arn:\0", "**"] {
            assert!(Pattern::for_table(bad).is_err(), "{bad}");
        }
        assert!(Pattern::for_bucket("").is_err() && Pattern::for_bucket("a b").is_err());
    }

    #[test]
    fn an_empty_list_holds_everything_and_each_kind_stands_for_itself() {
        assert!(AllowList::default().table("x") && AllowList::default().bucket("y"));
        let list = AllowList::parse(&[], &["mine".to_owned()]).unwrap();
        assert!(
            list.table("x")
                && list.bucket("mine")
                && !list.bucket("yours")
                && !list.is_everything()
        );
    }
}
