//! Projections: which attributes of an item are written.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::problem::Problem;
use crate::resolved::{Part, ResolvedPath};

/// Paths of which none lies within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection(Branch);

/// What is wanted of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Branch {
    members: BTreeMap<String, Branch>,
    elements: BTreeMap<usize, Branch>,
}

impl Branch {
    /// A path ends here: all of it is wanted.
    fn is_whole(&self) -> bool {
        self.members.is_empty() && self.elements.is_empty()
    }

    fn add(&mut self, path: &ResolvedPath) {
        let mut branch = self.members.entry(path.head.clone()).or_default();
        for part in &path.inner {
            branch = match part {
                Part::Member(name) => branch.members.entry(name.clone()).or_default(),
                Part::Element(index) => branch
                    .elements
                    .entry(usize::try_from(*index).unwrap_or(usize::MAX))
                    .or_default(),
            };
        }
    }

    /// What there is of it, in DynamoDB JSON. Elements of a list move together.
    fn of_value(&self, value: &Json) -> Option<Json> {
        if self.is_whole() {
            return Some(value.clone());
        }
        if let Some(members) = value.get("M").and_then(Json::as_object) {
            let found = self.of_members(members);
            return (!found.is_empty())
                .then(|| Json::Object(Map::from_iter([("M".to_owned(), Json::Object(found))])));
        }
        let elements = value.get("L")?.as_array()?;
        let found: Vec<Json> = self
            .elements
            .iter()
            .filter_map(|(index, branch)| branch.of_value(elements.get(*index)?))
            .collect();
        (!found.is_empty())
            .then(|| Json::Object(Map::from_iter([("L".to_owned(), Json::Array(found))])))
    }

    fn of_members(&self, members: &Map<String, Json>) -> Map<String, Json> {
        let found = self.members.iter().filter_map(|(name, branch)| {
            Some((name.clone(), branch.of_value(members.get(name)?)?))
        });
        found.collect()
    }
}

impl Projection {
    pub(crate) fn of(paths: &[ResolvedPath]) -> Result<Self, Problem> {
        let pairs = || {
            paths
                .iter()
                .enumerate()
                .flat_map(|(at, two)| paths[..at].iter().map(move |one| (one, two)))
        };
        // AWS names overlaps before conflicts (dynalite's tests).
        if let Some((one, two)) = pairs().find(|(one, two)| relation(one, two) == Relation::Overlap)
        {
            return Err(Problem::PathsOverlap(one.to_string(), two.to_string()));
        }
        if let Some((one, two)) =
            pairs().find(|(one, two)| relation(one, two) == Relation::Conflict)
        {
            return Err(Problem::PathsConflict(one.to_string(), two.to_string()));
        }
        let mut root = Branch::default();
        paths.iter().for_each(|path| root.add(path));
        Ok(Self(root))
    }

    /// What is written of an item in DynamoDB JSON.
    #[must_use]
    pub fn apply(&self, item: &Map<String, Json>) -> Map<String, Json> {
        self.0.of_members(item)
    }
}

#[derive(PartialEq, Eq)]
enum Relation {
    Apart,
    /// One lies within the other, or both are the same.
    Overlap,
    /// They take the same attribute for a list and for a map.
    Conflict,
}

fn relation(one: &ResolvedPath, two: &ResolvedPath) -> Relation {
    if one.head != two.head {
        return Relation::Apart;
    }
    let differing = one
        .inner
        .iter()
        .zip(&two.inner)
        .find(|(one, two)| one != two);
    match differing {
        None => Relation::Overlap,
        Some((Part::Member(_), Part::Member(_)) | (Part::Element(_), Part::Element(_))) => {
            Relation::Apart
        }
        Some(_) => Relation::Conflict,
    }
}
