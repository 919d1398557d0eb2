//! KMS keys as S3 sees them: does the key exist, and is it in the bucket's region?

use std::collections::BTreeSet;

use crate::arn::partition_of;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyCheck {
    Usable,
    Missing { arn: String },
    OtherRegion { region: String },
}

impl KeyCheck {
    /// Checks a key id, alias or ARN against the ARNs of all known keys. Aliases of AWS managed
    /// keys always exist.
    pub(crate) fn of(
        key: &str,
        bucket_region: &str,
        account: &str,
        known: &BTreeSet<String>,
    ) -> Self {
        let arn = if key.starts_with("arn:") {
            key.to_owned()
        } else {
            let resource = if key.starts_with("alias/") {
                key.to_owned()
            } else {
                format!("key/{key}")
            };
            format!(
                "arn:{}:kms:{bucket_region}:{account}:{resource}",
                partition_of(bucket_region)
            )
        };
        let mut parts = arn.splitn(6, ':');
        let region = parts.nth(3).unwrap_or_default();
        let resource = parts.nth(1).unwrap_or_default();
        if region != bucket_region {
            Self::OtherRegion {
                region: region.to_owned(),
            }
        } else if resource.starts_with("alias/aws/") || known.contains(&arn) {
            Self::Usable
        } else {
            Self::Missing { arn }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_must_exist_in_the_buckets_region() {
        let arn = "arn:aws:kms:us-east-1:123456789012:key/abc";
        let known = BTreeSet::from([arn.to_owned()]);
        let check = |key: &str| KeyCheck::of(key, "us-east-1", "123456789012", &known);
        assert_eq!(check(arn), KeyCheck::Usable);
        assert_eq!(check("abc"), KeyCheck::Usable);
        assert_eq!(check("alias/aws/s3"), KeyCheck::Usable);
        assert_eq!(
            check("nope"),
            KeyCheck::Missing {
                arn: arn.replace("abc", "nope")
            }
        );
        assert_eq!(
            check(&arn.replace("us-east-1", "eu-west-1")),
            KeyCheck::OtherRegion {
                region: "eu-west-1".to_owned()
            }
        );
    }
}
