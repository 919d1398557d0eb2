//! Compares the contents of the store with those of its model.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tableferry::domain::export::event::EventKind;
use tableferry::domain::ids::ExportId;
use tableferry::domain::timestamp::Timestamp;
use time::OffsetDateTime;

use super::Pair;
use super::model_store::Scheduled;

impl Pair {
    /// The full contents of both.
    pub(super) async fn compare(&self, after: &str) {
        for (id, export) in &self.model.exports {
            assert_eq!(
                self.store.find(*id).await.unwrap().as_ref(),
                Some(export),
                "the export, after {after}"
            );
        }
        assert_eq!(
            self.schedule().await,
            self.model.schedule,
            "the schedule, after {after}"
        );
        let events = self.pairs("SELECT export_id, sequence || ' ' || type FROM export_events ORDER BY export_id, sequence").await;
        let in_words = |events: &Vec<(i32, EventKind)>| {
            events
                .iter()
                .map(|(sequence, kind)| format!("{sequence} {}", kind.as_str()))
                .collect()
        };
        assert_eq!(
            events,
            self.model
                .events
                .iter()
                .map(|(id, events)| (*id, in_words(events)))
                .collect(),
            "the events, after {after}"
        );
        // Deliveries that were sent outlive the export.
        let known = "SELECT export_id, event_type FROM webhook_deliveries WHERE endpoint_id IS NULL AND export_id IN (SELECT id FROM exports) ORDER BY created_at, id";
        let mut deliveries: BTreeMap<ExportId, Vec<String>> = self
            .model
            .deliveries
            .iter()
            .map(|(id, events)| (*id, events.iter().map(|kind| (*kind).to_owned()).collect()))
            .collect();
        deliveries.retain(|_, events| !events.is_empty());
        assert_eq!(
            self.pairs(known).await,
            deliveries,
            "the deliveries, after {after}"
        );
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM exports")
            .fetch_one(&self.sql)
            .await
            .unwrap();
        assert_eq!(
            usize::try_from(count).unwrap(),
            self.model.exports.len(),
            "the number of exports, after {after}"
        );
    }

    async fn pairs(&self, query: &'static str) -> BTreeMap<ExportId, Vec<String>> {
        let mut pairs: BTreeMap<ExportId, Vec<String>> = BTreeMap::new();
        for row in sqlx::raw_sql(AssertSqlSafe(query))
            .fetch_all(&self.sql)
            .await
            .unwrap()
        {
            pairs
                .entry(ExportId(row.get(0)))
                .or_default()
                .push(row.get(1));
        }
        pairs
    }

    async fn schedule(&self) -> BTreeMap<ExportId, Scheduled> {
        let rows = sqlx::query("SELECT * FROM export_schedule")
            .fetch_all(&self.sql)
            .await
            .unwrap();
        let read = |row: &sqlx::postgres::PgRow| Scheduled {
            starting: row.get::<String, _>("phase") == "START",
            due_at: row.get::<OffsetDateTime, _>("due_at").into(),
            delay: Duration::from_millis(row.get::<i64, _>("delay_ms").unsigned_abs()),
            claims: row.get("claims"),
            failures: row.get::<i32, _>("failures").unsigned_abs(),
            start_sent_at: row
                .get::<Option<OffsetDateTime>, _>("start_sent_at")
                .map(Timestamp::from),
            deadline_at: row.get::<OffsetDateTime, _>("deadline_at").into(),
            timed_out: row.get("timed_out"),
            told_waiting: row.get("told_waiting"),
        };
        rows.iter()
            .map(|row| (ExportId(row.get("export_id")), read(row)))
            .collect()
    }
}
