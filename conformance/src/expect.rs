//! What is expected of a value, and names for what is not known beforehand.
//!
//! In every text of a case, `<name>` stands for some text: the first comparison in which it occurs gives it its value,
//! and from then on it stands for that. `<any>` is anything, `<x*100>` is a hundred times `x`. A whole text may also be
//! `<absent>`, `<number>`, `<text>` or `<table>`, or a pattern between slashes (`/^wss?:/`) with the values of the names
//! that are known.
//!
//! Of a table, the members that are named are expected, unless it has to be exactly so.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::Result;

/// The values of names.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Names(BTreeMap<String, Value>);

/// Whether a table may have more members than are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Allowed,
    Refused,
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Names {
    /// Gives a name its value.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text with the values of its names, all of which have to be known.
    pub(crate) fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(&text),
                Piece::Name(name) => {
                    let value =
                        self.get(&name).ok_or_else(|| format!("nothing is known as <{name}>"))?;
                    filled.push_str(&plain(value));
                }
            }
        }
        Ok(filled)
    }

    /// The same for every text in a value; a text that is one name becomes its value.
    pub(crate) fn fill_all(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => match whole_name(text).and_then(|name| self.get(&name)) {
                Some(value) => value.clone(),
                None => self.fill(text)?.into(),
            },
            Value::Array(items) => {
                items.iter().map(|item| self.fill_all(item)).collect::<Result<_>>()?
            }
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| Ok((self.fill(name)?, self.fill_all(value)?)))
                .collect::<Result<_>>()?,
            other => other.clone(),
        })
    }

    /// The same, where names that are not known stay as they are.
    pub(crate) fn fill_known(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                if let Some(value) = whole_name(text).and_then(|name| self.get(&name)) {
                    return value.clone();
                }
                let known = self.0.iter().fold(text.clone(), |text, (name, value)| {
                    text.replace(&format!("<{name}>"), &plain(value))
                });
                known.into()
            }
            Value::Array(items) => items.iter().map(|item| self.fill_known(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.fill_known(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Compares what came with what is expected; names that are new get their values. When it fails, none do.
    pub(crate) fn expect(
        &mut self,
        expected: &Value,
        got: Option<&Value>,
        more: More,
    ) -> Result<()> {
        let mut trial = self.clone();
        trial.compare(expected, got, more, "")?;
        *self = trial;
        Ok(())
    }

    /// How many of the members that are expected are there and as they should be.
    pub(crate) fn members_that_fit(&self, expected: &Value, got: &Value) -> usize {
        let fits = |(name, expected): &(&String, &Value)| {
            let got = got.get(name.as_str());
            got.is_some() && self.clone().expect(expected, got, More::Allowed).is_ok()
        };
        expected.as_object().map_or(0, |members| members.iter().filter(fits).count())
    }

    fn compare(
        &mut self,
        expected: &Value,
        got: Option<&Value>,
        more: More,
        at: &str,
    ) -> Result<()> {
        let differs = || {
            let got = got.map_or_else(|| "nothing".to_owned(), shown);
            let place = if at.is_empty() { String::new() } else { format!("{at}: ") };
            Err(format!("{place}expected {}, got {got}", shown(expected)))
        };
        match (expected, got) {
            (Value::String(text), None) if text == "<absent>" => Ok(()),
            (Value::String(text), Some(got)) => {
                if self.fits(text, got)? {
                    Ok(())
                } else {
                    differs()
                }
            }
            (Value::Object(members), Some(Value::Object(found))) => {
                for (name, expected) in members {
                    let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    self.compare(expected, found.get(name), more, &place)?;
                }
                let surplus = found.keys().find(|name| !members.contains_key(*name));
                match surplus.filter(|_| more == More::Refused) {
                    Some(name) => {
                        Err(format!("{at}: expected no {name:?}, got {}", shown(&found[name])))
                    }
                    None => Ok(()),
                }
            }
            (Value::Array(items), Some(Value::Array(found))) if items.len() == found.len() => {
                for (index, (expected, got)) in items.iter().zip(found).enumerate() {
                    self.compare(expected, Some(got), more, &format!("{at}[{index}]"))?;
                }
                Ok(())
            }
            (expected, Some(got)) if expected == got => Ok(()),
            _ => differs(),
        }
    }

    fn fits(&mut self, expected: &str, got: &Value) -> Result<bool> {
        match expected {
            "<any>" => return Ok(true),
            "<absent>" => return Ok(false),
            "<number>" => return Ok(got.is_number()),
            "<text>" => return Ok(got.is_string()),
            "<table>" => return Ok(got.is_object()),
            _ => {}
        }
        let pattern = expected.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        if let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) {
            let pattern = plain(&self.fill_known(&pattern.into()));
            let pattern = Regex::new(&pattern).map_err(|error| format!("{pattern}: {error}"))?;
            return Ok(pattern.is_match(&plain(got)));
        }
        if let Some(name) = whole_name(expected) {
            if let Some(known) = self.get(&name) {
                return Ok(known == got);
            }
            self.set(&name, got.clone());
            return Ok(true);
        }
        Ok(got.as_str().is_some_and(|got| self.fits_text(&pieces(expected), got)))
    }

    /// Whether a text is made of these pieces; a name that is new takes as little as it can.
    fn fits_text(&mut self, expected: &[Piece], got: &str) -> bool {
        let Some((piece, rest)) = expected.split_first() else { return got.is_empty() };
        let known = match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Name(name) => self.get(name).map(plain),
        };
        if let Some(known) = known {
            return got.strip_prefix(&*known).is_some_and(|got| self.fits_text(rest, got));
        }
        let Piece::Name(name) = piece else { return false };
        let ends = got.char_indices().map(|(at, _)| at).chain([got.len()]);
        for end in ends {
            let (taken, left) = got.split_at(end);
            let mut trial = self.clone();
            if name != "any" {
                trial.set(name, taken);
            }
            if trial.fits_text(rest, left) {
                *self = trial;
                return true;
            }
        }
        false
    }
}

/// The name that a text is, if it is nothing else.
fn whole_name(text: &str) -> Option<String> {
    match pieces(text).as_slice() {
        [Piece::Name(name)] => Some(name.clone()),
        _ => None,
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        let Some((inside, tail)) = after.split_once('>') else {
            plain.push('<');
            rest = after;
            continue;
        };
        let is_name = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || ":-".contains(letter)
        };
        let times =
            inside.split_once('*').and_then(|(what, times)| Some((what, times.parse().ok()?)));
        if let Some((what, times)) = times {
            plain.push_str(&str::repeat(what, times));
        } else if inside.starts_with(|first: char| first.is_ascii_lowercase())
            && inside.chars().all(is_name)
        {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Name(inside.to_owned()));
        } else {
            plain.push('<');
            rest = after;
            continue;
        }
        rest = tail;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// A value inside a text: a text as it is, everything else as JSON.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value in a message, shortened.
pub(crate) fn shown(value: &Value) -> String {
    const CHARACTERS: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}… ({} bytes)", text.split_at(end).0, text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_keeps_what_it_first_stood_for() {
        let mut names = Names::default();
        let frame = json!(r#"{"message": "Forbidden", "id":"<id>", "request":"<request>"}"#);
        let got =
            |id: &str| json!(format!(r#"{{"message": "Forbidden", "id":"{id}", "request":"x"}}"#));
        assert_eq!(names.expect(&frame, Some(&got("a")), More::Allowed), Ok(()));
        assert_eq!(names.get("id"), Some(&json!("a")));
        assert!(names.expect(&frame, Some(&got("b")), More::Allowed).is_err());
        assert_eq!(names.fill("<id>/<request>").as_deref(), Ok("a/x"));
        assert!(names.fill("<other>").is_err());
    }

    #[test]
    fn a_comparison_that_fails_names_nothing() {
        let mut names = Names::default();
        let expected = json!({ "a": "<new>", "b": 1 });
        let problem = names.expect(&expected, Some(&json!({ "a": "x", "b": 2 })), More::Allowed);
        assert_eq!(problem, Err("b: expected 1, got 2".to_owned()));
        assert_eq!(names.get("new"), None);
    }

    #[test]
    fn tables_may_have_more_unless_they_must_not() {
        let (expected, got) = (
            json!({ "a": { "b": "<number>" }, "c": "<absent>" }),
            json!({ "a": { "b": 1, "d": 2 } }),
        );
        let mut names = Names::default();
        assert_eq!(names.expect(&expected, Some(&got), More::Allowed), Ok(()));
        let problem = names.expect(&expected, Some(&got), More::Refused);
        assert_eq!(problem, Err("a: expected no \"d\", got 2".to_owned()));
    }

    #[test]
    fn texts_repeat_and_have_patterns_and_what_looks_like_a_name_stays() {
        let names = Names::default();
        assert_eq!(names.fill("<ab*3> 1 < 2 > 3 <B>").as_deref(), Ok("ababab 1 < 2 > 3 <B>"));
        let mut names = names;
        assert_eq!(names.expect(&json!("/^\\d+$/"), Some(&json!(12)), More::Allowed), Ok(()));
        assert!(names.expect(&json!("/^\\d+$/"), Some(&json!("x1")), More::Allowed).is_err());
        assert_eq!(
            names.expect(&json!("<any>/prod/<key>"), Some(&json!("a/b/prod/c")), More::Allowed),
            Ok(())
        );
        assert_eq!(names.get("key"), Some(&json!("c")));
    }
}
