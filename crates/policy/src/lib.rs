//! Policies: may this principal do that?
//!
//! Authorizers give them, keys and the roles of functions have them. Conditions are evaluated as far as somebody tells what the
//! request is like; a statement with others allows nothing, and denies what it names.
//!
//! Source: IAM User Guide, "Policy evaluation logic": an explicit Deny wins, nothing matching is a Deny; `*` and `?`
//! match any characters, also `/`.

mod condition;

use serde::Deserialize;
use serde_json::Value;

pub use condition::Facts;
use condition::{Conditions, Truth};

/// A policy document.
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
    #[serde(default)]
    condition: Option<Conditions>,
    #[serde(default)]
    not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    not_resource: Option<OneOrMany<String>>,
    /// Only policies of resources have it.
    #[serde(default)]
    not_principal: Option<Value>,
}

/// What policies say about an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement is about it, which denies it too.
    Unsaid,
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
    /// Whether no statement names anything by exclusion (`NotAction`, `NotResource`, `NotPrincipal`).
    ///
    /// Choice: policies about connections that do are refused, so that a mistake in them lets nobody in.
    pub fn is_understood(&self) -> bool {
        self.statement.as_slice().iter().all(|statement| {
            statement.not_action.is_none()
                && statement.not_resource.is_none()
                && statement.not_principal.is_none()
        })
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

    /// Whether the policy allows `action` on `resource`, of which nothing else is known.
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        judge([self], action, resource, &|_| None) == Verdict::Allowed
    }

    /// Whether a condition is about one of these keys, which are in lower case.
    pub fn asks_for(&self, keys: &[&str]) -> bool {
        self.conditions().any(|(_, key, _)| keys.contains(&key.to_ascii_lowercase().as_str()))
    }

    /// The conditions about a service that are not evaluated where only keys are told that are `known` in lower case:
    /// operator and key.
    pub fn not_evaluated(&self, service: &str, known: impl Fn(&str) -> bool) -> Vec<String> {
        let statements = self.statement.as_slice().iter();
        let conditions = statements
            .filter(|statement| statement.may_be_about(service))
            .filter_map(|statement| statement.condition.as_ref())
            .flat_map(Conditions::list);
        let unknown = conditions
            .filter(|(_, key, evaluated)| !evaluated || !known(&key.to_ascii_lowercase()));
        unknown.map(|(operator, key, _)| format!("{operator} {key}")).collect()
    }

    fn conditions(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let conditions = self.statement.as_slice().iter().filter_map(|of| of.condition.as_ref());
        conditions.flat_map(Conditions::list)
    }

    fn has(&self, effect: Effect, action: &str, resource: &str, facts: Facts<'_>) -> bool {
        self.statement.as_slice().iter().any(|statement| {
            statement.effect == effect
                && statement.names(action, resource)
                && match statement.condition.as_ref().map_or(Truth::Yes, |of| of.hold(facts)) {
                    Truth::Yes => true,
                    Truth::No => false,
                    Truth::Unknown => effect == Effect::Deny,
                }
        })
    }
}

/// What policies say together about `action` on `resource`, of a request that is like this.
pub fn judge<'a>(
    policies: impl IntoIterator<Item = &'a Policy> + Clone,
    action: &str,
    resource: &str,
    facts: Facts<'_>,
) -> Verdict {
    let any = |effect: Effect| {
        policies.clone().into_iter().any(|policy| policy.has(effect, action, resource, facts))
    };
    if any(Effect::Deny) {
        Verdict::Denied
    } else if any(Effect::Allow) {
        Verdict::Allowed
    } else {
        Verdict::Unsaid
    }
}

impl Statement {
    fn may_be_about(&self, service: &str) -> bool {
        let fits = |action: &String| {
            let of = action.split(':').next().unwrap_or_default();
            matches(&of.to_ascii_lowercase(), service)
        };
        self.action.as_ref().is_none_or(|actions| actions.as_slice().iter().any(fits))
    }

    /// Whether the statement is about `action` on `resource`. Actions compare without case, resources with it.
    fn names(&self, action: &str, resource: &str) -> bool {
        let is_action =
            |pattern: &String| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase());
        let is_resource = |pattern: &String| matches(pattern, resource);
        either(self.action.as_ref(), self.not_action.as_ref(), is_action)
            && either(self.resource.as_ref(), self.not_resource.as_ref(), is_resource)
    }
}

/// Whether one of those named fits, and none of those excluded. Nothing fits where neither is said.
fn either(
    named: Option<&OneOrMany<String>>,
    excluded: Option<&OneOrMany<String>>,
    fits: impl Fn(&String) -> bool,
) -> bool {
    let any = |patterns: &OneOrMany<String>| patterns.as_slice().iter().any(&fits);
    (named.is_some() || excluded.is_some())
        && named.is_none_or(any)
        && excluded.is_none_or(|patterns| !any(patterns))
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

    const INVOKE: &str = "execute-api:Invoke";
    const MANAGE_CONNECTIONS: &str = "execute-api:ManageConnections";
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
    fn what_is_named_by_exclusion_is_everything_else() {
        let table = "arn:aws:dynamodb:eu-west-1:1:table/a";
        let says = |statement: Value, action: &str| {
            let policy: Policy = serde_json::from_value(json!({ "Statement": statement })).unwrap();
            assert!(!policy.is_understood());
            judge([&policy], action, table, &|_| None)
        };
        let power = json!({ "Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*" });
        assert_eq!(says(power.clone(), "dynamodb:GetItem"), Verdict::Allowed);
        assert_eq!(says(power, "iam:GetRole"), Verdict::Unsaid);
        let only = |table: &str| {
            json!([{ "Effect": "Deny", "Action": "*", "NotResource": table },
                   { "Effect": "Allow", "Action": "*", "Resource": "*" }])
        };
        assert_eq!(says(only(table), "dynamodb:GetItem"), Verdict::Allowed);
        assert_eq!(says(only("other"), "dynamodb:GetItem"), Verdict::Denied);
        let nothing = json!({ "Effect": "Allow", "NotAction": "iam:*" });
        assert_eq!(says(nothing, "dynamodb:GetItem"), Verdict::Unsaid);
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(matches(&"*a".repeat(500), &"a".repeat(500)));
    }
}
