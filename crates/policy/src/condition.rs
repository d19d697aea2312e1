//! Conditions of statements: what a request has to be like besides.
//!
//! Nothing is guessed. A key that nobody tells, an operator that is not evaluated here and a variable that has no value
//! make a condition [`Truth::Unknown`]: such a statement allows nothing, and denies what it names.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Set operators for multivalued context keys" and
//! "Variables and tags".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::matches;

/// Tells the values of a condition key, whose name is in lower case: none where the request does not have it, `None` where
/// that is not known.
pub type Facts<'a> = &'a dyn Fn(&str) -> Option<Vec<String>>;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Yes,
    No,
    Unknown,
}

/// The conditions of a statement: operators, with their keys and values.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Conditions(BTreeMap<String, BTreeMap<String, Value>>);

/// An operator as it is written: `ForAllValues:StringLikeIfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operator {
    over: Over,
    compares: Compares,
    negated: bool,
    if_exists: bool,
}

/// How an operator takes a key with several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    One,
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compares {
    Equal,
    EqualIgnoringCase,
    Like,
    Arn,
    Bool,
    Null,
}

impl Conditions {
    /// Whether all of them hold.
    pub(crate) fn hold(&self, facts: Facts<'_>) -> Truth {
        let each = self.0.iter().flat_map(|(operator, keys)| {
            let operator = Operator::read(operator);
            keys.iter().map(move |(key, values)| match operator {
                Some(operator) => operator.holds(key, one_or_many(values), facts),
                None => Truth::Unknown,
            })
        });
        each.fold(Truth::Yes, |all, one| match (all, one) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
        })
    }

    /// Each condition as operator and key, and whether the operator is evaluated.
    pub(crate) fn list(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.0.iter().flat_map(|(operator, keys)| {
            let evaluated = Operator::read(operator).is_some();
            keys.keys().map(move |key| (operator.as_str(), key.as_str(), evaluated))
        })
    }
}

impl Operator {
    fn read(text: &str) -> Option<Self> {
        let (over, rest) = match text.split_once(':') {
            None => (Over::One, text),
            Some(("ForAllValues", rest)) => (Over::All, rest),
            Some(("ForAnyValue", rest)) => (Over::Any, rest),
            Some(_) => return None,
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let (compares, negated) = match name {
            "StringEquals" => (Compares::Equal, false),
            "StringNotEquals" => (Compares::Equal, true),
            "StringEqualsIgnoreCase" => (Compares::EqualIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Compares::EqualIgnoringCase, true),
            "StringLike" => (Compares::Like, false),
            "StringNotLike" => (Compares::Like, true),
            "ArnEquals" | "ArnLike" => (Compares::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Compares::Arn, true),
            "Bool" => (Compares::Bool, false),
            "Null" if over == Over::One && !if_exists => (Compares::Null, false),
            _ => return None,
        };
        Some(Self { over, compares, negated, if_exists })
    }

    fn holds(self, key: &str, wanted: &[Value], facts: Facts<'_>) -> Truth {
        let Some(found) = facts(&key.to_ascii_lowercase()) else { return Truth::Unknown };
        let wanted: Option<Vec<String>> = wanted.iter().map(|value| text(value, facts)).collect();
        let Some(wanted) = wanted else { return Truth::Unknown };
        if self.compares == Compares::Null {
            let is_absent = if found.is_empty() { "true" } else { "false" };
            return wanted.iter().any(|wanted| wanted == is_absent).into();
        }
        let fits = |found: &String| {
            wanted.iter().any(|wanted| self.compares.fits(wanted, found)) != self.negated
        };
        match (self.over, found.as_slice()) {
            (_, []) if self.if_exists => Truth::Yes,
            (Over::One, []) => self.negated.into(),
            (Over::One, [one]) => fits(one).into(),
            // IAM leaves open what that means.
            (Over::One, _) => Truth::Unknown,
            (Over::All, all) => all.iter().all(fits).into(),
            (Over::Any, all) => all.iter().any(fits).into(),
        }
    }
}

impl Compares {
    fn fits(self, wanted: &str, found: &str) -> bool {
        match self {
            Self::Equal => wanted == found,
            Self::EqualIgnoringCase | Self::Bool => wanted.eq_ignore_ascii_case(found),
            Self::Like => matches(wanted, found),
            // Each of the six parts by itself.
            Self::Arn => {
                let (wanted, found) = (wanted.splitn(6, ':'), found.splitn(6, ':'));
                wanted.clone().count() == found.clone().count()
                    && wanted.zip(found).all(|(wanted, found)| matches(wanted, found))
            }
            Self::Null => false,
        }
    }
}

fn one_or_many(values: &Value) -> &[Value] {
    match values {
        Value::Array(many) => many,
        one => std::slice::from_ref(one),
    }
}

/// A value of a policy, with its variables. `None` where one has no value, or one that could be read as a pattern.
fn text(value: &Value, facts: Facts<'_>) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) => return Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}')?;
        let values = facts(&variable.to_ascii_lowercase())?;
        let [value] = values.as_slice() else { return None };
        if value.contains(['*', '?']) {
            return None;
        }
        whole.push_str(value);
        whole.push_str(rest);
    }
    Some(whole)
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a request tells: three keys, and one that it does not have.
    fn facts(key: &str) -> Option<Vec<String>> {
        let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        match key {
            "dynamodb:leadingkeys" => texts(&["ada", "ada:2"]),
            "dynamodb:select" => texts(&["COUNT"]),
            "aws:principalarn" => texts(&["arn:aws:iam::1:role/chat"]),
            "dynamodb:returnvalues" => texts(&[]),
            _ => None,
        }
    }

    fn holds(condition: Value) -> Truth {
        serde_json::from_value::<Conditions>(condition).unwrap().hold(&facts)
    }

    fn table(cases: &[(&str, &str, Value, Truth)]) {
        for (operator, key, value, expected) in cases {
            let found = holds(json!({ *operator: { *key: value } }));
            assert_eq!(found, *expected, "{operator} {key} {value}");
        }
    }

    #[test]
    fn a_key_with_one_value_is_compared_with_each_value_of_the_policy() {
        use Truth::{No, Yes};
        let key = "dynamodb:Select";
        table(&[
            ("StringEquals", key, json!(["ALL", "COUNT"]), Yes),
            ("StringEquals", key, json!("count"), No),
            ("StringEqualsIgnoreCase", key, json!("count"), Yes),
            ("StringNotEquals", key, json!(["ALL", "COUNT"]), No),
            ("StringNotEquals", key, json!("ALL"), Yes),
            ("StringLike", key, json!("C*T"), Yes),
            ("StringEquals", key, json!("C*T"), No),
            ("StringNotLike", key, json!("C*"), No),
            ("Null", key, json!("false"), Yes),
            ("Null", key, json!(true), No),
            ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/c?at"), Yes),
            ("ArnEquals", "aws:PrincipalArn", json!("arn:*"), No),
        ]);
    }

    #[test]
    fn a_key_that_a_request_does_not_have_fits_nothing_but_if_exists() {
        use Truth::{No, Yes};
        let key = "dynamodb:ReturnValues";
        table(&[
            ("StringEquals", key, json!("NONE"), No),
            ("StringNotEquals", key, json!("NONE"), Yes),
            ("StringEqualsIfExists", key, json!("NONE"), Yes),
            ("ForAllValues:StringEquals", key, json!("NONE"), Yes),
            ("ForAnyValue:StringEquals", key, json!("NONE"), No),
            ("ForAnyValue:StringEqualsIfExists", key, json!("NONE"), Yes),
            ("Bool", key, json!("true"), No),
            ("Null", key, json!("true"), Yes),
        ]);
    }

    #[test]
    fn a_key_with_several_values_wants_a_set_operator() {
        use Truth::{No, Unknown, Yes};
        let key = "dynamodb:LeadingKeys";
        table(&[
            ("ForAllValues:StringEquals", key, json!(["ada", "ada:2", "x"]), Yes),
            ("ForAllValues:StringEquals", key, json!(["ada"]), No),
            ("ForAllValues:StringLike", key, json!("ada*"), Yes),
            ("ForAnyValue:StringEquals", key, json!("ada:2"), Yes),
            ("ForAnyValue:StringEquals", key, json!("bob"), No),
            ("ForAllValues:StringNotEquals", key, json!("bob"), Yes),
            ("ForAnyValue:StringNotEquals", key, json!("ada"), Yes),
            ("StringEquals", key, json!("ada"), Unknown),
        ]);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        use Truth::{No, Unknown, Yes};
        let key = "dynamodb:Select";
        table(&[
            ("IpAddress", key, json!("10.0.0.0/8"), Unknown),
            ("ForSomeValues:StringEquals", key, json!("COUNT"), Unknown),
            ("NullIfExists", key, json!("true"), Unknown),
            ("StringEquals", "aws:SourceVpc", json!("x"), Unknown),
            ("StringEqualsIfExists", "aws:SourceVpc", json!("x"), Unknown),
            ("Null", "aws:SourceVpc", json!("true"), Unknown),
            ("StringEquals", key, json!("${aws:username}"), Unknown),
            ("StringEquals", key, json!("${"), Unknown),
            ("StringEquals", key, json!({ "x": 1 }), Unknown),
            ("StringLike", "aws:PrincipalArn", json!("${aws:PrincipalArn}*"), Yes),
        ]);
        let one =
            json!({ "IpAddress": { "a": "b" }, "StringEquals": { "dynamodb:Select": "ALL" } });
        assert_eq!(holds(one), No, "one that is known not to hold decides");
        assert_eq!(holds(json!({})), Yes);
    }
}
