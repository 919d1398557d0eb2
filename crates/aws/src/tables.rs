//! Tables: existence, keys and point-in-time recovery. Calls name the table by its ARN, so that a
//! table of the same name in the caller's own account is never meant.

use aws_sdk_dynamodb::types::{KeyType, PointInTimeRecoveryStatus, TableDescription};
use dynamodb_expressions::{KeyAttribute, KeySchema, Kind};

use super::Aws;
use super::call::ask;
use super::convert::from_sdk_time;
use super::error::bad_answer;
use super::operations::Operation;
use tableferry_domain::aws::arn::TableArn;
use tableferry_domain::aws::failure::AwsFailure;
use tableferry_domain::preflight::{Recovery, TableFacts};

impl Aws {
    /// DescribeTable. A missing table fails with `ResourceNotFoundException`.
    pub async fn describe_table(&self, table: &TableArn) -> Result<TableFacts, AwsFailure> {
        let call = self
            .dynamodb(table.account_id(), table.region())
            .describe_table()
            .table_name(table.as_str());
        let answer = ask(Operation::DescribeTable, call.send()).await?;
        let found = answer.table().ok_or_else(|| bad_answer("Table"))?;
        Ok(TableFacts {
            status: found
                .table_status()
                .map_or_else(|| "UNKNOWN".to_owned(), |status| status.as_str().to_owned()),
            created_at: found.creation_date_time().and_then(from_sdk_time),
            size_bytes: found.table_size_bytes().filter(|bytes| *bytes >= 0),
            key: key_schema(found),
        })
    }

    /// DescribeContinuousBackups: whether point-in-time recovery is on, and the times that it
    /// covers. A missing table fails with `TableNotFoundException`.
    pub async fn recovery(&self, table: &TableArn) -> Result<Recovery, AwsFailure> {
        let call = self
            .dynamodb(table.account_id(), table.region())
            .describe_continuous_backups()
            .table_name(table.as_str());
        let answer = ask(Operation::DescribeContinuousBackups, call.send()).await?;
        let backups = answer
            .continuous_backups_description()
            .ok_or_else(|| bad_answer("ContinuousBackupsDescription"))?;
        let recovery = backups.point_in_time_recovery_description();
        let on = recovery.filter(|r| {
            r.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled)
        });
        Ok(on.map_or(Recovery::Off, |recovery| Recovery::On {
            earliest: recovery
                .earliest_restorable_date_time()
                .and_then(from_sdk_time),
            latest: recovery
                .latest_restorable_date_time()
                .and_then(from_sdk_time),
        }))
    }
}

/// The primary key; `None` if the description is incomplete.
fn key_schema(table: &TableDescription) -> Option<KeySchema> {
    let attribute = |key_type: &KeyType| {
        let element = table
            .key_schema()
            .iter()
            .find(|element| element.key_type() == key_type)?;
        let definition = table
            .attribute_definitions()
            .iter()
            .find(|definition| definition.attribute_name() == element.attribute_name());
        let kind =
            definition.and_then(|definition| Kind::from_tag(definition.attribute_type().as_str()));
        Some(KeyAttribute {
            name: element.attribute_name().to_owned(),
            kind,
        })
    };
    Some(KeySchema {
        partition: attribute(&KeyType::Hash)?,
        sort: attribute(&KeyType::Range),
    })
}
