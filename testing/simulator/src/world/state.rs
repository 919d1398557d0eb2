//! The state of the simulated DynamoDB: tables, exports, client tokens, KMS keys and the external
//! ids of roles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::{Duration, OffsetDateTime};

use super::export::{Export, Finish};
use super::table::Table;
use crate::limits::Throttle;

/// How long a client token returns its first export.
const TOKEN_LIFE: Duration = Duration::hours(8);
/// How long AWS remembers an export after its end.
pub(crate) const EXPORT_LIFE: Duration = Duration::days(90);

/// The state, behind one lock. No code in here blocks.
#[derive(Debug)]
pub(crate) struct State {
    tables: BTreeMap<String, Table>,
    table_ids: HashMap<(String, String, String), String>,
    exports: BTreeMap<String, Export>,
    in_flight: BTreeSet<(OffsetDateTime, String)>,
    tokens: HashMap<(String, String, String), String>,
    pub(crate) kms_keys: BTreeSet<String>,
    /// The external id that is required to assume a role, by the role's ARN.
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) throttle: Throttle,
    /// Random values that are stored: ids of tables and exports, durations.
    pub(crate) random: fastrand::Rng,
    /// For request ids only, so that reads do not change other random values.
    pub(crate) request_ids: fastrand::Rng,
    random_seed: u64,
    /// How many times a simulator was started with this state file before.
    pub(super) restarts: u64,
}

impl State {
    pub(crate) fn new(random_seed: u64) -> Self {
        Self {
            tables: BTreeMap::new(),
            table_ids: HashMap::new(),
            exports: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            tokens: HashMap::new(),
            kms_keys: BTreeSet::new(),
            external_ids: BTreeMap::new(),
            throttle: Throttle::default(),
            random: fastrand::Rng::with_seed(random_seed),
            request_ids: fastrand::Rng::with_seed(!random_seed),
            random_seed,
            restarts: 0,
        }
    }

    /// Continues after this many restarts: with the same seed, but without drawing the same ids
    /// again.
    pub(super) fn restart(&mut self, restarts: u64) {
        self.restarts = restarts;
        self.random
            .seed(self.random_seed ^ restarts.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    pub(crate) fn table(&self, account: &str, region: &str, name: &str) -> Option<&Table> {
        self.tables
            .get(self.table_ids.get(&place(account, region, name))?)
    }

    pub(crate) fn table_mut(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
    ) -> Option<&mut Table> {
        self.tables
            .get_mut(self.table_ids.get(&place(account, region, name))?)
    }

    /// A table by its id, including deleted ones.
    pub(crate) fn table_by_id(&self, id: &str) -> Option<&Table> {
        self.tables.get(id)
    }

    pub(crate) fn add_table(&mut self, table: Table) {
        if !table.deleted {
            self.table_ids.insert(
                place(&table.account, &table.region, &table.name),
                table.id.clone(),
            );
        }
        self.tables.insert(table.id.clone(), table);
    }

    /// Deletes a table; its history is kept while an export needs it.
    pub(crate) fn delete_table(
        &mut self,
        account: &str,
        region: &str,
        name: &str,
    ) -> Option<Table> {
        let id = self.table_ids.remove(&place(account, region, name))?;
        let table = self.tables.get_mut(&id)?;
        table.deleted = true;
        let gone = table.clone();
        self.forget_unneeded_tables();
        Some(gone)
    }

    fn forget_unneeded_tables(&mut self) {
        let Self {
            tables,
            in_flight,
            exports,
            ..
        } = self;
        if !tables.values().any(|table| table.deleted) {
            return;
        }
        let needed: BTreeSet<&String> = in_flight
            .iter()
            .filter_map(|(_, arn)| exports.get(arn))
            .map(|export| &export.table_id)
            .collect();
        tables.retain(|id, table| !table.deleted || needed.contains(id));
    }

    pub(crate) fn exports(&self) -> impl DoubleEndedIterator<Item = &Export> {
        self.exports.values()
    }

    pub(crate) fn export(&self, arn: &str) -> Option<&Export> {
        self.exports.get(arn)
    }

    pub(crate) fn add_export(&mut self, export: Export) {
        if export.finish.is_none() {
            self.in_flight.insert((export.due_at, export.arn.clone()));
        }
        let key = place(&export.account, &export.region, &export.client_token);
        let older = self.tokens.get(&key).and_then(|arn| self.exports.get(arn));
        if older.is_none_or(|older| older.accepted_at <= export.accepted_at) {
            self.tokens.insert(key, export.arn.clone());
        }
        self.exports.insert(export.arn.clone(), export);
    }

    pub(crate) fn finish_export(&mut self, arn: &str, finish: Finish) {
        if let Some(export) = self.exports.get_mut(arn) {
            self.in_flight.remove(&(export.due_at, export.arn.clone()));
            export.finish = Some(finish);
        }
        self.forget_unneeded_tables();
    }

    /// The export that a client token refers to, while the token is valid.
    pub(crate) fn export_of_token(
        &self,
        account: &str,
        region: &str,
        token: &str,
        now: OffsetDateTime,
    ) -> Option<&Export> {
        let export = self
            .exports
            .get(self.tokens.get(&place(account, region, token))?)?;
        (now - export.accepted_at < TOKEN_LIFE).then_some(export)
    }

    /// Exports of an account and region that are in progress.
    pub(crate) fn in_flight_of(&self, account: &str, region: &str) -> usize {
        let exports = self
            .in_flight
            .iter()
            .filter_map(|(_, arn)| self.exports.get(arn));
        exports
            .filter(|export| export.account == account && export.region == region)
            .count()
    }

    /// Exports in progress that are due by `now`, the earliest first; all of them without a time.
    pub(crate) fn due(&self, now: Option<OffsetDateTime>) -> Vec<String> {
        let due = self
            .in_flight
            .iter()
            .take_while(|(due_at, _)| now.is_none_or(|now| *due_at <= now));
        due.map(|(_, arn)| arn.clone()).collect()
    }

    pub(crate) fn next_due(&self) -> Option<OffsetDateTime> {
        self.in_flight.first().map(|(due_at, _)| *due_at)
    }
}

fn place(account: &str, region: &str, name: &str) -> (String, String, String) {
    (account.to_owned(), region.to_owned(), name.to_owned())
}
