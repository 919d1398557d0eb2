//! ARNs of tables and exports, and the partition a region belongs to.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableArn {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) table: String,
}

/// Why a text is not a table ARN.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotATable {
    /// Not a DynamoDB ARN at all.
    NotAnArn,
    /// An ARN of something below a table, such as an index or an export.
    OtherResource,
}

impl TableArn {
    pub(crate) fn parse(text: &str) -> Result<Self, NotATable> {
        let (arn, below) = parse_below_table(text).ok_or(NotATable::NotAnArn)?;
        if below.is_none() {
            Ok(arn)
        } else {
            Err(NotATable::OtherResource)
        }
    }
}

impl std::fmt::Display for TableArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            partition,
            region,
            account,
            table,
        } = self;
        write!(
            f,
            "arn:{partition}:dynamodb:{region}:{account}:table/{table}"
        )
    }
}

/// An export's ARN: the table's ARN and the export's id.
pub(crate) fn parse_export(text: &str) -> Option<(TableArn, String)> {
    let (arn, below) = parse_below_table(text)?;
    let id = below?.strip_prefix("export/")?;
    (!id.is_empty() && !id.contains('/')).then(|| (arn, id.to_owned()))
}

/// The partition, service and account of a text that starts like an ARN, whatever follows them.
pub(crate) fn owner_of(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.splitn(6, ':');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some("arn"), Some(partition), Some(service), Some(_), Some(account), Some(_)) => {
            Some((partition, service, account))
        }
        _ => None,
    }
}

fn parse_below_table(text: &str) -> Option<(TableArn, Option<&str>)> {
    let mut parts = text.splitn(6, ':');
    let (
        Some("arn"),
        Some(partition),
        Some("dynamodb"),
        Some(region),
        Some(account),
        Some(resource),
    ) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    )
    else {
        return None;
    };
    let resource = resource.strip_prefix("table/")?;
    let (table, below) = resource
        .split_once('/')
        .map_or((resource, None), |(table, below)| (table, Some(below)));
    let plausible = partition.starts_with("aws")
        && !region.is_empty()
        && is_account_id(account)
        && is_table_name(table);
    plausible.then(|| {
        let arn = TableArn {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            table: table.to_owned(),
        };
        (arn, below)
    })
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Checks the characters and length that DynamoDB allows in a table name.
pub(crate) fn is_table_name(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The AWS partition of a region, derived from the region's prefix.
pub(crate) fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 8] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
        ("", "aws"),
    ];
    BY_PREFIX
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";

    #[test]
    fn table_arns_round_trip() {
        let arn = TableArn::parse(TABLE).unwrap();
        assert_eq!(arn.to_string(), TABLE);
        assert_eq!(TableArn::parse("Orders"), Err(NotATable::NotAnArn));
        assert_eq!(
            TableArn::parse("arn:aws:s3:::bucket"),
            Err(NotATable::NotAnArn)
        );
        assert_eq!(
            TableArn::parse(&format!("{TABLE}/index/by-date")),
            Err(NotATable::OtherResource)
        );
    }

    #[test]
    fn export_arns_carry_their_table() {
        let (arn, id) = parse_export(&format!("{TABLE}/export/01700000000000-abcdef12")).unwrap();
        assert_eq!(
            (arn.table.as_str(), id.as_str()),
            ("Orders", "01700000000000-abcdef12")
        );
        assert!(parse_export(TABLE).is_none());
        assert!(parse_export(&format!("{TABLE}/import/01700000000000-abcdef12")).is_none());
        assert!(parse_export(&"x".repeat(40)).is_none());
    }

    #[test]
    fn partitions_follow_the_region() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-iso-east-1", "aws-iso"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(partition_of(region), partition);
        }
    }
}
