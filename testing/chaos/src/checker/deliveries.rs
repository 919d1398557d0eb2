//! Every end state of an export reached its callback and every endpoint whose filters match,
//! correctly signed, under one webhook-id each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::Record;
use crate::database::EventRow;
use crate::endpoints::{ENDS, Endpoint, Filter, time_of};
use crate::ledger::Violation;
use crate::receiver::{OWN, REQUEST_SECRET, Received, SERVICE_SECRET};
use crate::signature::Signed;
use crate::stage::Stage;

/// A receiver and what it got.
pub struct Recipient {
    pub name: String,
    /// The endpoint's filters; `None` is the receiver of callbacks.
    filter: Option<Filter>,
    /// When it was disabled: it never gets events of exports that were deleted then.
    leaves: bool,
    pub came: Vec<Webhook>,
}

/// One received webhook, parsed.
pub struct Webhook {
    webhook_id: String,
    event_type: String,
    export_id: String,
    body: axum::body::Bytes,
    /// Errors in its signatures.
    flaw: Option<&'static str>,
    pub was_answered: bool,
    /// It reports an event from the time when the receiver was disabled.
    came_while_away: bool,
}

pub fn recipients(stage: &Stage) -> Vec<Recipient> {
    let keys = &stage.public_keys;
    let callback = |one: Received| {
        let secret = if one.path.ends_with(OWN) {
            REQUEST_SECRET
        } else {
            SERVICE_SECRET
        };
        read(one, secret, keys)
    };
    let came = stage
        .callbacks
        .received()
        .into_iter()
        .chain(stage.probe_callbacks.received())
        .map(callback)
        .collect();
    let mut recipients = vec![Recipient {
        name: "callbacks".to_owned(),
        filter: None,
        leaves: false,
        came,
    }];
    for endpoint in stage.endpoints.iter() {
        let came = endpoint.receiver.received().into_iter().map(|one| {
            let while_away = is_while_away(endpoint, &one);
            Webhook {
                came_while_away: while_away,
                ..read(one, &endpoint.secret, keys)
            }
        });
        let name = endpoint.filter.name.to_owned();
        recipients.push(Recipient {
            name,
            filter: Some(endpoint.filter),
            leaves: endpoint.leaves(),
            came: came.collect(),
        });
    }
    recipients
}

fn read(one: Received, secret: &str, public_keys: &[String]) -> Webhook {
    let signed = Signed {
        id: &one.webhook_id,
        timestamp: &one.timestamp,
        signatures: &one.signatures,
        body: &one.body,
    };
    let flaw = match () {
        () if !signed.is_fresh(one.at) => Some("its id or time is missing, or its time is wrong"),
        () if !signed.is_of_secret(secret) => Some("no v1 signature matches the secret"),
        () if !signed.is_of_every_key(public_keys) => {
            Some("a v1a signature is missing for a public key")
        }
        () => None,
    };
    let event: Value = serde_json::from_slice(&one.body).unwrap_or_default();
    Webhook {
        webhook_id: one.webhook_id,
        event_type: event["type"].as_str().unwrap_or_default().to_owned(),
        export_id: event["data"]["export"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        body: one.body,
        flaw,
        was_answered: one.was_answered,
        came_while_away: false,
    }
}

fn is_while_away(endpoint: &Endpoint, one: &Received) -> bool {
    let away = endpoint.away();
    let event: Value = serde_json::from_slice(&one.body).unwrap_or_default();
    let (Some(from), Some(happened)) = (away.from, event["timestamp"].as_str().and_then(time_of))
    else {
        return false;
    };
    happened > from && away.until.is_none_or(|until| one.at < until)
}

impl Recipient {
    fn wants(&self, record: &Record, event_type: &str) -> bool {
        match &self.filter {
            None => record.has_callback && ENDS.contains(&event_type),
            Some(filter) => filter.wants(event_type, &record.labels),
        }
    }
}

/// All violations between the histories and what the receivers got.
pub fn judge(
    records: &[Record],
    histories: &BTreeMap<Uuid, Vec<EventRow>>,
    deleted: &[Record],
    recipients: &[Recipient],
) -> Vec<Violation> {
    recipients
        .iter()
        .flat_map(|recipient| judge_one(records, histories, deleted, recipient))
        .collect()
}

fn judge_one(
    records: &[Record],
    histories: &BTreeMap<Uuid, Vec<EventRow>>,
    deleted: &[Record],
    recipient: &Recipient,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let name = &recipient.name;
    let mut wrong = |figure, what: String, id: &str| {
        let export_id = (!id.is_empty()).then(|| id.to_owned());
        violations.push(Violation {
            figure,
            what: format!("{name}: {what}"),
            export_id,
        });
    };
    let mut expected: BTreeSet<(&str, String)> = BTreeSet::new();
    for record in records {
        let events = record
            .id
            .parse()
            .ok()
            .and_then(|id: Uuid| histories.get(&id))
            .map_or(&[][..], Vec::as_slice);
        let types = events.iter().map(|event| event.event_type.clone());
        expected.extend(
            types
                .filter(|kind| recipient.wants(record, kind))
                .map(|kind| (record.id.as_str(), kind)),
        );
    }
    // The history of a deleted record is gone: it may have timed out before it ended.
    let deleted: HashMap<&str, &Record> = deleted
        .iter()
        .map(|record| (record.id.as_str(), record))
        .collect();
    for record in deleted.values().filter(|_| !recipient.leaves) {
        let end = format!("export.{}", record.status.to_lowercase());
        if recipient.wants(record, &end) {
            expected.insert((record.id.as_str(), end));
        }
    }

    let mut came: BTreeMap<(&str, String), Vec<&Webhook>> = BTreeMap::new();
    for one in &recipient.came {
        if let Some(flaw) = one.flaw {
            wrong(
                "invalid signatures",
                format!("{} as {}: {flaw}", one.event_type, one.webhook_id),
                &one.export_id,
            );
        }
        if one.came_while_away {
            wrong(
                "sent while disabled",
                format!("{} as {}", one.event_type, one.webhook_id),
                &one.export_id,
            );
        }
        came.entry((one.export_id.as_str(), one.event_type.clone()))
            .or_default()
            .push(one);
    }
    for (id, event_type) in &expected {
        let came = came
            .get(&(*id, event_type.clone()))
            .map_or(&[][..], Vec::as_slice);
        if !came
            .iter()
            .any(|one| one.flaw.is_none() && one.was_answered)
        {
            wrong(
                "missing deliveries",
                format!(
                    "{event_type} arrived {} times, never valid and answered with 2xx",
                    came.len()
                ),
                id,
            );
        }
    }
    for ((id, event_type), came) in &came {
        let happened = match deleted.get(id) {
            Some(record) => recipient.wants(record, event_type),
            None => expected.contains(&(*id, event_type.clone())),
        };
        if !happened {
            wrong(
                "unexpected deliveries",
                format!("{event_type} arrived, but did not happen or does not match the filters"),
                id,
            );
        }
        if came
            .iter()
            .any(|one| one.webhook_id != came[0].webhook_id || one.body != came[0].body)
        {
            let ids: BTreeSet<&str> = came.iter().map(|one| one.webhook_id.as_str()).collect();
            wrong(
                "unexpected deliveries",
                format!("{event_type} arrived with different bodies or ids: {ids:?}"),
                id,
            );
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b";

    fn record() -> Record {
        let (id, status) = (ID.to_owned(), "COMPLETED".to_owned());
        Record {
            id,
            key: String::new(),
            token: None,
            arn: None,
            status,
            in_doubt: false,
            has_callback: true,
            labels: BTreeMap::new(),
        }
    }

    fn webhook(webhook_id: &str, event_type: &str) -> Webhook {
        Webhook {
            webhook_id: webhook_id.to_owned(),
            event_type: event_type.to_owned(),
            export_id: ID.to_owned(),
            body: "{}".into(),
            flaw: None,
            was_answered: true,
            came_while_away: false,
        }
    }

    fn figures(came: Vec<Webhook>) -> Vec<&'static str> {
        let event = |sequence, event_type: &str| EventRow {
            export_id: ID.parse().unwrap(),
            sequence,
            event_type: event_type.to_owned(),
            export_status: String::new(),
        };
        let events = vec![
            event(1, "export.created"),
            event(2, "export.started"),
            event(3, "export.completed"),
        ];
        let histories = BTreeMap::from([(ID.parse().unwrap(), events)]);
        let recipient = Recipient {
            name: "callbacks".to_owned(),
            filter: None,
            leaves: false,
            came,
        };
        judge(&[record()], &histories, &[], &[recipient])
            .iter()
            .map(|violation| violation.figure)
            .collect()
    }

    #[test]
    fn an_end_that_came_twice_under_one_id_is_right() {
        let refused = Webhook {
            was_answered: false,
            ..webhook("a", "export.completed")
        };
        assert!(figures(vec![refused, webhook("a", "export.completed")]).is_empty());
    }

    #[test]
    fn each_flaw_is_seen() {
        let good = || webhook("a", "export.completed");
        assert_eq!(figures(vec![]), ["missing deliveries"]);
        assert_eq!(
            figures(vec![Webhook {
                was_answered: false,
                ..good()
            }]),
            ["missing deliveries"]
        );
        assert_eq!(
            figures(vec![
                good(),
                Webhook {
                    flaw: Some("no signature"),
                    ..good()
                }
            ]),
            ["invalid signatures"]
        );
        assert_eq!(
            figures(vec![
                good(),
                Webhook {
                    came_while_away: true,
                    ..good()
                }
            ]),
            ["sent while disabled"]
        );
        assert_eq!(
            figures(vec![good(), webhook("b", "export.completed")]),
            ["unexpected deliveries"]
        );
        assert_eq!(
            figures(vec![
                good(),
                Webhook {
                    body: "other".into(),
                    ..good()
                }
            ]),
            ["unexpected deliveries"]
        );
        assert_eq!(
            figures(vec![good(), webhook("b", "export.failed")]),
            ["unexpected deliveries"]
        );
        // The event happened, but callbacks are only sent for ends.
        assert_eq!(
            figures(vec![good(), webhook("b", "export.started")]),
            ["unexpected deliveries"]
        );
    }

    #[test]
    fn what_was_deleted_still_has_to_come() {
        let recipient = |leaves, came| Recipient {
            name: "callbacks".to_owned(),
            filter: None,
            leaves,
            came,
        };
        let judged =
            |recipient: Recipient| judge(&[], &BTreeMap::new(), &[record()], &[recipient]).len();
        assert_eq!(judged(recipient(false, vec![])), 1);
        assert_eq!(
            judged(recipient(false, vec![webhook("a", "export.completed")])),
            0
        );
        assert_eq!(judged(recipient(true, vec![])), 0);
    }
}
