//! ARNs of tables and exports.
//!
//! Form: `arn:<partition>:dynamodb:<region>:<account>:table/<name>[/export/<id>]`. The region of
//! every AWS call is the region named here. Sources: the IAM user guide on ARNs; DynamoDB naming
//! rules (names of 3 to 255 characters of `a-z A-Z 0-9 _ - .`); botocore's model of DynamoDB
//! (lengths).

use std::fmt;

use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// A valid table ARN, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableArn {
    text: String,
    region: std::ops::Range<usize>,
    account_id: std::ops::Range<usize>,
    table_name: std::ops::Range<usize>,
}

impl TableArn {
    /// Reads a table ARN of any AWS partition. The error names the part that is missing or
    /// malformed.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (parts, resource) = split(text)?;
        let name = resource
            .strip_prefix("table/")
            .ok_or_else(|| Invalid::new("must name a table: its last part must be table/<name>"))?;
        if let Some((_, below)) = name.split_once('/') {
            let what = below.split('/').next().unwrap_or_default();
            return Err(Invalid::new(format!(
                "must be the ARN of the table itself; leave out \"/{what}/…\""
            )));
        }
        check_table_name(name)?;
        let name_start = text.len() - name.len();
        Ok(Self {
            region: parts.region,
            account_id: parts.account_id,
            table_name: name_start..text.len(),
            text: text.to_owned(),
        })
    }

    /// An ARN from the database; not validated by today's rules. `None` if it lacks a part.
    #[must_use]
    pub fn from_db(text: String) -> Option<Self> {
        let starts: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
        let (region, account, resource) = (*starts.get(2)?, *starts.get(3)?, *starts.get(4)?);
        let name = resource + text[resource..].find('/')? + 1;
        Some(Self {
            region: region..account - 1,
            account_id: account..resource - 1,
            table_name: name..text.len(),
            text,
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The partition, e.g. `aws` or `aws-cn`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or("aws")
    }

    /// The region, e.g. `eu-west-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.text[self.region.clone()]
    }

    /// The 12 digits of the account that owns the table.
    #[must_use]
    pub fn account_id(&self) -> &str {
        &self.text[self.account_id.clone()]
    }

    #[must_use]
    pub fn table_name(&self) -> &str {
        &self.text[self.table_name.clone()]
    }
}

impl fmt::Display for TableArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The ARN of an export. ARNs from AWS are kept unchanged; those from callers are validated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExportArn(String);

impl ExportArn {
    /// An ARN from AWS or the database; not validated.
    #[must_use]
    pub fn from_trusted(text: String) -> Self {
        Self(text)
    }

    /// Reads an export ARN from a caller (`arn:…:table/<name>/export/<id>`), and the ARN of its
    /// table.
    pub fn parse(text: &str) -> Result<(Self, TableArn), Invalid> {
        let form = || {
            Invalid::new(
                "must be the ARN of an export, such as arn:aws:dynamodb:us-west-2:123456789012:table/Orders/export/01580735656614-2c2f422e",
            )
        };
        let (table, id) = text.split_once("/export/").ok_or_else(form)?;
        let id_is_well_formed = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !id_is_well_formed {
            return Err(form());
        }
        let table = TableArn::parse(table)?;
        Ok((Self(text.to_owned()), table))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When AWS started the export: its id begins with 14 digits of milliseconds, then 8 hex
    /// digits. `None` for other forms, which stand-ins for AWS use.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let (_, id) = self.0.rsplit_once('/')?;
        let (milliseconds, _) = id.split_once('-').filter(|(ms, _)| ms.len() == 14)?;
        let seconds: u32 = milliseconds
            .parse::<u64>()
            .ok()?
            .checked_div(1000)?
            .try_into()
            .ok()?;
        Timestamp::from_unix_seconds(f64::from(seconds))
    }
}

struct Parts {
    region: std::ops::Range<usize>,
    account_id: std::ops::Range<usize>,
}

/// Checks everything before the resource and returns the resource.
fn split(text: &str) -> Result<(Parts, &str), Invalid> {
    if text.len() > 1024 {
        return Err(Invalid::new("must be at most 1024 characters long"));
    }
    let form = "must be an ARN such as arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
    let mut fields = text.splitn(6, ':');
    let mut next = || fields.next().ok_or_else(|| Invalid::new(form));
    let (arn, partition, service, region, account, resource) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    if arn != "arn" {
        return Err(Invalid::new(form));
    }
    if !is_partition(partition) {
        return Err(Invalid::new(
            "must have a known partition as its second part: aws, aws-cn, aws-us-gov or another aws-… partition",
        ));
    }
    if service != "dynamodb" {
        return Err(Invalid::new(
            "must be an ARN of DynamoDB: the third part must be dynamodb",
        ));
    }
    if !is_region(region) {
        return Err(Invalid::new(
            "must have a region such as us-east-1 as its fourth part",
        ));
    }
    if !is_account_id(account) {
        return Err(Invalid::new(
            "must have the 12-digit id of the table's account as its fifth part",
        ));
    }
    let region_start = arn.len() + partition.len() + service.len() + 3;
    let account_start = region_start + region.len() + 1;
    Ok((
        Parts {
            region: region_start..account_start - 1,
            account_id: account_start..account_start + account.len(),
        },
        resource,
    ))
}

/// `aws`, and at most three words after it, as in `aws-us-gov` and `aws-iso-b`.
fn is_partition(text: &str) -> bool {
    let mut words = text.split('-');
    words.next() == Some("aws")
        && words.clone().count() <= 3
        && words.all(|word| is_word(word, 1, 8))
}

/// Two to four words and a number, as in `us-east-1` and `us-gov-west-1`.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let words: Vec<_> = text.split('-').collect();
    let [first, middle @ .., number] = words.as_slice() else {
        return false;
    };
    is_word(first, 2, 8)
        && (1..=3).contains(&middle.len())
        && middle.iter().all(|word| is_word(word, 2, 12))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// Lower-case letters only.
fn is_word(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

/// Twelve digits.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn check_table_name(name: &str) -> Result<(), Invalid> {
    let known = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if known && (3..=255).contains(&name.len()) {
        Ok(())
    } else {
        Err(Invalid::new(
            "must end in a valid table name: 3 to 255 characters of a-z, A-Z, 0-9, _, - and .",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_parts_in_every_partition() {
        for (arn, region) in [
            (
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
                "us-east-1",
            ),
            (
                "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Orders",
                "cn-north-1",
            ),
            (
                "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/Orders",
                "us-gov-west-1",
            ),
            (
                "arn:aws-iso-b:dynamodb:us-isob-east-1:123456789012:table/Orders",
                "us-isob-east-1",
            ),
            (
                "arn:aws-eusc:dynamodb:eusc-de-east-1:123456789012:table/Orders",
                "eusc-de-east-1",
            ),
        ] {
            let parsed = TableArn::parse(arn).unwrap();
            assert_eq!(
                (parsed.region(), parsed.account_id(), parsed.table_name()),
                (region, "123456789012", "Orders")
            );
            assert_eq!(Some(parsed.partition()), arn.split(':').nth(1));
        }
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        for (arn, part) in [
            ("Orders", "must be an ARN"),
            (
                "arn:gcp:dynamodb:us-east-1:123456789012:table/Orders",
                "partition",
            ),
            ("arn:aws:s3:us-east-1:123456789012:table/Orders", "DynamoDB"),
            ("arn:aws:dynamodb::123456789012:table/Orders", "region"),
            (
                "arn:aws:dynamodb:us-east:123456789012:table/Orders",
                "region",
            ),
            (
                "arn:aws:dynamodb:us-east-1a:123456789012:table/Orders",
                "region",
            ),
            (
                "arn:aws-:dynamodb:us-east-1:123456789012:table/Orders",
                "partition",
            ),
            ("arn:aws:dynamodb:us-east-1:1234:table/Orders", "account"),
            (
                "arn:aws:dynamodb:us-east-1:123456789012:stream/Orders",
                "table/<name>",
            ),
            (
                "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/index/ByDate",
                "/index/",
            ),
            (
                "arn:aws:dynamodb:us-east-1:123456789012:table/O",
                "3 to 255",
            ),
            (
                "arn:aws:dynamodb:us-east-1:123456789012:table/Or ders",
                "3 to 255",
            ),
            (
                "arn:aws:dynamodb:us-east-1:123456789012:table/Or\0ders",
                "3 to 255",
            ),
        ] {
            let sentence = TableArn::parse(arn).unwrap_err().to_string();
            assert!(sentence.contains(part), "{arn}: {sentence}");
        }
    }

    #[test]
    fn an_export_arn_knows_its_table() {
        let (_, table) =
            ExportArn::parse("arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1/export/01580735656614-2c2f422e").unwrap();
        assert_eq!(
            table.as_str(),
            "arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1"
        );
        assert!(
            ExportArn::parse("arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1").is_err()
        );
        assert!(
            ExportArn::parse("arn:aws:dynamodb:us-west-2:123456789012:table/my-table-1/export/")
                .is_err()
        );
    }
}
