//! A FilterSpecification: expressions and the placeholders they share.

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

/// A FilterSpecification as callers write it.
#[derive(Debug, Clone, Default)]
pub struct Given<'a> {
    /// The filter: which items are kept.
    pub filter: Option<&'a str>,
    /// The projection: which attributes are written.
    pub projection: Option<&'a str>,
    /// The key condition: which items are read.
    pub key_condition: Option<&'a str>,
    /// Attribute names by placeholder.
    pub names: BTreeMap<&'a str, &'a str>,
    /// Values in DynamoDB JSON by placeholder.
    pub values: BTreeMap<&'a str, &'a Json>,
}

/// A FilterSpecification that follows all of AWS's rules that do not depend on the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specification {
    key_condition: Option<KeyCondition>,
    filter: Option<Filter>,
    projection: Option<Projection>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    test: Test,
    /// Attributes that the filter names.
    heads: BTreeSet<String>,
}

/// Whether a text is a placeholder: `mark`, followed by letters, digits and `_`.
#[must_use]
pub fn is_placeholder(mark: char, text: &str) -> bool {
    let word = text.strip_prefix(mark).unwrap_or_default();
    !word.is_empty()
        && text.len() <= MAX_PLACEHOLDER_BYTES
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Given<'_> {
    /// Checks everything that does not depend on the table.
    ///
    /// Returns every fault; the one that AWS reports comes first.
    pub fn check(&self) -> Result<Specification, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |place, problem| faults.push(Fault { place, problem });
        if self.filter.is_none() && self.projection.is_none() && self.key_condition.is_none() {
            fault(Place::Whole, Problem::NoExpression);
        }
        for (place, name) in self.malformed_placeholders() {
            fault(place, Problem::PlaceholderForm(name.to_owned()));
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
        // Attributes in a key condition are key attributes, otherwise the key condition itself is
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

    fn malformed_placeholders(&self) -> Vec<(Place, &str)> {
        let names = self.names.keys().filter(|name| !is_placeholder('#', name));
        let values = self.values.keys().filter(|name| !is_placeholder(':', name));
        names
            .map(|name| (Place::Name((*name).to_owned()), *name))
            .chain(values.map(|name| (Place::Value((*name).to_owned()), *name)))
            .collect()
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

/// The results of the expressions so far.
struct Reading<'a> {
    placeholders: &'a Placeholders<'a>,
    faults: Vec<Fault>,
    used: BTreeSet<String>,
    /// Whether all expressions were parsed, so that the used placeholders are known.
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
        let read = KeyCondition::from_test(&condition.test);
        read.map_err(|problem| self.fault(ExpressionKind::KeyCondition, problem))
            .ok()
    }

    fn projection(&mut self, text: &str) -> Option<Projection> {
        let paths = self.parsed(parse_projection(text), ExpressionKind::Projection)?;
        let mut resolver = Resolver::new(self.placeholders);
        let paths: Vec<_> = paths.iter().map(|path| resolver.path(path)).collect();
        self.resolved(&mut resolver, ExpressionKind::Projection)
            .then_some(())?;
        let read = Projection::from_paths(&paths.into_iter().collect::<Option<Vec<_>>>()?);
        read.map_err(|problem| self.fault(ExpressionKind::Projection, problem))
            .ok()
    }

    fn parsed<T>(&mut self, parsed: Result<T, Problem>, kind: ExpressionKind) -> Option<T> {
        self.all_parsed &= parsed.is_ok();
        parsed.map_err(|problem| self.fault(kind, problem)).ok()
    }

    /// Adds a resolver's results; returns whether it found no problem.
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
    /// Checks the filter against a table's key: a key condition must match the key, and a filter
    /// with a key condition may name only other attributes. Without a key condition, it may name
    /// key attributes ("Filtering a table export").
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

    /// A fault for the first key attribute that the filter names.
    fn filter_names<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> Option<Fault> {
        let filter = self.filter.as_ref()?;
        let key = keys.find(|key| filter.heads.contains(*key))?;
        Some(Fault {
            place: Place::Expression(ExpressionKind::Filter),
            problem: Problem::KeyInFilter(key.to_owned()),
        })
    }

    /// Whether there is a key condition; without one AWS reads the whole table.
    #[must_use]
    pub fn has_key_condition(&self) -> bool {
        self.key_condition.is_some()
    }

    /// Whether an item is read: its key matches the key condition.
    pub fn reads(&self, item: &Map<String, Json>) -> Result<bool, NotAValue> {
        let Some(key_condition) = &self.key_condition else {
            return Ok(true);
        };
        Ok(key_condition.reads(&attributes(item)?))
    }

    /// Whether an item that was read is kept: it matches the filter.
    pub fn keeps(&self, item: &Map<String, Json>) -> Result<bool, NotAValue> {
        let Some(filter) = &self.filter else {
            return Ok(true);
        };
        Ok(filter.test.holds(&attributes(item)?))
    }

    /// The attributes that are written; `None` for all.
    #[must_use]
    pub fn projection(&self) -> Option<&Projection> {
        self.projection.as_ref()
    }
}
