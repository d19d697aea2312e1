//! Policies of authorizers: may this principal open a connection?
//!
//! Source: IAM policy evaluation as API Gateway applies it to an authorizer's result: an explicit Deny wins,
//! nothing matching is a Deny, `*` and `?` match any characters, also `/`.

use serde::Deserialize;
use serde_json::Value;

/// A policy document, as far as it decides about a connection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Policy {
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    #[serde(default)]
    action: Option<OneOrMany<String>>,
    #[serde(default)]
    resource: Option<OneOrMany<String>>,
    /// Not evaluated: a statement with conditions allows nothing, and denies what it names.
    #[serde(default)]
    condition: Option<Value>,
    /// What is named by exclusion is not evaluated: a policy that has it is no usable result.
    #[serde(default, rename = "NotAction", alias = "NotResource", alias = "NotPrincipal")]
    exclusion: Option<Value>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Clone, Copy)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Policy {
    /// Whether every statement is one that is evaluated here.
    pub(crate) fn is_understood(&self) -> bool {
        self.statement.as_slice().iter().all(|statement| statement.exclusion.is_none())
    }

    /// Whether the policy allows `execute-api:Invoke` on `resource`.
    pub(crate) fn allows(&self, resource: &str) -> bool {
        let matching = |effect: Effect| {
            self.statement.as_slice().iter().any(|statement| {
                statement.effect == effect
                    && (effect == Effect::Deny || statement.condition.is_none())
                    && statement.names("execute-api:Invoke", resource)
            })
        };
        !matching(Effect::Deny) && matching(Effect::Allow)
    }
}

impl Statement {
    fn names(&self, action: &str, resource: &str) -> bool {
        let any = |patterns: &Option<OneOrMany<String>>, text: &str, fold: bool| {
            patterns.as_ref().is_some_and(|patterns| {
                patterns.as_slice().iter().any(|pattern| {
                    if fold {
                        matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
                    } else {
                        matches(pattern, text)
                    }
                })
            })
        };
        // Actions compare without case, resources with it, as in IAM.
        any(&self.action, action, true) && any(&self.resource, resource, false)
    }
}

/// Whether `text` fits `pattern`, where `*` is any text and `?` any one character.
///
/// Runs in time linear in the lengths multiplied, whatever the pattern.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                pattern = rest;
                retry = Some((rest, text));
            }
            (Some((wanted, wanted_rest)), Some((byte, rest)))
                if wanted == byte || *wanted == b'?' =>
            {
                (pattern, text) = (wanted_rest, rest);
            }
            (None, None) => return true,
            _ => match retry {
                // Let the last star take one byte more.
                Some((after_star, [_, rest @ ..])) => {
                    (pattern, text) = (after_star, rest);
                    retry = Some((after_star, rest));
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONNECT: &str = "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/prod/$connect";

    fn allows(statement: Value) -> bool {
        serde_json::from_value::<Policy>(json!({ "Statement": statement })).unwrap().allows(CONNECT)
    }

    fn allow(resource: &str) -> Value {
        json!({ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource })
    }

    #[test]
    fn the_usual_resources_allow_the_connection() {
        for resource in [
            CONNECT,
            "*",
            "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/prod/*",
            "arn:aws:execute-api:*:*:a1b2c3d4e5/*",
            "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e?/prod/$connect",
        ] {
            assert!(allows(allow(resource)), "{resource}");
        }
    }

    #[test]
    fn other_resources_actions_and_slashes_do_not() {
        for resource in [
            "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/prod/*/*",
            "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/dev/*",
            "arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/prod",
            "",
        ] {
            assert!(!allows(allow(resource)), "{resource}");
        }
        assert!(!allows(json!({ "Action": "s3:*", "Effect": "Allow", "Resource": "*" })));
        assert!(!allows(json!([])));
    }

    #[test]
    fn a_deny_beats_an_allow_wherever_it_stands() {
        let deny = json!({ "Action": ["EXECUTE-API:*"], "Effect": "Deny", "Resource": [CONNECT] });
        assert!(!allows(json!([deny, allow("*")])));
        assert!(!allows(json!([allow("*"), deny])));
    }

    #[test]
    fn a_condition_that_is_not_evaluated_never_lets_anyone_in() {
        let mut statement = allow("*");
        statement["Condition"] = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
        assert!(!allows(statement));
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(matches(&"*a".repeat(500), &"a".repeat(500)));
    }
}
