//! Projections: which attributes of an item are written.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::problem::Problem;
use crate::resolved::{Part, ResolvedPath};

/// Paths that do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection(Branch);

/// The selected part of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Branch {
    members: BTreeMap<String, Branch>,
    elements: BTreeMap<usize, Branch>,
}

impl Branch {
    /// A path ends here: the whole attribute is selected.
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

    /// The selected part in DynamoDB JSON. List elements move together.
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
    pub(crate) fn from_paths(paths: &[ResolvedPath]) -> Result<Self, Problem> {
        let pairs = || {
            paths
                .iter()
                .enumerate()
                .flat_map(|(at, two)| paths[..at].iter().map(move |one| (one, two)))
        };
        // AWS reports overlaps before conflicts (dynalite's tests).
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

    /// The selected part of an item in DynamoDB JSON.
    #[must_use]
    pub fn apply(&self, item: &Map<String, Json>) -> Map<String, Json> {
        self.0.of_members(item)
    }
}

#[derive(PartialEq, Eq)]
enum Relation {
    Apart,
    /// One contains the other, or both are the same.
    Overlap,
    /// They use the same attribute as a list and as a map.
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
