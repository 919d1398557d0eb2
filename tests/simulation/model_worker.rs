//! A model of a worker's step, as `export_worker.rs`, `export_step.rs` and `export_search.rs` in
//! `src/worker` take it, split into parts so that anything can happen between any two of them.
//!
//! ```text
//! claim sent ─ claim committed ─ exports read ─ decided, call sent ─ call done at AWS ─ answer heard ─ result committed
//! ```
//!
//! The decisions are not modelled: `tableferry::domain::lifecycle::step` is called itself. Other
//! assumptions are in `rules`. The check of the send window and the sending of the call are one
//! part: a process that is stopped exactly between the two for longer than the rest of the lease
//! would send late, which no code on this side of AWS can prevent. In the service a poll may be
//! answered by a page of ListExports; here it is always a DescribeExport.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tableferry::domain::aws::arn::{ExportArn, TableArn};
use tableferry::domain::aws::description::ExportDescription;
use tableferry::domain::aws::failure::{AwsFailure, FailureClass};
use tableferry::domain::ids::ClientToken;
use tableferry::domain::lifecycle::doubt::after_search;
use tableferry::domain::lifecycle::outcome::{Claimed, Decision, NextPoll, Outcome, StepContext};
use tableferry::domain::lifecycle::step::{after_describe, after_start, decide};
use tableferry::domain::lifecycle::timing::{
    SEARCH_PAUSE, SEARCH_PAUSE_SPREAD, SEARCH_RESTARTS, SEARCH_SKEW, SEARCH_THROTTLES,
};
use tableferry::domain::timestamp::Timestamp;

use super::model_aws::{Answer, Call, Said};
use super::model_store::Ticket;
use super::rules::Rules;

#[derive(Debug)]
pub struct Worker {
    /// Incremented when it is killed: the steps of an earlier life are lost.
    pub life: u32,
    /// It does nothing before this time.
    pub paused_until: Timestamp,
    /// How far its clock is ahead, in seconds.
    pub clock_ahead_s: i64,
    /// When it will claim work next, if that is scheduled.
    pub looks_at: Option<Timestamp>,
    /// Distinguishes the scheduled claim from earlier ones.
    pub look_no: u64,
}

impl Worker {
    /// The time by this worker's clock.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        let off = Duration::from_secs(self.clock_ahead_s.unsigned_abs());
        if self.clock_ahead_s < 0 {
            now.minus(off)
        } else {
            now.plus(off)
        }
    }
}

/// A step in progress.
#[derive(Debug)]
pub struct Step {
    pub worker: usize,
    /// The life in which the worker claimed.
    pub life: u32,
    /// When the claim was sent, by the worker's monotonic clock.
    pub claim_sent_at: Timestamp,
    /// When the last call was sent.
    pub call_sent_at: Timestamp,
    /// What the claim returned.
    pub ticket: Ticket,
    pub claimed: Claimed,
    /// Used if a new token is needed.
    pub fresh_token: ClientToken,
    pub waits: Waits,
}

/// The response that a step waits for.
#[derive(Debug)]
pub enum Waits {
    Nothing,
    Started(ClientToken),
    /// To a poll.
    Described,
    /// To a call of a search.
    Searched(Box<Search>),
}

/// A search for the export with a client token.
#[derive(Debug)]
pub struct Search {
    call: Call,
    throttled: u32,
    token: ClientToken,
    account: bool,
    refusal: Option<AwsFailure>,
    candidates: VecDeque<String>,
    described: BTreeSet<String>,
    not_described: Option<AwsFailure>,
    next_page: Option<String>,
    restarts: u32,
}

#[derive(Debug)]
pub enum Next {
    Send(Call),
    /// After a pause it renews its lease, then sends a call.
    RenewAndSend(Duration, Call),
    Record(Box<Outcome>),
    /// It releases the export without a call.
    HandBack(Duration),
    Nothing,
}

impl Step {
    /// Decides what to send or write.
    pub fn act(&mut self, now: Timestamp, context: &StepContext, rules: &Rules) -> Next {
        match decide(&self.claimed, &self.fresh_token, context) {
            Decision::Write(outcome) => Next::Record(outcome),
            Decision::Describe(_) if self.ticket.overdue => Next::Nothing,
            Decision::Describe(arn) => {
                self.waits = Waits::Described;
                Next::Send(Call::Describe(arn))
            }
            // An export that was claimed because it is overdue is written without a call, or left
            // alone.
            _ if self.ticket.overdue => Next::Nothing,
            Decision::FindByToken(token) => self.search(token, None, rules),
            Decision::Start(_)
                if rules
                    .start_margin
                    .is_some_and(|margin| now.since(self.claim_sent_at) > margin) =>
            {
                Next::HandBack(Duration::ZERO)
            }
            Decision::Start(token) => {
                let token = if rules.keeps_token {
                    token
                } else {
                    self.fresh_token.clone()
                };
                self.waits = Waits::Started(token.clone());
                Next::Send(Call::Start(
                    Box::new(self.claimed.export.request.clone()),
                    token,
                ))
            }
        }
    }

    /// Handles a response and decides what to send or write. `is_known` says whether a stored
    /// export has an ARN.
    pub fn hear(
        &mut self,
        answer: Answer,
        context: &StepContext,
        is_known: impl Fn(&str) -> bool,
        rules: &Rules,
    ) -> Next {
        let outcome = match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Nothing => unreachable!("a response arrived for a step that waits for none"),
            Waits::Described => after_describe(&self.claimed, described(answer), context),
            Waits::Started(token) => match described(answer) {
                Err(refusal) if self.claimed.in_doubt && refusal.class == FailureClass::Refused => {
                    return self.search(token, Some(refusal), rules);
                }
                answer => after_start(&self.claimed, answer, context),
            },
            Waits::Searched(search) => {
                return self.search_on(*search, answer, context, is_known, rules);
            }
        };
        Next::Record(Box::new(waited(outcome, rules)))
    }

    fn search(&mut self, token: ClientToken, refusal: Option<AwsFailure>, rules: &Rules) -> Next {
        let call = Call::List(Some(self.table()), None);
        let search = Search {
            call,
            throttled: 0,
            token,
            account: false,
            refusal,
            candidates: VecDeque::new(),
            described: BTreeSet::new(),
            not_described: None,
            next_page: None,
            restarts: 0,
        };
        self.send_for(search, Duration::ZERO, rules)
    }

    fn send_for(&mut self, search: Search, pause: Duration, rules: &Rules) -> Next {
        let call = search.call.clone();
        self.waits = Waits::Searched(Box::new(search));
        if rules.search_renews_lease {
            Next::RenewAndSend(pause, call)
        } else {
            Next::Send(call)
        }
    }

    /// Pages of ListExports and a DescribeExport for each candidate: first of the table, then of
    /// the account.
    fn search_on(
        &mut self,
        mut search: Search,
        answer: Answer,
        context: &StepContext,
        is_known: impl Fn(&str) -> bool,
        rules: &Rules,
    ) -> Next {
        let is_later_page = matches!(search.call, Call::List(_, Some(_)));
        let found =
            match answer {
                Ok(Said::Page(arns, next)) => {
                    let oldest = self
                        .claimed
                        .export
                        .origin
                        .token_made_at()
                        .unwrap_or(self.claimed.export.created_at)
                        .minus(SEARCH_SKEW);
                    let of_table = format!("{}/export/", self.table().as_str());
                    let young = arns.into_iter().filter(|(arn, began_at)| {
                        arn.starts_with(&of_table) && *began_at >= oldest
                    });
                    let new = young
                        .map(|(arn, _)| arn)
                        .filter(|arn| search.described.insert(arn.clone()) && !is_known(arn));
                    search.candidates = new.collect();
                    search.next_page = next;
                    Ok(None)
                }
                Ok(Said::Export(export)) => Ok(Some(*export)
                    .filter(|export| export.client_token.as_ref() == Some(&search.token))),
                Err(failure)
                    if failure.class == FailureClass::Throttled
                        && search.throttled < SEARCH_THROTTLES =>
                {
                    search.throttled += 1;
                    return self.send_for(
                        search,
                        context.jitter.spread(SEARCH_PAUSE, SEARCH_PAUSE_SPREAD),
                        rules,
                    );
                }
                Err(failure)
                    if is_later_page
                        && failure.class == FailureClass::Refused
                        && search.restarts < SEARCH_RESTARTS =>
                {
                    search.restarts += 1;
                    search.call = Call::List((!search.account).then(|| self.table()), None);
                    return self.send_for(search, Duration::ZERO, rules);
                }
                Err(failure)
                    if matches!(
                        failure.class,
                        FailureClass::Unknown | FailureClass::Throttled
                    ) =>
                {
                    Err(failure)
                }
                Err(failure) if matches!(search.call, Call::Describe(_)) => {
                    search.not_described = Some(failure);
                    Ok(None)
                }
                Err(_) if !search.account => {
                    (search.candidates, search.next_page) = (VecDeque::new(), None);
                    Ok(None)
                }
                Err(failure) => Err(failure),
            };
        if matches!(found, Ok(None)) {
            search.throttled = 0;
            let scope = (!search.account).then(|| self.table());
            let call = if let Some(arn) = search.candidates.pop_front() {
                Some(Call::Describe(ExportArn::from_trusted(arn)))
            } else if let Some(page) = search.next_page.take() {
                Some(Call::List(scope, Some(page)))
            } else if rules.search_account && !search.account {
                (search.account, search.restarts, search.not_described) = (true, 0, None);
                search.described.clear();
                Some(Call::List(None, None))
            } else {
                None
            };
            if let Some(call) = call {
                search.call = call;
                return self.send_for(search, Duration::ZERO, rules);
            }
            if rules.search_proves_absence {
                let certain = Claimed {
                    in_doubt: false,
                    ..self.claimed.clone()
                };
                if let Decision::Write(outcome) = decide(&certain, &self.fresh_token, context) {
                    return Next::Record(outcome);
                }
            }
        }
        let found = found.and_then(|found| match search.not_described {
            Some(failure) if found.is_none() => Err(failure),
            _ => Ok(found),
        });
        Next::Record(Box::new(after_search(
            &self.claimed,
            found,
            search.refusal,
            context,
        )))
    }

    fn table(&self) -> TableArn {
        self.claimed.export.request.table_arn.clone()
    }
}

fn described(answer: Answer) -> Result<ExportDescription, AwsFailure> {
    match answer? {
        Said::Export(export) => Ok(*export),
        Said::Page(..) => unreachable!("a page arrived as the response to a start or a poll"),
    }
}

/// The outcome; without the wait after doubt if that rule is broken.
fn waited(mut outcome: Outcome, rules: &Rules) -> Outcome {
    if let NextPoll::After {
        delay,
        in_doubt: true,
        ..
    } = &mut outcome.next
        && !rules.waits_after_doubt
    {
        *delay = (*delay).min(Duration::from_secs(1));
    }
    outcome
}
