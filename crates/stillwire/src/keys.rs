//! `[keys]` of `stillwire.toml`: the access keys that callers sign with, and what they may do.

use serde::Deserialize;
use serde_json::Value;
use stillwire_gateway::Key;
use stillwire_policy::{InvalidPolicy, Policy};

/// A key that cannot be used. It names the key, and never its secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidKey {
    /// It is neither a secret nor a table.
    #[error("keys.{0} is a secret, or a table with `secret` and `policy`")]
    Malformed(String),
    /// Its policy is no JSON.
    #[error("keys.{0}.policy is not JSON: {1}")]
    NotJson(String, serde_json::Error),
    /// Its policy cannot be evaluated.
    #[error("keys.{0}.policy cannot be used: {1}")]
    Policy(String, InvalidPolicy),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    secret: String,
    /// A policy document: JSON as text, or the same as a table.
    #[serde(default)]
    policy: Option<Value>,
}

/// Reads a key: `"its secret"`, or `{ secret = "…", policy = … }`.
pub(crate) fn read(name: &str, value: &toml::Value) -> Result<Key, InvalidKey> {
    if let Some(secret) = value.as_str() {
        return Ok(Key { secret: secret.to_owned(), policy: None });
    }
    // What is wrong with it is not told in serde's words: they would repeat what was written.
    let written = value.clone().try_into::<Written>();
    let Written { secret, policy } = written.map_err(|_| InvalidKey::Malformed(name.to_owned()))?;
    let document = match policy {
        Some(Value::String(text)) => {
            let parsed = serde_json::from_str(&text);
            Some(parsed.map_err(|error| InvalidKey::NotJson(name.to_owned(), error))?)
        }
        other => other,
    };
    let policy = document.map(Policy::parse).transpose();
    let policy = policy.map_err(|error| InvalidKey::Policy(name.to_owned(), error))?;
    Ok(Key { secret, policy })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Key, String> {
        let keys: toml::Table = toml::from_str(text).unwrap();
        read("AKID", &keys["AKID"]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_has_a_secret_and_perhaps_a_policy() {
        let key = parsed("AKID = \"s\"").unwrap();
        assert_eq!((key.secret.as_str(), key.policy.is_none()), ("s", true));
        for text in [
            "[AKID]\nsecret = \"s\"\n[[AKID.policy.Statement]]\nEffect = \"Allow\"\nAction = \"execute-api:*\"\nResource = [\"*\"]\n",
            "[AKID]\nsecret = \"s\"\npolicy = '{\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}}'\n",
        ] {
            let key = parsed(text).unwrap();
            assert_eq!((key.secret.as_str(), key.policy.is_some()), ("s", true));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, expected) in [
            ("AKID = 5", "keys.AKID is a secret, or a table"),
            ("AKID = { secret = \"hidden\", polcy = 1 }", "keys.AKID is a secret, or a table"),
            ("AKID = { policy = \"{}\" }", "keys.AKID is a secret, or a table"),
            ("AKID = { secret = \"hidden\", policy = \"{\" }", "keys.AKID.policy is not JSON"),
            (
                "AKID = { secret = \"hidden\", policy = { Version = \"x\" } }",
                "missing field `Statement`",
            ),
            (
                "AKID = { secret = \"hidden\", policy.Statement = { Effect = \"Allow\", Action = \"*\" } }",
                "needs Effect, Action and Resource",
            ),
        ] {
            let error = parsed(text).err().unwrap();
            assert!(error.contains(expected) && !error.contains("hidden"), "{error}");
        }
    }
}
