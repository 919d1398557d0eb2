//! A model of AWS's export calls: quotas, throttling, client tokens and failures, as documented by
//! AWS.

use std::collections::BTreeMap;
use std::time::Duration;

use tableferry::domain::aws::arn::{ExportArn, TableArn};
use tableferry::domain::aws::description::{
    DescribedRequest, DescribedStatus, ExportDescription, Written,
};
use tableferry::domain::aws::failure::{AwsFailure, FailureClass};
use tableferry::domain::export::request::ExportRequest;
use tableferry::domain::ids::ClientToken;
use tableferry::domain::lifecycle::timing::{AWS_MEMORY, AWS_TOKEN_LIFE};
use tableferry::domain::timestamp::Timestamp;

use super::dice::Dice;
use super::faults::AwsFault;

/// The number of exports on a page of ListExports here (AWS: 25).
const PAGE: usize = 2;

#[derive(Debug, Clone)]
pub enum Call {
    /// ExportTableToPointInTime.
    Start(Box<ExportRequest>, ClientToken),
    /// DescribeExport.
    Describe(ExportArn),
    /// ListExports: of a table or of the account, with this page token.
    List(Option<TableArn>, Option<String>),
}

#[derive(Debug, Clone)]
pub enum Said {
    /// The response to a start or a poll.
    Export(Box<ExportDescription>),
    /// A page of ARNs with their start times, in any order, and the token of the next page.
    Page(Vec<(String, Timestamp)>, Option<String>),
}

/// A response, or why there is none.
pub type Answer = Result<Said, AwsFailure>;

/// A table. Exports of an earlier table with the same name are not listed under it.
#[derive(Debug, Clone)]
pub struct Table {
    pub arn: TableArn,
    pub exists: bool,
    /// Point-in-time recovery is enabled.
    pub recovery: bool,
    generation: u32,
}

#[derive(Debug, Clone)]
pub struct AwsExport {
    pub arn: ExportArn,
    /// The client request that it belongs to.
    pub request_no: u32,
    pub began_at: Timestamp,
    pub ends_at: Timestamp,
    /// Its outcome: COMPLETED, otherwise FAILED.
    pub ends_well: bool,
    token: ClientToken,
    request: ExportRequest,
    generation: u32,
}

impl AwsExport {
    pub fn is_remembered(&self, now: Timestamp) -> bool {
        now.since(self.began_at) < AWS_MEMORY
    }

    fn describe(&self, now: Timestamp) -> ExportDescription {
        let status = match (now >= self.ends_at, self.ends_well) {
            (false, _) => DescribedStatus::InProgress,
            (true, true) => DescribedStatus::Completed(Written {
                end_time: Some(self.ends_at),
                ..Written::default()
            }),
            (true, false) => DescribedStatus::Failed {
                end_time: Some(self.ends_at),
                code: "S3NoSuchBucket".to_owned(),
                message: "The specified bucket does not exist".to_owned(),
            },
        };
        ExportDescription {
            arn: self.arn.clone(),
            status,
            table_id: None,
            start_time: Some(self.began_at),
            export_time: Some(self.began_at),
            export_from_time: None,
            export_to_time: None,
            export_view_type: None,
            s3_sse_algorithm: Some("AES256".to_owned()),
            client_token: Some(self.token.clone()),
            request: DescribedRequest::default(),
        }
    }
}

/// AWS: one account in one region.
#[derive(Debug)]
pub struct ModelAws {
    pub tables: Vec<Table>,
    /// Every export that was ever accepted, oldest first.
    pub accepted: Vec<AwsExport>,
    /// The exports of each client request.
    pub accepted_by_request: BTreeMap<u32, u32>,
    /// Until when every call meets this fault.
    pub trouble: Option<(AwsFault, Timestamp)>,
    /// Lists are in an order that is derived from this seed; newest first without one.
    pub shuffled: Option<u64>,
    /// A client token was sent with changed parameters. The service must never do that.
    pub conflicts: u32,
}

impl ModelAws {
    pub fn with_tables(tables: Vec<TableArn>) -> Self {
        let table = |arn| Table {
            arn,
            exists: true,
            recovery: true,
            generation: 0,
        };
        let tables = tables.into_iter().map(table).collect();
        Self {
            tables,
            accepted: Vec::new(),
            accepted_by_request: BTreeMap::new(),
            trouble: None,
            shuffled: None,
            conflicts: 0,
        }
    }

    /// Deletes a table, or creates it again under the same name.
    pub fn delete_or_make_table(&mut self, index: usize) {
        let table = &mut self.tables[index];
        table.exists = !table.exists;
        table.generation += u32::from(table.exists);
    }

    /// Every table exists and can be exported, and no lasting fault is left.
    pub fn heal(&mut self) {
        self.trouble = None;
        for index in 0..self.tables.len() {
            self.tables[index].recovery = true;
            if !self.tables[index].exists {
                self.delete_or_make_table(index);
            }
        }
    }

    /// Handles one call, with this fault.
    pub fn answer(
        &mut self,
        call: &Call,
        fault: Option<AwsFault>,
        hidden: f64,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Answer {
        let lasting = self
            .trouble
            .filter(|(_, until)| now < *until)
            .map(|(fault, _)| fault);
        let (class, code) = match lasting.or(fault) {
            Some(AwsFault::Throttled) => (FailureClass::Throttled, "ThrottlingException"),
            Some(AwsFault::LimitExceeded) if matches!(call, Call::Start(..)) => {
                (FailureClass::LimitExceeded, "LimitExceededException")
            }
            Some(AwsFault::Denied) => (
                FailureClass::Denied,
                dice.pick(&["AccessDeniedException", "ExpiredTokenException"]),
            ),
            Some(AwsFault::ErrorBefore) => (FailureClass::Unknown, "InternalServerError"),
            Some(AwsFault::NotFound) if matches!(call, Call::Describe(_)) => {
                (FailureClass::ExportNotFound, "ExportNotFoundException")
            }
            Some(AwsFault::PageRefused) if matches!(call, Call::List(_, Some(_))) => {
                (FailureClass::Refused, "ValidationException")
            }
            Some(AwsFault::ErrorAfter) => {
                let _unheard = self.carry_out(call, hidden, now, dice);
                (FailureClass::Unknown, "InternalServerError")
            }
            _ => return self.carry_out(call, hidden, now, dice),
        };
        Err(failure(class, code))
    }

    fn carry_out(&mut self, call: &Call, hidden: f64, now: Timestamp, dice: &mut Dice) -> Answer {
        match call {
            Call::Start(request, token) => self.start(request, token, now, dice),
            Call::Describe(arn) => {
                let known = self
                    .accepted
                    .iter()
                    .find(|export| export.arn == *arn && export.is_remembered(now));
                let known = known.ok_or_else(|| {
                    failure(FailureClass::ExportNotFound, "ExportNotFoundException")
                })?;
                Ok(Said::Export(Box::new(known.describe(now))))
            }
            Call::List(table, page) => {
                Ok(self.list(table.as_ref(), page.as_deref(), hidden, now, dice))
            }
        }
    }

    /// A replay is rejected like a first call if the table is gone. A rejected call does not use up
    /// its token.
    fn start(
        &mut self,
        request: &ExportRequest,
        token: &ClientToken,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Answer {
        let refused = |code| Err(failure(FailureClass::Refused, code));
        let Some(table) = self
            .tables
            .iter()
            .find(|table| table.arn == request.table_arn && table.exists)
        else {
            return refused("TableNotFoundException");
        };
        if !table.recovery {
            return refused("PointInTimeRecoveryUnavailableException");
        }
        let honoured = |export: &&AwsExport| {
            export.token == *token && now.since(export.began_at) < AWS_TOKEN_LIFE
        };
        if let Some(first) = self.accepted.iter().find(honoured) {
            if first.request != *request {
                self.conflicts += 1;
                return refused("ExportConflictException");
            }
            return Ok(Said::Export(Box::new(first.describe(now))));
        }
        let request_no = request_no(request);
        let id = format!(
            "{:014}-{:08x}",
            now.unix_seconds() * 1000,
            self.accepted.len()
        );
        let export = AwsExport {
            arn: ExportArn::from_trusted(format!("{}/export/{id}", table.arn.as_str())),
            request_no,
            began_at: now,
            ends_at: now.plus(how_long(dice)),
            ends_well: dice.chance(0.7),
            token: token.clone(),
            request: request.clone(),
            generation: table.generation,
        };
        let description = export.describe(now);
        self.accepted.push(export);
        *self.accepted_by_request.entry(request_no).or_default() += 1;
        Ok(Said::Export(Box::new(description)))
    }

    /// A table that was deleted or created again lists none of its earlier exports. A page token is
    /// the last ARN of the previous page.
    fn list(
        &self,
        table: Option<&TableArn>,
        page: Option<&str>,
        hidden: f64,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Said {
        let shows = |export: &&AwsExport| {
            let listed = table.is_none_or(|arn| {
                let same =
                    |t: &&Table| t.arn == *arn && t.exists && t.generation == export.generation;
                export.request.table_arn == *arn && self.tables.iter().any(|t| same(&t))
            });
            listed && export.is_remembered(now)
        };
        let mut arns: Vec<_> = self
            .accepted
            .iter()
            .filter(shows)
            .map(|e| (e.arn.as_str().to_owned(), e.began_at))
            .collect();
        let place = |arn: &str| {
            self.shuffled
                .map(|seed| fastrand::Rng::with_seed(seed ^ number_of(arn)).u64(..))
        };
        arns.sort_by(|a, b| (place(&a.0), &b.0).cmp(&(place(&b.0), &a.0)));
        let from = page
            .and_then(|page| arns.iter().position(|(arn, _)| arn == page))
            .map_or(0, |last| last + 1);
        let more = arns.len() - from > PAGE;
        let mut page: Vec<_> = arns.into_iter().skip(from).take(PAGE).collect();
        let next = page.last().filter(|_| more).map(|(arn, _)| arn.clone());
        page.retain(|_| !dice.chance(hidden));
        Said::Page(page, next)
    }
}

pub fn call_in_words(call: &Call) -> String {
    match call {
        Call::Start(request, token) => format!(
            "start {} with token {}",
            request.table_arn.table_name(),
            short(token.as_str())
        ),
        Call::Describe(arn) => format!("describe …{}", tail(arn.as_str())),
        Call::List(Some(table), page) => format!(
            "list {} after {:?}",
            table.table_name(),
            page.as_deref().map(tail)
        ),
        Call::List(None, page) => format!("list the account after {:?}", page.as_deref().map(tail)),
    }
}

pub fn answer_in_words(answer: &Answer) -> String {
    match answer {
        Ok(Said::Export(export)) => {
            let status = match export.status {
                DescribedStatus::InProgress => "IN_PROGRESS",
                DescribedStatus::Completed(_) => "COMPLETED",
                DescribedStatus::Failed { .. } => "FAILED",
            };
            let token = export
                .client_token
                .as_ref()
                .map_or("?", |token| short(token.as_str()));
            format!(
                "…{} of token {token} is {status}",
                tail(export.arn.as_str())
            )
        }
        Ok(Said::Page(arns, more)) => {
            format!("page of {} exports, more: {}", arns.len(), more.is_some())
        }
        Err(failure) => format!("{} ({})", failure.code, failure.class.as_str()),
    }
}

fn short(token: &str) -> &str {
    token.get(..8).unwrap_or(token)
}

/// The number at the end of an ARN, which counts the exports that AWS accepted.
fn number_of(arn: &str) -> u64 {
    u64::from_str_radix(tail(arn), 16).expect("ARNs of the simulation end in a number")
}

fn tail(arn: &str) -> &str {
    arn.rsplit('-').next().unwrap_or(arn)
}

/// The client's number of a request, which the simulation keeps in its prefix.
pub fn request_no(request: &ExportRequest) -> u32 {
    let prefix = request
        .destination
        .prefix
        .as_ref()
        .expect("every request of the simulation has a prefix");
    prefix.as_str().parse().expect("which is its number")
}

/// The duration of an export: usually minutes, sometimes days, rarely longer than AWS remembers.
fn how_long(dice: &mut Dice) -> Duration {
    match dice.below(20) {
        0 => dice.any_scale(3600.0, 30.0 * 3600.0),
        1 => dice.any_scale(30.0 * 3600.0, 80.0 * 24.0 * 3600.0),
        2 if dice.chance(0.2) => AWS_MEMORY * 2,
        _ => dice.any_scale(1.0, 3600.0),
    }
}

pub fn failure(class: FailureClass, code: &str) -> AwsFailure {
    AwsFailure {
        class,
        code: code.to_owned(),
        message: "the simulation's".to_owned(),
    }
}
