//! What Parameter Store and Secrets Manager hold, as far as the person at the terminal says: a file of their own.
//!
//! ```yaml
//! ssm:                        # Parameter Store
//!   /chat/motd: hello
//!   /chat/names: [ada, bob]   # a StringList
//! secretsmanager:
//!   chat/password: sesame
//!   chat/keys: { api: k1 }    # an object is the JSON of the secret
//! ```
//!
//! Values of it appear in no message.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stillwire_model::{Keeper, SystemParameters};

use crate::assets::read_text;
use crate::node::{Node, Value};
use crate::problem::{Location, Problem};

/// The values of a file, by the names they have in the services.
#[derive(Default)]
pub(crate) struct Store {
    ssm: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    /// What calls have put into Parameter Store.
    by_calls: Option<Arc<dyn SystemParameters>>,
}

// Names only: what is secret has no business in a log.
impl std::fmt::Debug for Store {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.ssm.keys().chain(self.secrets.keys()).collect();
        out.debug_tuple("Store").field(&names).finish()
    }
}

impl Store {
    /// Reads a file of values, in JSON or YAML.
    pub(crate) fn read(file: &Path) -> Result<Self, Vec<Problem>> {
        let text = read_text(file).map_err(|problem| vec![problem])?;
        let root = Node::parse(&text)
            .map_err(|error| vec![Problem::new(Location::at(file, error.at), error.problem)])?;
        let mut store = Self::default();
        let mut problems = Vec::new();
        let mut refuse = |at, message: String| {
            let problem = Problem::new(Location::at(file, at), message);
            problems.push(problem.hint("it has two sections: ssm and secretsmanager"));
        };
        let Value::Map(map) = root.value else {
            refuse(root.at, "a file of values is an object".to_owned());
            return Err(problems);
        };
        for section in map.0 {
            let into = match section.name.as_str() {
                "ssm" => &mut store.ssm,
                "secretsmanager" => &mut store.secrets,
                other => {
                    refuse(section.at, format!("{other} is not a service that values are read of"));
                    continue;
                }
            };
            let Value::Map(values) = section.node.value else {
                refuse(section.node.at, format!("{} is an object: names and values", section.name));
                continue;
            };
            for member in values.0 {
                into.insert(member.name, text_of(&member.node, section.name == "ssm"));
            }
        }
        if problems.is_empty() { Ok(store) } else { Err(problems) }
    }

    /// Reads what calls have put into Parameter Store too.
    pub(crate) fn beside(self, by_calls: Option<Arc<dyn SystemParameters>>) -> Self {
        Self { by_calls, ..self }
    }

    /// The value of a Parameter Store entry that calls have put there; `name:3` is a version.
    pub(crate) fn put_by_calls(&self, account: &str, region: &str, name: &str) -> Option<String> {
        let numbered = name
            .rsplit_once(':')
            .and_then(|(name, number)| Some((name, Some(number.parse::<u64>().ok()?))));
        let (name, version) = numbered.unwrap_or((name, None));
        self.by_calls.as_ref()?.value(account, region, name, version)
    }

    /// All values of the file.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Keeper, &str, &str)> {
        let kind = || Keeper::ParameterStore { kind: "SecureString".to_owned() };
        let parameters = self.ssm.iter().map(move |(name, value)| (kind(), name, value));
        let secrets =
            self.secrets.iter().map(|(name, value)| (Keeper::SecretsManager, name, value));
        parameters
            .chain(secrets)
            .map(|(keeper, name, value)| (keeper, name.as_str(), value.as_str()))
    }

    /// The value of a Parameter Store entry.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.ssm.get(name).map(String::as_str)
    }

    /// The value of a secret, by its name or ARN. Its ARN ends with its name, a dash and six characters.
    pub(crate) fn secret(&self, id: &str) -> Option<&str> {
        let name = id.split_once(":secret:").map_or(id, |(_, name)| name);
        let short = name.rsplit_once('-').filter(|(_, random)| random.len() == 6);
        let names = [Some(id), Some(name), short.map(|(short, _)| short)];
        names.into_iter().flatten().find_map(|name| self.secrets.get(name)).map(String::as_str)
    }
}

/// What an entry holds: a text, a list with commas (`StringList`), or the JSON of an object.
fn text_of(node: &Node, is_list: bool) -> String {
    match (node.scalar(), node.as_list()) {
        (Some(text), _) => text,
        (None, Some(items)) if is_list => {
            items.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",")
        }
        _ => node.to_json().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Store, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("values.yaml");
        std::fs::write(&file, text).unwrap();
        Store::read(&file).map_err(|problems| problems.first().unwrap().to_string())
    }

    #[test]
    fn values_are_found_by_name_and_secrets_by_arn_too() {
        let text = "ssm: { /a: x, /list: [a, 1] }\nsecretsmanager: { chat/pw: s, keys: { k: v } }";
        let store = read(text).unwrap();
        assert_eq!(store.parameter("/a"), Some("x"));
        assert_eq!(store.parameter("/list"), Some("a,1"));
        assert_eq!(store.parameter("/b"), None);
        assert_eq!(store.secret("keys"), Some("{\"k\":\"v\"}"));
        let arn = "arn:aws:secretsmanager:us-east-1:1:secret:chat/pw";
        assert_eq!(store.secret(arn), Some("s"));
        assert_eq!(store.secret(&format!("{arn}-aB3dE5")), Some("s"));
        assert_eq!(store.secret(&format!("{arn}-other")), None);
        assert!(!format!("{store:?}").contains("\"s\""));
    }

    #[test]
    fn another_shape_is_refused_with_the_shape_it_has() {
        let error = read("ssm: {}\nsecrets: {}").unwrap_err();
        assert!(
            error.contains("values.yaml:2:1") && error.contains("ssm and secretsmanager"),
            "{error}"
        );
        assert!(read("[1]").unwrap_err().contains("is an object"));
    }
}
