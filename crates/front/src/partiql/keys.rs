//! The partition keys of the items that a statement is about, where they can be told without a doubt.
//!
//! They are told of a statement whose condition compares the partition key for equality (`=` or `IN`) in one of the parts that all
//! have to hold, and of an `INSERT` that names it. Of every other nothing is told, and so of what is written in an unusual way:
//! whoever guesses lets somebody in.
//!
//! Source: DynamoDB Developer Guide, "IAM security policies with `PartiQL`" and "`PartiQL` select statements".

use serde_json::Value;

use super::{Token, Tokens};
use crate::number;

/// Source: DynamoDB service model, `PartiQLStatement` (8192).
const STATEMENT_BYTES_MAX: usize = 8192;

/// How deep in parentheses a condition is looked for. Choice: nobody writes more.
const DEPTH_MAX: usize = 8;

/// What a statement is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A name, a keyword or a number.
    Word(String),
    /// A name in quotes.
    Name(String),
    Text(String),
    /// A question mark, and which it is.
    Parameter(usize),
    Mark(char),
}

impl Piece {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text.eq_ignore_ascii_case(word))
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self, Self::Word(text) | Self::Name(text) if text == name)
    }
}

/// The partition keys that a statement is about, with its parameters; `None` where they cannot be told.
pub(crate) fn leading_keys(text: &str, parameters: &Value, key: &str) -> Option<Vec<String>> {
    if text.len() > STATEMENT_BYTES_MAX {
        return None;
    }
    let pieces = pieces(text)?;
    let statement = Statement { parameters, key };
    let verb = |word: &str| pieces.first().is_some_and(|first| first.is_word(word));
    if verb("INSERT") {
        return statement.inserted(&pieces).map(|key| vec![key]);
    }
    if !["SELECT", "UPDATE", "DELETE"].into_iter().any(verb) {
        return None;
    }
    let mut places = at_top(&pieces).filter(|(_, piece)| piece.is_word("WHERE"));
    let ((place, _), further) = (places.next()?, places.next());
    if further.is_some() {
        return None;
    }
    let condition = pieces.get(place + 1..)?;
    let end = at_top(condition)
        .find(|(_, piece)| ["ORDER", "RETURNING"].iter().any(|word| piece.is_word(word)));
    let condition = condition.get(..end.map_or(condition.len(), |(at, _)| at))?;
    statement.compared(condition, 0).one()
}

/// `None` for a statement with anything that is not looked into.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut parameters = 0;
    let pieces = Tokens(text.chars().peekable()).map(|token| {
        Some(match token {
            Token::Word(text) => Piece::Word(text),
            Token::Quoted('"', text) => Piece::Name(text),
            Token::Quoted('\'', text) => Piece::Text(text),
            Token::Mark('?') => {
                parameters += 1;
                Piece::Parameter(parameters - 1)
            }
            Token::Mark(mark) if "()[]{}<>,=.:*+-!".contains(mark) => Piece::Mark(mark),
            Token::Quoted(..) | Token::Mark(_) => return None,
        })
    });
    let pieces = pieces.collect::<Option<Vec<_>>>()?;
    let within = pieces.iter().skip(1);
    let mut strange =
        within.filter(|piece| ["SELECT", "CASE"].iter().any(|word| piece.is_word(word)));
    strange.next().is_none().then_some(pieces)
}

/// The pieces that are within no brackets, with their places. The brackets themselves are not among them.
fn at_top(pieces: &[Piece]) -> impl Iterator<Item = (usize, &Piece)> {
    let mut depth = 0_usize;
    pieces.iter().enumerate().filter(move |(_, piece)| {
        match piece {
            Piece::Mark('(' | '[' | '{') => depth += 1,
            Piece::Mark(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    })
}

/// What stands between two brackets that are the first and the last of these pieces.
fn within(pieces: &[Piece], open: char, close: char) -> Option<&[Piece]> {
    let (first, rest) = pieces.split_first()?;
    let (last, inner) = rest.split_last()?;
    if (first, last) != (&Piece::Mark(open), &Piece::Mark(close)) {
        return None;
    }
    // The first one is not closed before.
    let mut depth = 0_usize;
    for piece in inner {
        match piece {
            Piece::Mark('(' | '[' | '{') => depth += 1,
            Piece::Mark(')' | ']' | '}') => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    (depth == 0).then_some(inner)
}

/// The parts of a condition that all have to hold; `None` where one of several is enough.
fn parts(condition: &[Piece]) -> Option<Vec<&[Piece]>> {
    let (mut parts, mut begin, mut in_range) = (Vec::new(), 0, false);
    for (at, piece) in at_top(condition) {
        if piece.is_word("OR") {
            return None;
        }
        if piece.is_word("BETWEEN") {
            in_range = true;
        } else if piece.is_word("AND") {
            // The one of a range parts nothing.
            if !std::mem::take(&mut in_range) {
                parts.push(condition.get(begin..at)?);
                begin = at + 1;
            }
        }
    }
    parts.push(condition.get(begin..)?);
    Some(parts)
}

/// What was found of the key in a condition.
#[derive(Debug, Default)]
struct Found(Vec<Vec<String>>);

impl Found {
    /// A key that is compared twice may be told wrongly.
    fn one(self) -> Option<Vec<String>> {
        let [keys] = <[_; 1]>::try_from(self.0).ok()?;
        Some(keys)
    }
}

struct Statement<'a> {
    parameters: &'a Value,
    key: &'a str,
}

impl Statement<'_> {
    fn compared(&self, condition: &[Piece], depth: usize) -> Found {
        let mut found = Found::default();
        if depth > DEPTH_MAX {
            return found;
        }
        for part in parts(condition).into_iter().flatten() {
            if let Some(keys) = self.comparison(part) {
                found.0.push(keys);
            } else if let Some(inner) = within(part, '(', ')') {
                found.0.extend(self.compared(inner, depth + 1).0);
            }
        }
        found
    }

    /// The keys of a part that says nothing but that the key is one of them.
    fn comparison(&self, part: &[Piece]) -> Option<Vec<String>> {
        match part {
            [name, Piece::Mark('='), value] | [value, Piece::Mark('='), name]
                if name.is_name(self.key) =>
            {
                Some(vec![self.value(value)?])
            }
            [name, word, list @ ..] if name.is_name(self.key) && word.is_word("IN") => {
                let list = within(list, '[', ']').or_else(|| within(list, '(', ')'))?;
                let members = list.split(|piece| *piece == Piece::Mark(','));
                members
                    .map(|member| match member {
                        [value] => self.value(value),
                        _ => None,
                    })
                    .collect()
            }
            _ => None,
        }
    }

    /// The key of an item that is inserted.
    fn inserted(&self, pieces: &[Piece]) -> Option<String> {
        let mut places = at_top(pieces).filter(|(_, piece)| piece.is_word("VALUE"));
        let ((place, _), further) = (places.next()?, places.next());
        if further.is_some() {
            return None;
        }
        let after = pieces.get(place + 1..)?;
        // `IF NOT EXISTS` may follow.
        let end = at_top(after).next().map_or(after.len(), |(at, _)| at);
        let (item, rest) = after.split_at_checked(end)?;
        if !rest.iter().all(|piece| ["IF", "NOT", "EXISTS"].iter().any(|word| piece.is_word(word)))
        {
            return None;
        }
        let mut keys = Vec::new();
        for member in members(within(item, '{', '}')?) {
            // A name that is written in another way might be the key.
            let [Piece::Text(name), Piece::Mark(':'), value @ ..] = member else { return None };
            if name == self.key {
                let [value] = value else { return None };
                keys.push(self.value(value)?);
            }
        }
        let [key] = <[_; 1]>::try_from(keys).ok()?;
        Some(key)
    }

    /// A text or a number, or a parameter that is one.
    fn value(&self, piece: &Piece) -> Option<String> {
        match piece {
            Piece::Text(text) => Some(text.clone()),
            // A name is none.
            Piece::Word(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number::plain(number)
            }
            Piece::Parameter(number) => {
                let value = self.parameters.get(number)?.as_object()?;
                let (kind, text) = value.iter().next().filter(|_| value.len() == 1)?;
                match kind.as_str() {
                    "S" => text.as_str().map(str::to_owned),
                    "N" => number::plain(text.as_str()?),
                    _ => None,
                }
            }
            Piece::Word(_) | Piece::Name(_) | Piece::Mark(_) => None,
        }
    }
}

/// The members of an item, which are parted by the commas that are in none of them.
fn members(item: &[Piece]) -> Vec<&[Piece]> {
    let commas = at_top(item).filter(|(_, piece)| **piece == Piece::Mark(','));
    let mut begin = 0;
    let mut members = Vec::new();
    for end in commas.map(|(at, _)| at).chain([item.len()]) {
        members.extend(item.get(begin..end));
        begin = end + 1;
    }
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_all_items_must_have_are_told() {
        let parameters = json!([{ "S": "p0" }, { "S": "p1" }, { "N": "2.0" }]);
        for (text, expected) in [
            ("SELECT * FROM t WHERE id = 'a'", vec!["a"]),
            (
                "select \"x\", y.z from \"t\".\"i\" where \"id\"='it''s' and n > 5 order by n desc",
                vec!["it's"],
            ),
            ("SELECT * FROM t WHERE n BETWEEN 1 AND 2 AND 'a' = id", vec!["a"]),
            ("SELECT * FROM t WHERE (x = 'id' OR y = 2) AND ((n < 1 AND (id = 7)))", vec!["7"]),
            (
                "SELECT * FROM t WHERE id IN ['a', ?, 3] AND NOT contains(x, 'id = 5')",
                vec!["a", "p0", "3"],
            ),
            ("SELECT * FROM t WHERE id IN ('a','b', 07)", vec!["a", "b", "7"]),
            ("SELECT /* WHERE id = 'b' */ * FROM t -- OR\n WHERE id = ?", vec!["p0"]),
            (
                "UPDATE t SET a = ?, b = {'id': 'x'} REMOVE c WHERE id = ? AND n = ? RETURNING ALL NEW *",
                vec!["p1"],
            ),
            ("DELETE FROM t WHERE n = 1 AND id = 'a'", vec!["a"]),
            (
                "INSERT INTO t VALUE {'x': {'id': 'no'}, 'id': ?, 'l': [1, 'id', {'id': 2}]}",
                vec!["p0"],
            ),
            ("INSERT INTO \"t\" VALUE {'a': ?, 'b': <<?>>, 'id': ?} IF NOT EXISTS", vec!["2"]),
        ] {
            let found = leading_keys(text, &parameters, "id");
            assert_eq!(found, Some(expected.iter().map(ToString::to_string).collect()), "{text}");
        }
    }

    #[test]
    fn what_leaves_a_doubt_is_not_told() {
        let parameters =
            json!([{ "S": "p0" }, { "B": "AA==" }, { "S": "a", "N": "1" }, { "N": "one" }, 5]);
        for text in [
            "SELECT * FROM t",
            "SELECT * FROM t WHERE id > 'a'",
            "SELECT * FROM t WHERE id <> 'a'",
            "SELECT * FROM t WHERE id = 'a' OR n = 1",
            "SELECT * FROM t WHERE (id = 'a' OR n = 1) AND n = 2",
            "SELECT * FROM t WHERE id = 'a' OR (id = 'b')",
            "SELECT * FROM t WHERE NOT id = 'a'",
            "SELECT * FROM t WHERE NOT (id = 'a')",
            "SELECT * FROM t WHERE id NOT IN ['a']",
            "SELECT * FROM t WHERE x BETWEEN 1 AND id = 'a'",
            "SELECT * FROM t WHERE x.id = 'a'",
            "SELECT * FROM t WHERE id.x = 'a'",
            "SELECT * FROM t WHERE id[0] = 'a'",
            "SELECT * FROM t WHERE ID = 'a'",
            "SELECT * FROM t WHERE 'id' = 'a'",
            "SELECT * FROM t WHERE id = \"a\"",
            "SELECT * FROM t WHERE id = other",
            "SELECT * FROM t WHERE id = 'a' AND id = 'b'",
            "SELECT * FROM t WHERE (id = 'a') AND (n = 1 AND id = 'b')",
            "SELECT * FROM t WHERE id = 1.0",
            "SELECT * FROM t WHERE id = 1e2",
            "SELECT * FROM t WHERE id = -1",
            "SELECT * FROM t WHERE id = 'a' || 'b'",
            "SELECT * FROM t WHERE id = 'a' WHERE id = 'b'",
            "SELECT * FROM t WHERE CASE WHEN x = 1 AND id = 'a' AND y THEN TRUE ELSE TRUE END",
            "SELECT * FROM t WHERE x IN (SELECT y FROM u) AND id = 'a'",
            "SELECT * FROM t WHERE id IN []",
            "SELECT * FROM t WHERE id IN ['a', other]",
            "SELECT * FROM t WHERE id IN ['a'",
            "SELECT * FROM t WHERE id IN ['a'] + ['b']",
            "SELECT * FROM t WHERE (id = 'a') OR (n = 1)",
            "SELECT * FROM t WHERE id = `a`",
            "SELECT * FROM t WHERE x = ? AND id = ?",
            "SELECT * FROM t WHERE x = ? AND y = ? AND id = ?",
            "SELECT * FROM t WHERE x = ? AND y = ? AND z = ? AND id = ?",
            "SELECT * FROM t WHERE x = ? AND y = ? AND z = ? AND a = ? AND id = ?",
            "SELECT * FROM t WHERE x = ? AND y = ? AND z = ? AND a = ? AND b = ? AND id = ?",
            "EXISTS(SELECT * FROM t WHERE id = 'a')",
            "FROM t WHERE id = 'a' SET x = 1",
            "UPDATE t SET id = 'a'",
            "INSERT INTO t VALUE {'x': 1}",
            "INSERT INTO t VALUE {'id': 'a', 'id': 'b'}",
            "INSERT INTO t VALUE {'id': 'a', \"id\": 'b'}",
            "INSERT INTO t VALUE {'id': 'a', id: 'b'}",
            "INSERT INTO t VALUE {'id': 'a' , }",
            "INSERT INTO t VALUE {'id': {'S': 'a'}}",
            "INSERT INTO t VALUE {'id': 'a'} RETURNING x",
            "INSERT INTO t VALUE {'id': 'a'}, {'id': 'b'}",
            "INSERT INTO t VALUE ?",
            "INSERT INTO t",
            "",
        ] {
            assert_eq!(leading_keys(text, &parameters, "id"), None, "{text}");
        }
        let deep =
            format!("SELECT * FROM t WHERE {}id = 'a'{}", "(".repeat(4000), ")".repeat(4000));
        assert_eq!(leading_keys(&deep, &parameters, "id"), None);
        let long = format!("SELECT * FROM t WHERE id = '{}'", "a".repeat(8192));
        assert_eq!(leading_keys(&long, &parameters, "id"), None);
    }
}
