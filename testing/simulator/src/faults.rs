//! Fault rules: they make calls fail or change their responses, reproducibly for a given random
//! seed.

use serde::{Deserialize, Serialize};

use crate::dynamodb::ApiError;
use crate::world::Failure;

/// One rule: which calls it matches, what happens to them, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The operation's name, or `*` for all.
    #[serde(default = "every_operation")]
    pub operation: String,
    /// Only calls that name this table.
    #[serde(default)]
    pub table: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many calls the rule applies to; all if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// The probability that the rule applies to a call, 0 to 1; 1 if absent.
    #[serde(default)]
    pub probability: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// ThrottlingException instead of a response.
    Throttle,
    /// The call is handled after a delay.
    Delay {
        /// Real milliseconds.
        ms: u64,
    },
    /// InternalServerError, HTTP 500; the call is not handled.
    Error500,
    /// The call is handled, then the connection is closed without a response.
    DropAnswer,
    /// The call is neither handled nor answered.
    Hang,
    /// The next accepted export fails later, with this code and message.
    FailExport { code: String, message: String },
    /// AccessDeniedException; the call is not handled.
    AccessDenied,
    /// ExpiredTokenException; the call is not handled.
    ExpiredCredentials,
    /// The list is in a different, stable order. Only ListExports.
    ShuffleList,
    /// Every second export is missing from the list, the newest first. Only ListExports.
    HideFromList,
    /// Page tokens are rejected the way AWS rejects unknown ones. Only ListExports; a call without
    /// a token is answered.
    RefusePageToken,
}

impl Fault {
    /// A rule for every call of an operation.
    #[must_use]
    pub fn new(operation: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            operation: operation.into(),
            table: None,
            region: None,
            kind,
            times: None,
            probability: None,
        }
    }

    /// The same rule, for this number of calls only.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same rule for one table only.
    #[must_use]
    pub fn table(self, table: impl Into<String>) -> Self {
        Self {
            table: Some(table.into()),
            ..self
        }
    }

    /// The same rule for one region only.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        Self {
            region: Some(region.into()),
            ..self
        }
    }

    /// The same rule with a probability, 0 to 1.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self {
            probability: Some(probability),
            ..self
        }
    }

    fn is_about(&self, operation: &str, table: Option<&str>, region: &str) -> bool {
        (self.operation == "*" || self.operation == operation)
            && self
                .table
                .as_deref()
                .is_none_or(|wanted| table == Some(wanted))
            && self.region.as_deref().is_none_or(|wanted| region == wanted)
    }
}

fn every_operation() -> String {
    "*".to_owned()
}

/// What happens to one call.
#[derive(Debug, Default)]
pub(crate) struct Disturbance {
    pub(crate) delay_ms: Option<u64>,
    pub(crate) instead: Option<Instead>,
    pub(crate) drop_answer: bool,
    pub(crate) list: ListDisturbance,
}

/// What happens to a list.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ListDisturbance {
    pub(crate) shuffle: bool,
    pub(crate) hide: bool,
    pub(crate) refuse_page_token: bool,
}

/// What happens to a call instead of being handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    Throttle,
    Error500,
    AccessDenied,
    ExpiredCredentials,
    Hang,
}

impl Instead {
    /// The error to send. Unused for a call that hangs.
    pub(crate) fn error(self) -> ApiError {
        match self {
            Self::Throttle => ApiError::throttled(),
            Self::AccessDenied => ApiError::access_denied(),
            Self::ExpiredCredentials => ApiError::expired_token(),
            Self::Error500 | Self::Hang => ApiError::internal(),
        }
    }
}

impl Disturbance {
    /// The fault's name in the call log.
    pub(crate) fn name(&self) -> Option<String> {
        let mut parts = Vec::new();
        parts.extend(self.delay_ms.map(|ms| format!("delay {ms} ms")));
        parts.extend(self.instead.map(|instead| format!("{instead:?}")));
        parts.extend(self.drop_answer.then(|| "drop answer".to_owned()));
        let list = [
            (self.list.shuffle, "shuffle list"),
            (self.list.hide, "hide from list"),
            (self.list.refuse_page_token, "refuse page token"),
        ];
        parts.extend(
            list.into_iter()
                .filter(|(applies, _)| *applies)
                .map(|(_, name)| name.to_owned()),
        );
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<Fault>,
    random: fastrand::Rng,
}

impl Faults {
    pub(crate) fn new(random_seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            random: fastrand::Rng::with_seed(random_seed ^ 0xFA17),
        }
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn rules(&self) -> &[Fault] {
        &self.rules
    }

    /// The faults that apply to a call: every matching delay, and the first other matching rule.
    pub(crate) fn disturb(
        &mut self,
        operation: &str,
        table: Option<&str>,
        region: &str,
    ) -> Disturbance {
        let mut disturbance = Disturbance::default();
        let about = |rule: &Fault| {
            rule.is_about(operation, table, region)
                && !matches!(rule.kind, FaultKind::FailExport { .. })
        };
        for at in 0..self.rules.len() {
            let settled = disturbance.instead.is_some() || disturbance.drop_answer;
            let goes_with_others = matches!(
                self.rules[at].kind,
                FaultKind::Delay { .. }
                    | FaultKind::ShuffleList
                    | FaultKind::HideFromList
                    | FaultKind::RefusePageToken
            );
            if (settled && !goes_with_others) || !about(&self.rules[at]) || !self.strikes(at) {
                continue;
            }
            match self.rules[at].kind {
                FaultKind::Delay { ms } => {
                    disturbance.delay_ms =
                        Some(disturbance.delay_ms.unwrap_or(0).saturating_add(ms))
                }
                FaultKind::DropAnswer => disturbance.drop_answer = true,
                FaultKind::Throttle => disturbance.instead = Some(Instead::Throttle),
                FaultKind::Error500 => disturbance.instead = Some(Instead::Error500),
                FaultKind::AccessDenied => disturbance.instead = Some(Instead::AccessDenied),
                FaultKind::ExpiredCredentials => {
                    disturbance.instead = Some(Instead::ExpiredCredentials)
                }
                FaultKind::Hang => disturbance.instead = Some(Instead::Hang),
                FaultKind::ShuffleList => disturbance.list.shuffle = true,
                FaultKind::HideFromList => disturbance.list.hide = true,
                FaultKind::RefusePageToken => disturbance.list.refuse_page_token = true,
                FaultKind::FailExport { .. } => {}
            }
        }
        self.drop_spent();
        disturbance
    }

    /// How the export that is being accepted will fail, if a rule says so.
    pub(crate) fn next_export_failure(&mut self, table: &str, region: &str) -> Option<Failure> {
        let mut failure = None;
        for at in 0..self.rules.len() {
            let rule = &self.rules[at];
            if let FaultKind::FailExport { code, message } = &rule.kind
                && rule.is_about("ExportTableToPointInTime", Some(table), region)
            {
                let found = Failure {
                    code: code.clone(),
                    message: message.clone(),
                };
                if self.strikes(at) {
                    failure = Some(found);
                    break;
                }
            }
        }
        self.drop_spent();
        failure
    }

    fn strikes(&mut self, at: usize) -> bool {
        let rule = &mut self.rules[at];
        if rule.times == Some(0)
            || rule
                .probability
                .is_some_and(|chance| self.random.f64() >= chance)
        {
            return false;
        }
        rule.times = rule.times.map(|times| times - 1);
        true
    }

    fn drop_spent(&mut self) {
        self.rules.retain(|rule| rule.times != Some(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_used_up_in_order() {
        let mut faults = Faults::new(1);
        faults.add(Fault::new("DescribeExport", FaultKind::Throttle).times(1));
        faults.add(
            Fault::new("*", FaultKind::Error500)
                .times(1)
                .region("eu-west-1"),
        );
        assert_eq!(
            faults.disturb("DescribeExport", None, "us-east-1").instead,
            Some(Instead::Throttle)
        );
        assert_eq!(
            faults.disturb("DescribeExport", None, "us-east-1").instead,
            None
        );
        assert_eq!(
            faults.disturb("Scan", None, "eu-west-1").instead,
            Some(Instead::Error500)
        );
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn delays_add_up_beside_another_fault() {
        let mut faults = Faults::new(1);
        faults.add(Fault::new("*", FaultKind::Delay { ms: 5 }));
        faults.add(Fault::new("*", FaultKind::DropAnswer));
        faults.add(Fault::new("*", FaultKind::Delay { ms: 7 }));
        let disturbance = faults.disturb("Scan", None, "us-east-1");
        assert_eq!(
            (disturbance.delay_ms, disturbance.drop_answer),
            (Some(12), true)
        );
    }

    #[test]
    fn chances_repeat_with_the_seed() {
        let run = |seed| {
            let mut faults = Faults::new(seed);
            faults.add(Fault::new("*", FaultKind::Throttle).probability(0.5));
            (0..50)
                .map(|_| faults.disturb("Scan", None, "x").instead.is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert!(run(7).contains(&true) && run(7).contains(&false));
    }

    #[test]
    fn the_wire_form_is_flat() {
        let text = r#"{"operation":"Scan","kind":"delay","ms":20,"times":2}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(
            fault,
            Fault::new("Scan", FaultKind::Delay { ms: 20 }).times(2)
        );
        let text = r#"{"kind":"fail_export","code":"S3AccessDenied","message":"no"}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        assert_eq!(fault.operation, "*");
    }
}
