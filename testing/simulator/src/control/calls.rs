//! The call log: who called which operation when, and the outcome. It is bounded; the oldest calls
//! are dropped.

use std::collections::VecDeque;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::caller::Caller;
use crate::dynamodb::table_of;
use crate::world::World;

const MAX_CALLS: usize = 20_000;

/// One call of the DynamoDB endpoint.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The simulator's time when the call arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub operation: String,
    pub region: String,
    pub account: String,
    /// The table that the call names.
    pub table: Option<String>,
    pub client_token: Option<String>,
    /// The export that the call names.
    pub export_arn: Option<String>,
    /// `OK`, the error code, or `Hang`.
    pub outcome: String,
    /// Whether the call was handled without an error, even if the response was dropped.
    pub accepted: bool,
    /// The fault that was applied to the call.
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

#[derive(Debug, Default)]
pub(crate) struct CallLog(VecDeque<Call>);

impl CallLog {
    fn add(&mut self, call: Call) {
        if self.0.len() == MAX_CALLS {
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
