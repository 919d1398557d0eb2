//! A whole FilterSpecification: its expressions with the placeholders they share.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::key_condition::{KeyCondition, KeySchema};
use crate::parser::{parse_condition, parse_projection};
use crate::problem::{ExpressionKind, Fault, Place, Problem};
use crate::projection::Projection;
use crate::resolve::{Placeholders, Resolver};
use crate::resolved::Test;
use crate::size::attribute_bytes;
use crate::value::{NotAValue, Value, attributes};
use crate::{MAX_PLACEHOLDER_BYTES, MAX_SUBSTITUTION_BYTES};

/// A FilterSpecification as a caller gives it.
#[derive(Debug, Clone, Default)]
pub struct Given<'a> {
    /// Which items are kept.
    pub filter: Option<&'a str>,
    /// Which of their attributes are written.
    pub projection: Option<&'a str>,
    /// Which items are read.
    pub key_condition: Option<&'a str>,
    /// Attribute names by placeholder.
    pub names: BTreeMap<&'a str, &'a str>,
    /// Values in DynamoDB JSON by placeholder.
    pub values: BTreeMap<&'a str, &'a Json>,
}

/// A FilterSpecification that breaks none of AWS's rules that can be told without the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specification {
    key_condition: Option<KeyCondition>,
    filter: Option<Filter>,
    projection: Option<Projection>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    test: Test,
    /// The attributes of the item that it names.
    heads: BTreeSet<String>,
}

/// Whether a text is a placeholder that begins with `mark`: letters, digits and `_` follow.
#[must_use]
pub fn is_placeholder(mark: char, text: &str) -> bool {
    let word = text.strip_prefix(mark).unwrap_or_default();
    !word.is_empty()
        && text.len() <= MAX_PLACEHOLDER_BYTES
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Given<'_> {
    /// Checks everything that can be told without the table.
    ///
    /// # Errors
    /// Everything that AWS refuses, what AWS names first in front.
    pub fn check(&self) -> Result<Specification, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |place, problem| faults.push(Fault { place, problem });
        if self.filter.is_none() && self.projection.is_none() && self.key_condition.is_none() {
            fault(Place::Whole, Problem::NoExpression);
        }
        for name in self.names.keys().filter(|name| !is_placeholder('#', name)) {
            fault(
                Place::Name((*name).to_owned()),
                Problem::PlaceholderForm((*name).to_owned()),
            );
        }
        for name in self.values.keys().filter(|name| !is_placeholder(':', name)) {
            fault(
                Place::Value((*name).to_owned()),
                Problem::PlaceholderForm((*name).to_owned()),
            );
        }
        let bytes = self.substitution_bytes();
        if bytes > MAX_SUBSTITUTION_BYTES {
            fault(Place::Whole, Problem::SubstitutionsTooLong(bytes));
        }
        let mut values = BTreeMap::new();
        for (name, json) in &self.values {
            let value = Value::from_json(json);
            if let Err(why) = value {
                fault(Place::Value((*name).to_owned()), Problem::NotAValue(why));
            }
            values.insert(*name, value.ok());
        }
        let mut reading = Reading {
            placeholders: &Placeholders {
                names: &self.names,
                values: &values,
            },
            faults,
            used: BTreeSet::new(),
            all_parsed: true,
        };
        let key_condition = self
            .key_condition
            .and_then(|text| reading.key_condition(text));
        let filter = self.filter.and_then(|text| reading.filter(text));
        let projection = self.projection.and_then(|text| reading.projection(text));
        if reading.all_parsed {
            reading.unused(self);
        }
        let specification = Specification {
            key_condition,
            filter,
            projection,
        };
        let mut faults = reading.faults;
        // Whatever a key condition names is a key attribute, or the key condition itself is
        // refused.
        let keys = specification
            .key_condition
            .iter()
            .flat_map(KeyCondition::attributes);
        faults.extend(specification.filter_names(keys));
        if faults.is_empty() {
            Ok(specification)
        } else {
            Err(faults)
        }
    }

    fn substitution_bytes(&self) -> u64 {
        let names = self
            .names
            .values()
            .map(|name| u64::try_from(name.len()).unwrap_or(u64::MAX));
        names
            .chain(self.values.values().map(|value| attribute_bytes(value)))
            .fold(0, u64::saturating_add)
    }
}

/// What one expression after the other comes to.
struct Reading<'a> {
    placeholders: &'a Placeholders<'a>,
    faults: Vec<Fault>,
    used: BTreeSet<String>,
    /// Whether every expression was parsed, so that it is known which placeholders are used.
    all_parsed: bool,
}

impl Reading<'_> {
    fn condition(&mut self, text: &str, kind: ExpressionKind) -> Option<Filter> {
        let condition = self.parsed(parse_condition(text), kind)?;
        let mut resolver = Resolver::new(self.placeholders);
        let test = resolver.test(&condition);
        self.resolved(&mut resolver, kind).then_some(())?;
        Some(Filter {
            test: test?,
            heads: resolver.heads,
        })
    }

    fn filter(&mut self, text: &str) -> Option<Filter> {
        self.condition(text, ExpressionKind::Filter)
    }

    fn key_condition(&mut self, text: &str) -> Option<KeyCondition> {
        let condition = self.condition(text, ExpressionKind::KeyCondition)?;
        let read = KeyCondition::of(&condition.test);
        read.map_err(|problem| self.fault(ExpressionKind::KeyCondition, problem))
            .ok()
    }

    fn projection(&mut self, text: &str) -> Option<Projection> {
        let paths = self.parsed(parse_projection(text), ExpressionKind::Projection)?;
        let mut resolver = Resolver::new(self.placeholders);
        let paths: Vec<_> = paths.iter().map(|path| resolver.path(path)).collect();
        self.resolved(&mut resolver, ExpressionKind::Projection)
            .then_some(())?;
        let read = Projection::of(&paths.into_iter().collect::<Option<Vec<_>>>()?);
        read.map_err(|problem| self.fault(ExpressionKind::Projection, problem))
            .ok()
    }

    fn parsed<T>(&mut self, parsed: Result<T, Problem>, kind: ExpressionKind) -> Option<T> {
        self.all_parsed &= parsed.is_ok();
        parsed.map_err(|problem| self.fault(kind, problem)).ok()
    }

    /// Takes over what a resolver found; whether nothing was wrong.
    fn resolved(&mut self, resolver: &mut Resolver<'_>, kind: ExpressionKind) -> bool {
        self.used.append(&mut resolver.used);
        let problems = resolver.problems();
        let is_well = problems.is_empty();
        problems
            .into_iter()
            .for_each(|problem| self.fault(kind, problem));
        is_well
    }

    fn fault(&mut self, kind: ExpressionKind, problem: Problem) {
        self.faults.push(Fault {
            place: Place::Expression(kind),
            problem,
        });
    }

    fn unused(&mut self, given: &Given<'_>) {
        let is_unused = |name: &&&str| !self.used.contains(**name);
        let name = |name: &&str| Fault {
            place: Place::Name((*name).to_owned()),
            problem: Problem::NameUnused((*name).to_owned()),
        };
        let value = |name: &&str| Fault {
            place: Place::Value((*name).to_owned()),
            problem: Problem::ValueUnused((*name).to_owned()),
        };
        let names = given
            .names
            .keys()
            .filter(|name| is_placeholder('#', name))
            .filter(is_unused)
            .map(name);
        let values = given
            .values
            .keys()
            .filter(|name| is_placeholder(':', name))
            .filter(is_unused)
            .map(value);
        let all: Vec<Fault> = names.chain(values).collect();
        self.faults.extend(all);
    }
}

impl Specification {
    /// Holds the filter against a table's key: a key condition must suit the key, and a filter
    /// beside a key condition may name only other attributes. Without a key condition it may name
    /// key attributes ("Filtering a table export").
    ///
    /// # Errors
    /// Everything that AWS refuses.
    pub fn check_keys(&self, schema: &KeySchema) -> Result<(), Vec<Fault>> {
        let Some(key_condition) = &self.key_condition else {
            return Ok(());
        };
        let mut faults = Vec::new();
        if let Err(problem) = key_condition.check(schema) {
            faults.push(Fault {
                place: Place::Expression(ExpressionKind::KeyCondition),
                problem,
            });
        }
        faults.extend(
            self.filter_names(schema.attributes().map(|attribute| attribute.name.as_str())),
        );
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }

    /// A fault for the first of these attributes that the filter names.
    fn filter_names<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> Option<Fault> {
        let filter = self.filter.as_ref()?;
        let key = keys.find(|key| filter.heads.contains(*key))?;
        Some(Fault {
            place: Place::Expression(ExpressionKind::Filter),
            problem: Problem::KeyInFilter(key.to_owned()),
        })
    }

    /// Whether there is a key condition, without which AWS reads the whole table.
    #[must_use]
    pub fn has_key_condition(&self) -> bool {
        self.key_condition.is_some()
    }

    /// Whether an item is read: its key meets the key condition.
    ///
    /// # Errors
    /// The item is no DynamoDB JSON.
    pub fn reads(&self, item: &Map<String, Json>) -> Result<bool, NotAValue> {
        let Some(key_condition) = &self.key_condition else {
            return Ok(true);
        };
        Ok(key_condition.reads(&attributes(item)?))
    }

    /// Whether an item that was read is kept: it meets the filter.
    ///
    /// # Errors
    /// The item is no DynamoDB JSON.
    pub fn keeps(&self, item: &Map<String, Json>) -> Result<bool, NotAValue> {
        let Some(filter) = &self.filter else {
            return Ok(true);
        };
        Ok(filter.test.holds(&attributes(item)?))
    }

    /// Which attributes are written; all if there is no projection.
    #[must_use]
    pub fn projection(&self) -> Option<&Projection> {
        self.projection.as_ref()
    }
}
