//! Policies of authorizers and of keys: may this principal do that?
//!
//! Source: IAM policy evaluation as API Gateway applies it to an authorizer's result: an explicit Deny wins,
//! nothing matching is a Deny, `*` and `?` match any characters, also `/`.

use serde::Deserialize;
use serde_json::Value;

/// A policy document, as far as it decides about connections.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    statement: OneOrMany<Statement>,
}

/// A text that is not a policy that is evaluated here.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPolicy {
    /// It is no policy document.
    #[error("it is not a policy document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A statement would mean less here than it says.
    #[error(
        "each statement needs Effect, Action and Resource; Condition, NotAction and NotResource are not evaluated here"
    )]
    NotEvaluated,
}

#[derive(Debug, Clone, Deserialize)]
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

#[derive(Debug, Clone, Deserialize)]
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

    /// Reads a policy that an operator wrote, who learns at once what would not be evaluated.
    ///
    /// # Errors
    /// When it is no policy document, or has statements that are not evaluated.
    pub fn parse(document: Value) -> Result<Self, InvalidPolicy> {
        let policy: Self = serde_json::from_value(document)?;
        let is_whole = |statement: &Statement| {
            statement.action.is_some()
                && statement.resource.is_some()
                && statement.condition.is_none()
        };
        let is_evaluated =
            policy.is_understood() && policy.statement.as_slice().iter().all(is_whole);
        is_evaluated.then_some(policy).ok_or(InvalidPolicy::NotEvaluated)
    }

    /// Whether the policy allows `action` on `resource`.
    pub(crate) fn allows(&self, action: &str, resource: &str) -> bool {
        let matching = |effect: Effect| {
            self.statement.as_slice().iter().any(|statement| {
                statement.effect == effect
                    && (effect == Effect::Deny || statement.condition.is_none())
                    && statement.names(action, resource)
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

/// Opens a connection, where the resource is a route; sends a message, where it is one of a connection.
///
/// Source: Service Authorization Reference, "Actions defined by Amazon `API Gateway`".
pub(crate) const INVOKE: &str = "execute-api:Invoke";

/// Source: as above.
pub(crate) const MANAGE_CONNECTIONS: &str = "execute-api:ManageConnections";

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
        serde_json::from_value::<Policy>(json!({ "Statement": statement }))
            .unwrap()
            .allows(INVOKE, CONNECT)
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
    fn a_policy_says_which_operation_on_which_connections() {
        let arn = |rest: &str| format!("arn:aws:execute-api:us-east-1:1:a1b2c3d4e5/prod/{rest}");
        let policy = json!({ "Version": "2012-10-17", "Statement": {
            "Sid": "posts", "Effect": "Allow", "Action": "execute-api:ManageConnections",
            "Resource": arn("POST/@connections/*") } });
        let policy = Policy::parse(policy).unwrap();
        for (action, resource, expected) in [
            (MANAGE_CONNECTIONS, "POST/@connections/L0SM9cOFvHcCIhw=", true),
            (MANAGE_CONNECTIONS, "DELETE/@connections/L0SM9cOFvHcCIhw=", false),
            (INVOKE, "POST/@connections/L0SM9cOFvHcCIhw=", false),
            (INVOKE, "$connect", false),
        ] {
            assert_eq!(policy.allows(action, &arn(resource)), expected, "{action} {resource}");
        }
    }

    #[test]
    fn an_operator_learns_what_would_not_be_evaluated() {
        let with = |member: &str, value: Value| {
            let mut statement = allow("*");
            statement[member] = value;
            Policy::parse(json!({ "Statement": [statement] })).map_err(|error| error.to_string())
        };
        assert!(with("Sid", json!("x")).is_ok());
        for (member, value, said) in [
            ("Condition", json!({ "Bool": { "aws:SecureTransport": "true" } }), "not evaluated"),
            ("NotResource", json!("x"), "not evaluated"),
            ("Resource", Value::Null, "needs Effect, Action and Resource"),
            ("Effect", json!("Perhaps"), "not a policy document"),
        ] {
            let error = with(member, value).unwrap_err();
            assert!(error.contains(said), "{member}: {error}");
        }
        assert!(Policy::parse(json!("Allow")).is_err());
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(matches(&"*a".repeat(500), &"a".repeat(500)));
    }
}
