//! The log of calls: who asked what when, and what came of it. The oldest calls fall out.

use std::collections::VecDeque;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::caller::Caller;
use crate::dynamodb::table_of;
use crate::world::World;

const MOST_CALLS: usize = 20_000;

/// One call of the DynamoDB side.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The simulator's time when it came in.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The operation's name.
    pub operation: String,
    /// The caller's region.
    pub region: String,
    /// The caller's account.
    pub account: String,
    /// The table it was about.
    pub table: Option<String>,
    /// Its ClientToken.
    pub client_token: Option<String>,
    /// The export it named.
    pub export_arn: Option<String>,
    /// `OK`, the error's code, or `Hang`.
    pub outcome: String,
    /// Whether it was handled without error, even if its answer was dropped.
    pub accepted: bool,
    /// The fault that met it.
    pub fault: Option<String>,
}

impl Call {
    pub(crate) fn begin(
        world: &World,
        caller: &Caller,
        operation: &str,
        input: Option<&Map<String, Value>>,
    ) -> Self {
        let text = |member: &str| input?.get(member)?.as_str().map(str::to_owned);
        Self {
            at: world.clock.now(),
            operation: operation.to_owned(),
            region: caller.region.clone(),
            account: caller.account.clone(),
            table: input.and_then(table_of),
            client_token: text("ClientToken"),
            export_arn: text("ExportArn"),
            outcome: String::new(),
            accepted: false,
            fault: None,
        }
    }

    pub(crate) fn end(&mut self, world: &World, outcome: &str, accepted: bool) {
        outcome.clone_into(&mut self.outcome);
        self.accepted = accepted;
        world
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(self.clone());
    }
}

/// The latest calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog(VecDeque<Call>);

impl CallLog {
    fn add(&mut self, call: Call) {
        if self.0.len() == MOST_CALLS {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
