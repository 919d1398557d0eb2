//! UpdateTable: billing, throughput, table class and deletion protection. Each takes effect
//! immediately.

use serde_json::{Value, json};

use super::context::Context;
use super::error::ApiError;
use super::input::{Input, Violations};
use super::tables::{describe_as, not_found, shown_throughput};

/// Features of a table that the simulator does not have.
const NOT_HERE: [&str; 9] = [
    "StreamSpecification",
    "GlobalSecondaryIndexUpdates",
    "SSESpecification",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "GlobalTableSettingsReplicationMode",
    "OnDemandThroughput",
    "WarmThroughput",
];

pub(super) fn update(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let (billing, class) = (input.text("BillingMode")?, input.text("TableClass")?);
    let protected = input.flag("DeletionProtectionEnabled")?;
    let throughput = input.structure("ProvisionedThroughput")?;
    let mut violations = Violations::default();
    violations.one_of(billing, "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    violations.one_of(
        class,
        "tableClass",
        &["STANDARD", "STANDARD_INFREQUENT_ACCESS"],
    );
    violations.report()?;
    if let Some(member) = NOT_HERE
        .into_iter()
        .find(|member| input.0.contains_key(*member))
    {
        return Err(ApiError::validation(format!(
            "{member} is not part of this simulator"
        )));
    }
    if billing.is_none() && class.is_none() && protected.is_none() && throughput.is_none() {
        return Err(ApiError::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required",
        ));
    }
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    let on_demand = billing.map_or_else(
        || table.is_on_demand(),
        |billing| billing == "PAY_PER_REQUEST",
    );
    let invalid = |text: &str| {
        ApiError::validation(format!("One or more parameter values were invalid: {text}"))
    };
    if on_demand && throughput.is_some() {
        return Err(invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    if !on_demand && throughput.is_none() && table.is_on_demand() {
        return Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    }
    let shown = shown_throughput(throughput)?;
    let mut set = |name: &str, value: Value| table.description.insert(name.to_owned(), value);
    if let Some(billing) = billing {
        set("BillingModeSummary", json!({"BillingMode": billing}));
    }
    if on_demand || throughput.is_some() {
        set("ProvisionedThroughput", shown);
    }
    if let Some(class) = class {
        set("TableClassSummary", json!({"TableClass": class}));
    }
    if let Some(protected) = protected {
        set("DeletionProtectionEnabled", json!(protected));
    }
    Ok(json!({"TableDescription": describe_as(table, "UPDATING")}))
}
