//! A DNS resolver whose responses the test decides, and may change between two queries.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use tableferry::webhooks::{LookUp, Names};

/// An address that looks public; nothing is ever sent to it.
const PUBLIC: &str = "93.184.216.34";

/// Planned responses for some names; every other name resolves to a public address.
#[derive(Debug, Default)]
pub struct TestNames {
    answers: Mutex<HashMap<&'static str, VecDeque<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
    others: Others,
}

/// The response for names without a planned one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Others {
    #[default]
    Public,
    Unknown,
    Hang,
}

impl TestNames {
    /// Resolves only the planned names.
    pub fn closed() -> Self {
        Self {
            others: Others::Unknown,
            ..Self::default()
        }
    }

    /// No look-up ever ends.
    pub fn hanging() -> Self {
        Self {
            others: Others::Hang,
            ..Self::default()
        }
    }

    /// Answers the queries for a name in this order; the last response is repeated. An empty list:
    /// the name does not exist.
    pub fn with(self, name: &'static str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect());
        self.answers.lock().unwrap().insert(name, answers.collect());
        self
    }

    /// Every name that was queried, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Names for TestNames {
    fn look_up(&self, name: String) -> LookUp {
        let found = match self.answers.lock().unwrap().get_mut(name.as_str()) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
            None if self.others == Others::Public => vec![PUBLIC.parse().unwrap()],
            None => Vec::new(),
        };
        self.asked.lock().unwrap().push(name);
        let hang = self.others == Others::Hang;
        Box::pin(async move {
            if hang {
                std::future::pending::<()>().await;
            }
            if found.is_empty() {
                Err(io::Error::other("no such name"))
            } else {
                Ok(found)
            }
        })
    }
}
