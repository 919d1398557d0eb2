//! CreateTable, DeleteTable, DescribeTable, ListTables.

use serde_json::{Map, Value, json};

use super::context::{Context, Place};
use super::error::ApiError;
use super::input::{Input, Violations};
use super::tags;
use crate::arn::{TableArn, partition_of};
use crate::clock::epoch_seconds;
use crate::world::{KeyAttribute, NewTable, State, Table};

pub(super) fn create(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let mut violations = Violations::default();
    violations.required(input.list("KeySchema")?, "keySchema");
    violations.required(input.list("AttributeDefinitions")?, "attributeDefinitions");
    let billing = input.text("BillingMode")?;
    violations.one_of(billing, "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    violations.report()?;
    let (partition_key, sort_key) = keys(input)?;
    let tags = tags::read(input.list("Tags")?.map_or(&[][..], Vec::as_slice))?;
    let mut description = kept_members(input)?;
    let throughput = input.structure("ProvisionedThroughput")?;
    if billing == Some("PAY_PER_REQUEST") {
        if throughput.is_some() {
            return Err(ApiError::validation(
                "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        description.insert(
            "BillingModeSummary".to_owned(),
            json!({"BillingMode": "PAY_PER_REQUEST"}),
        );
    } else if throughput.is_none() {
        return Err(ApiError::validation(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    }
    description.insert(
        "ProvisionedThroughput".to_owned(),
        shown_throughput(throughput)?,
    );
    if let Some(class) = input.text("TableClass")? {
        description.insert("TableClassSummary".to_owned(), json!({"TableClass": class}));
    }
    let now = context.world.clock.now();
    let mut state = context.world.change();
    if state
        .table(&place.account, &place.region, &place.name)
        .is_some()
    {
        return Err(ApiError::modelled(
            "ResourceInUseException",
            format!("Table already exists: {}", place.name),
        ));
    }
    let mut table = new_table(
        &mut state,
        place,
        now,
        (partition_key, sort_key),
        description,
    );
    table.tags = tags;
    let answer = json!({"TableDescription": describe_as(&table, "CREATING")});
    state.add_table(table);
    Ok(answer)
}

/// A table's throughput as its description shows it: zeros for on-demand tables.
pub(super) fn shown_throughput(throughput: Option<Input<'_>>) -> Result<Value, ApiError> {
    let units = |name| {
        throughput
            .map_or(Ok(None), |throughput| throughput.integer(name))
            .map(|units| units.unwrap_or(0))
    };
    let (reads, writes) = (units("ReadCapacityUnits")?, units("WriteCapacityUnits")?);
    Ok(
        json!({"ReadCapacityUnits": reads, "WriteCapacityUnits": writes, "NumberOfDecreasesToday": 0}),
    )
}

/// Makes the table's state; draws its id.
pub(crate) fn new_table(
    state: &mut State,
    place: Place,
    created_at: time::OffsetDateTime,
    (partition_key, sort_key): (KeyAttribute, Option<KeyAttribute>),
    description: Map<String, Value>,
) -> Table {
    let id = uuid::Builder::from_random_bytes(state.random.u128(..).to_be_bytes())
        .into_uuid()
        .to_string();
    let Place {
        account,
        region,
        name,
    } = place;
    let arn = TableArn {
        partition: partition_of(&region).to_owned(),
        region: region.clone(),
        account: account.clone(),
        table: name.clone(),
    };
    Table::new(NewTable {
        id,
        arn: arn.to_string(),
        name,
        account,
        region,
        created_at,
        partition_key,
        sort_key,
        description,
    })
}

fn keys(input: Input<'_>) -> Result<(KeyAttribute, Option<KeyAttribute>), ApiError> {
    let invalid = |text: &str| {
        ApiError::validation(format!("One or more parameter values were invalid: {text}"))
    };
    let mut kinds = Map::new();
    for definition in input.list("AttributeDefinitions")?.into_iter().flatten() {
        let (Some(name), Some(kind)) = (
            definition["AttributeName"].as_str(),
            definition["AttributeType"].as_str(),
        ) else {
            return Err(invalid("Attribute definitions need a name and a type"));
        };
        if !["S", "N", "B"].contains(&kind) {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value '{kind}' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]"
            )));
        }
        kinds.insert(name.to_owned(), json!(kind));
    }
    let schema = input.list("KeySchema")?.map_or(&[][..], Vec::as_slice);
    let mut found: Vec<KeyAttribute> = Vec::new();
    for (element, role) in schema.iter().zip(["HASH", "RANGE"]) {
        let name = element["AttributeName"].as_str().unwrap_or_default();
        if element["KeyType"].as_str() != Some(role) {
            return Err(invalid(
                "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
            ));
        }
        let kind = kinds.get(name).and_then(Value::as_str).ok_or_else(|| {
            invalid(&format!(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: [{name}], AttributeDefinitions: {:?}",
                kinds.keys().collect::<Vec<_>>()
            ))
        })?;
        found.push(KeyAttribute {
            name: name.to_owned(),
            kind: kind.to_owned(),
        });
    }
    let mut found = found.into_iter();
    match (schema.len(), found.next()) {
        (1 | 2, Some(partition_key)) => Ok((partition_key, found.next())),
        _ => Err(invalid("Invalid KeySchema: one or two elements are needed")),
    }
}

/// Indexes and similar members: returned by descriptions, otherwise unused.
fn kept_members(input: Input<'_>) -> Result<Map<String, Value>, ApiError> {
    let mut kept = Map::new();
    kept.insert(
        "AttributeDefinitions".to_owned(),
        json!(input.list("AttributeDefinitions")?),
    );
    for name in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if let Some(indexes) = input.list(name)?.filter(|indexes| !indexes.is_empty()) {
            let shown = indexes.iter().map(|index| {
                let mut index = index.clone();
                if let Value::Object(members) = &mut index
                    && name == "GlobalSecondaryIndexes"
                {
                    members.insert("IndexStatus".to_owned(), json!("ACTIVE"));
                }
                index
            });
            kept.insert(name.to_owned(), shown.collect());
        }
    }
    if let Some(protected) = input.flag("DeletionProtectionEnabled")? {
        kept.insert("DeletionProtectionEnabled".to_owned(), json!(protected));
    }
    Ok(kept)
}

pub(super) fn delete(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let mut state = context.world.change();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    if table.description.get("DeletionProtectionEnabled") == Some(&json!(true)) {
        return Err(ApiError::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    let gone = state
        .delete_table(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    Ok(json!({"TableDescription": describe_as(&gone, "DELETING")}))
}

pub(super) fn describe(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    Ok(json!({"Table": describe_as(table, "ACTIVE")}))
}

pub(super) fn list(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let limit = input.integer("Limit")?;
    let mut violations = Violations::default();
    if let Some(limit) = limit {
        violations.check(
            limit >= 1,
            "limit",
            limit,
            "have value greater than or equal to 1",
        );
        violations.check(
            limit <= 100,
            "limit",
            limit,
            "have value less than or equal to 100",
        );
    }
    violations.report()?;
    let limit = usize::try_from(limit.unwrap_or(100)).unwrap_or(100);
    let after = input.text("ExclusiveStartTableName")?;
    let state = context.world.state();
    let here = state.tables().filter(|table| {
        !table.deleted
            && table.account == context.caller.account
            && table.region == context.caller.region
    });
    let mut names: Vec<&str> = here
        .map(|table| table.name.as_str())
        .filter(|name| after.is_none_or(|after| *name > after))
        .collect();
    names.sort_unstable();
    let more = names.len() > limit;
    names.truncate(limit);
    let mut answer = json!({"TableNames": names});
    if let (true, Some(last)) = (more, names.last()) {
        answer["LastEvaluatedTableName"] = json!(last);
    }
    Ok(answer)
}

/// AWS's default quotas. The simulator does not enforce them.
pub(super) fn limits() -> Value {
    json!({
        "AccountMaxReadCapacityUnits": 80_000, "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 40_000,
    })
}

pub(super) fn not_found(name: &str) -> ApiError {
    ApiError::modelled(
        "ResourceNotFoundException",
        format!("Requested resource not found: Table: {name} not found"),
    )
}

pub(super) fn describe_as(table: &Table, status: &str) -> Value {
    let mut schema = vec![json!({"AttributeName": table.partition_key.name, "KeyType": "HASH"})];
    schema.extend(
        table
            .sort_key
            .iter()
            .map(|key| json!({"AttributeName": key.name, "KeyType": "RANGE"})),
    );
    let mut description = Value::Object(table.description.clone());
    for (name, value) in [
        ("TableName", json!(table.name)),
        ("TableArn", json!(table.arn)),
        ("TableId", json!(table.id)),
        ("TableStatus", json!(status)),
        ("CreationDateTime", epoch_seconds(table.created_at)),
        ("KeySchema", json!(schema)),
        ("ItemCount", json!(table.item_count())),
        ("TableSizeBytes", json!(table.size_bytes())),
    ] {
        description[name] = value;
    }
    if description.get("DeletionProtectionEnabled").is_none() {
        description["DeletionProtectionEnabled"] = json!(false);
    }
    description
}
