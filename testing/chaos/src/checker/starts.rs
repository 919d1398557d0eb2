//! The exports that the simulator started are those in the records, once each.
//!
//! A start is matched to its request in two ways: by the client token and, once the token is
//! recorded, by the prefix in its request, which is the idempotency key. So a second start of one
//! request is found whatever token it carries.

use std::collections::{BTreeMap, HashMap};

use tableferry_simulator::ExportSummary;

use super::Record;
use crate::ledger::Violation;

/// All violations between the records and what the simulator started.
pub fn judge(records: &[Record], simulated: &[ExportSummary]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |figure, what: String, id: Option<&str>| {
        violations.push(Violation {
            figure,
            what,
            export_id: id.map(str::to_owned),
        })
    };
    let by_token: HashMap<&str, &Record> = records
        .iter()
        .filter_map(|record| Some((record.token.as_deref()?, record)))
        .collect();
    let by_key: HashMap<&str, &Record> = records
        .iter()
        .map(|record| (record.key.as_str(), record))
        .collect();
    let by_arn: HashMap<&str, &ExportSummary> = simulated
        .iter()
        .map(|start| (start.arn.as_str(), start))
        .collect();

    let mut starts: BTreeMap<&str, Vec<&ExportSummary>> = BTreeMap::new();
    for start in simulated {
        let key = start
            .manifest_key
            .as_deref()
            .and_then(|key| key.split('/').next());
        let owners = [
            by_token.get(start.client_token.as_str()),
            key.and_then(|key| by_key.get(key)),
        ];
        if let [Some(by_token), Some(by_key)] = owners
            && by_token.id != by_key.id
        {
            wrong(
                "wrong arn or outcome",
                format!(
                    "{} has the token of {} and the prefix of {}",
                    start.arn, by_token.id, by_key.id
                ),
                None,
            );
        }
        match owners.into_iter().flatten().next() {
            None => wrong(
                "starts without a record",
                format!(
                    "no record has {} with the token {}",
                    start.arn, start.client_token
                ),
                None,
            ),
            Some(owner) => starts.entry(owner.id.as_str()).or_default().push(start),
        }
    }
    for record in records {
        let id = Some(record.id.as_str());
        let own = starts
            .get(record.id.as_str())
            .map_or(&[][..], Vec::as_slice);
        if own.len() > 1 {
            wrong(
                "started twice",
                format!(
                    "{:?}",
                    own.iter().map(|start| &start.arn).collect::<Vec<_>>()
                ),
                id,
            );
        }
        match (&record.arn, own) {
            (None, [_, ..]) if record.in_doubt => {}
            (None, [start, ..]) => wrong(
                "starts without a record",
                format!("it is {}, but {} was started", record.status, start.arn),
                id,
            ),
            (Some(arn), []) => wrong(
                "wrong arn or outcome",
                format!("its ARN is {arn}, which was not started for it"),
                id,
            ),
            (Some(arn), own) if own.iter().all(|start| start.arn != *arn) => {
                wrong(
                    "wrong arn or outcome",
                    format!("its ARN is {arn}, but {} was started for it", own[0].arn),
                    id,
                );
            }
            _ => {}
        }
        let outcome = record
            .arn
            .as_deref()
            .and_then(|arn| by_arn.get(arn))
            .map(|start| start.status.as_str());
        if matches!(record.status.as_str(), "COMPLETED" | "FAILED")
            && outcome.is_some_and(|outcome| outcome != record.status)
        {
            wrong(
                "wrong arn or outcome",
                format!("it is {}, but at AWS it is {outcome:?}", record.status),
                id,
            );
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn record(id: &str, arn: Option<&str>, status: &str) -> Record {
        let key = format!("key-{id}");
        let token = Some(format!("token-{id}"));
        Record {
            id: id.to_owned(),
            key,
            token,
            arn: arn.map(str::to_owned),
            status: status.to_owned(),
            in_doubt: false,
            has_callback: false,
            labels: BTreeMap::new(),
        }
    }

    fn start(arn: &str, token: &str, key: &str) -> ExportSummary {
        ExportSummary {
            arn: arn.to_owned(),
            client_token: token.to_owned(),
            status: "COMPLETED".to_owned(),
            started_at: OffsetDateTime::UNIX_EPOCH,
            ends_at: OffsetDateTime::UNIX_EPOCH,
            failure_code: None,
            manifest_key: Some(format!("{key}/AWSDynamoDB/x/manifest-summary.json")),
        }
    }

    fn figures(records: &[Record], simulated: &[ExportSummary]) -> Vec<&'static str> {
        judge(records, simulated)
            .iter()
            .map(|violation| violation.figure)
            .collect()
    }

    #[test]
    fn one_start_for_one_record_is_right() {
        let records = [
            record("1", Some("a"), "COMPLETED"),
            record("2", None, "CANCELLED"),
        ];
        assert!(figures(&records, &[start("a", "token-1", "key-1")]).is_empty());
    }

    #[test]
    fn each_flaw_is_seen() {
        let one = [record("1", Some("a"), "COMPLETED")];
        let good = start("a", "token-1", "key-1");
        assert_eq!(
            figures(&one, &[good.clone(), start("b", "other", "key-1")]),
            ["started twice"]
        );
        assert_eq!(
            figures(&one, &[good.clone(), start("b", "other", "other")]),
            ["starts without a record"]
        );
        assert_eq!(
            figures(
                &[record("1", None, "CANCELLED")],
                std::slice::from_ref(&good)
            ),
            ["starts without a record"]
        );
        assert_eq!(figures(&one, &[]), ["wrong arn or outcome"]);
        assert_eq!(
            figures(
                &[record("1", Some("b"), "COMPLETED")],
                std::slice::from_ref(&good)
            ),
            ["wrong arn or outcome"]
        );
        assert_eq!(
            figures(&[record("1", Some("a"), "FAILED")], &[good]),
            ["wrong arn or outcome"]
        );
    }
}
