//! Path and document to selection, with the work counted.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Found, InvalidPath, JsonPath, Segment, Selection, Step};
use crate::evaluate::element;
use crate::limits;

/// One selection at work.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Json,
    visits: usize,
}

impl Walk<'_> {
    /// Accounts for looking at values; `None` when it was too much.
    pub(super) fn visit(&mut self, values: usize) -> Option<()> {
        self.visits = self.visits.saturating_add(values);
        (self.visits <= limits::PATH_VISITS_MAX).then_some(())
    }
}

impl JsonPath {
    /// Selects, and says how many values were looked at.
    pub(crate) fn select_counted<'a>(
        &self,
        root: &'a Json,
    ) -> Result<(Selection<'a>, usize), InvalidPath> {
        let mut walk = Walk { root, visits: 0 };
        let selection = walk.select(self, root).ok_or_else(|| InvalidPath {
            path: format!("{} steps", self.segments.len()),
            problem: format!("it looks at more than {} values", limits::PATH_VISITS_MAX),
        })?;
        Ok((selection, walk.visits))
    }
}

impl Walk<'_> {
    pub(super) fn select<'v>(&mut self, path: &JsonPath, from: &'v Json) -> Option<Selection<'v>> {
        let mut found: Vec<Found<'v>> = vec![Cow::Borrowed(from)];
        for (position, segment) in path.segments.iter().enumerate() {
            let last = position + 1 == path.segments.len();
            found = self.step(segment, found, last)?;
        }
        let selection = if path.is_definite() {
            match found.pop() {
                None => Selection::Nothing,
                Some(Cow::Borrowed(value)) => Selection::One(value),
                Some(Cow::Owned(value)) => Selection::Made(value),
            }
        } else {
            for value in &found {
                self.weigh(value)?;
            }
            Selection::Made(Json::Array(found.into_iter().map(Cow::into_owned).collect()))
        };
        Some(if path.length { length(&selection) } else { selection })
    }

    fn step<'v>(
        &mut self,
        segment: &Segment,
        from: Vec<Found<'v>>,
        last: bool,
    ) -> Option<Vec<Found<'v>>> {
        let mut found = Vec::new();
        for value in from {
            // A made object is the end of a path, so whatever goes on is a part of the document.
            let Cow::Borrowed(value) = value else { continue };
            if !segment.deep {
                self.apply(&segment.step, value, last, &mut found)?;
                continue;
            }
            let mut below = vec![value];
            while let Some(value) = below.pop() {
                self.visit(1)?;
                self.apply(&segment.step, value, last, &mut found)?;
                match value {
                    Json::Array(items) => below.extend(items.iter().rev()),
                    Json::Object(members) => below.extend(members.values().rev()),
                    _ => {}
                }
            }
        }
        Some(found)
    }

    fn apply<'v>(
        &mut self,
        step: &Step,
        value: &'v Json,
        last: bool,
        found: &mut Vec<Found<'v>>,
    ) -> Option<()> {
        self.visit(1)?;
        match (step, value) {
            (Step::Names(names), Json::Object(members)) => match names.as_slice() {
                [name] => found.extend(members.get(name).map(Cow::Borrowed)),
                names if last => {
                    let mut made = Map::new();
                    for name in names {
                        if let Some(member) = members.get(name) {
                            self.weigh(member)?;
                            made.insert(name.clone(), member.clone());
                        }
                    }
                    found.push(Cow::Owned(Json::Object(made)));
                }
                names => {
                    self.visit(names.len())?;
                    found.extend(
                        names.iter().filter_map(|name| members.get(name)).map(Cow::Borrowed),
                    );
                }
            },
            (Step::Every, Json::Object(members)) => {
                self.visit(members.len())?;
                found.extend(members.values().map(Cow::Borrowed));
            }
            (Step::Every, Json::Array(items)) => {
                self.visit(items.len())?;
                found.extend(items.iter().map(Cow::Borrowed));
            }
            (Step::Indexes(indexes), Json::Array(items)) => {
                self.visit(indexes.len())?;
                let places = indexes.iter().filter_map(|index| element(*index, items.len()));
                found.extend(places.filter_map(|place| items.get(place)).map(Cow::Borrowed));
            }
            (Step::Slice(from, to), Json::Array(items)) => {
                let bound = |at: i64| element(at, items.len()).unwrap_or(0).min(items.len());
                let from = from.map_or(0, bound);
                let to = to.map_or(items.len(), bound);
                let slice = items.get(from..to).unwrap_or_default();
                self.visit(slice.len())?;
                found.extend(slice.iter().map(Cow::Borrowed));
            }
            (Step::Filter(filter), Json::Array(items)) => {
                for item in items {
                    if filter.holds(self, item)? {
                        found.push(Cow::Borrowed(item));
                    }
                }
            }
            (Step::Filter(filter), Json::Object(_)) => {
                found.extend(filter.holds(self, value)?.then_some(Cow::Borrowed(value)));
            }
            _ => {}
        }
        Some(())
    }

    /// Accounts for a value that is copied.
    fn weigh(&mut self, value: &Json) -> Option<()> {
        let mut below = vec![value];
        while let Some(value) = below.pop() {
            match value {
                Json::Array(items) => {
                    self.visit(1)?;
                    below.extend(items);
                }
                Json::Object(members) => {
                    self.visit(1 + members.len())?;
                    below.extend(members.values());
                }
                Json::String(text) => self.visit(1 + text.len() / 32)?,
                _ => self.visit(1)?,
            }
        }
        Some(())
    }
}

fn length(selection: &Selection<'_>) -> Selection<'static> {
    match selection.value() {
        Some(Json::Array(items)) => Selection::Made(items.len().into()),
        Some(Json::Object(members)) => Selection::Made(members.len().into()),
        _ => Selection::Nothing,
    }
}
