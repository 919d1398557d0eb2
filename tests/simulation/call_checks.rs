//! Checks of each start just before it is sent to AWS.

use tableferry::domain::lifecycle::timing::AWS_CALL_TIMEOUT;

use super::invariants::{Verdict, name};
use super::model_aws::{Call, request_no};
use super::model_worker::Step;
use super::rules::OLDEST_SENT_TOKEN;
use super::world::World;

impl World {
    /// An export that has ended is not started any more, unless its client deleted it while a start
    /// was in flight.
    pub(super) fn check_start(&self, call: &Call) -> Verdict {
        let Call::Start(request, _) = call else {
            return Ok(());
        };
        let started = self
            .store
            .keys
            .get(&request_no(request))
            .and_then(|id| self.store.exports.get(id));
        match started {
            Some(export) if export.status().is_end() => Err(format!(
                "{} is started at AWS after it had ended here",
                name(export.id)
            )),
            _ => Ok(()),
        }
    }

    /// Only a stored token is sent, and not when it is old.
    pub(super) fn check_token(&self, step: &Step, call: &Call) -> Verdict {
        let Call::Start(_, token) = call else {
            return Ok(());
        };
        let id = step.claimed.export.id;
        let tableferry::domain::export::Origin::Created {
            client_token,
            token_made_at,
        } = &step.claimed.export.origin
        else {
            return Err(format!("{} was adopted, but is started", name(id)));
        };
        // If this rule is broken on purpose, the count of starts at AWS must reveal it.
        if self.rules.keeps_token && client_token != token {
            return Err(format!(
                "{} is started with a token that was not stored before",
                name(id)
            ));
        }
        let age = self.now.since(*token_made_at);
        if age > OLDEST_SENT_TOKEN {
            return Err(format!(
                "{} is started with a token that is {} s old",
                name(id),
                age.as_secs()
            ));
        }
        Ok(())
    }

    /// While AWS may still carry out a start, no other worker works on its export (the first
    /// inequality in `crates/domain/src/lifecycle/timing.rs`).
    pub(super) fn check_lease(&self, step: &Step, call: &Call) -> Verdict {
        let carried_out_by = self.now.plus(AWS_CALL_TIMEOUT);
        if matches!(call, Call::Start(..))
            && self
                .store
                .may_be_claimed_before(&step.ticket, carried_out_by)
        {
            return Err(format!(
                "{} is started when its lease has ended or is about to",
                name(step.claimed.export.id)
            ));
        }
        Ok(())
    }
}
