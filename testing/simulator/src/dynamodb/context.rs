//! The context of every operation: the world, the caller, and the names of tables.

use std::sync::Arc;

use super::error::ApiError;
use super::input::{Input, Violations};
use crate::arn::{TableArn, is_table_name, owner_of, partition_of};
use crate::caller::Caller;
use crate::faults::ListDisturbance;
use crate::world::World;

pub(crate) struct Context<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) caller: &'a Caller,
    pub(crate) list: ListDisturbance,
}

/// The account, region and name that identify a table.
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

impl Context<'_> {
    /// AWS checks the account of an ARN first. It must be the caller's, unless the settings allow
    /// every account.
    pub(crate) fn admit(&self, arn: &str) -> Result<(), ApiError> {
        match owner_of(arn) {
            Some((_, _, account)) if account != self.caller.account && !self.world.any_account => {
                Err(ApiError::access_denied())
            }
            _ => Ok(()),
        }
    }

    /// Reads `TableName`, which may be a name or an ARN.
    pub(crate) fn table(&self, input: Input<'_>) -> Result<Place, ApiError> {
        let given = input.text("TableName")?;
        let mut violations = Violations::default();
        violations.required(given, "tableName");
        violations.length(given, "tableName", 1, 1024);
        violations.report()?;
        self.place(given.unwrap_or_default())
    }

    /// Identifies a table by its name or ARN.
    pub(crate) fn place(&self, given: &str) -> Result<Place, ApiError> {
        if given.starts_with("arn:") {
            self.admit(given)?;
            let invalid = |what: &str| {
                ApiError::validation(format!(
                    "1 validation error detected: Invalid {what} in '{given}'"
                ))
            };
            let arn = TableArn::parse(given).map_err(|_| invalid("resource type"))?;
            if arn.partition != partition_of(&self.caller.region) {
                return Err(invalid("AWS partition"));
            }
            if arn.region != self.caller.region {
                return Err(invalid("AWS region"));
            }
            return Ok(Place {
                account: arn.account,
                region: arn.region,
                name: arn.table,
            });
        }
        let mut violations = Violations::default();
        violations.length(Some(given), "tableName", 3, 255);
        violations.pattern(Some(given), "tableName", "[a-zA-Z0-9_.-]+", |name| {
            (3..=255).contains(&name.len()) == is_table_name(name)
        });
        violations.report()?;
        Ok(Place {
            account: self.caller.account.clone(),
            region: self.caller.region.clone(),
            name: given.to_owned(),
        })
    }
}
