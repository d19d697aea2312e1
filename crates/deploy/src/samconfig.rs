//! `samconfig.toml`: how `sam deploy` is called for a template beside it.
//!
//! Source: SAM CLI configuration file, environment `default`, command `deploy` over `global`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use crate::assets::read_text;
use crate::node::Position;
use crate::problem::{Location, Problem};

/// What the file says about a deployment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SamConfig {
    pub(crate) stack: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl SamConfig {
    /// Reads the file beside a template, if there is one.
    pub(crate) fn beside(template: &Path) -> Result<Self, Problem> {
        let file = template.with_file_name("samconfig.toml");
        if !file.is_file() {
            return Ok(Self::default());
        }
        let text = read_text(&file)?;
        let root: Table = text.parse().map_err(|error: toml::de::Error| {
            let at = error.span().map_or(Position::START, |span| position(&text, span.start));
            Problem::new(Location::at(&file, at), format!("this is not TOML: {}", error.message()))
        })?;
        let section = |command: &str| {
            let environment = root.get("default").and_then(Value::as_table)?;
            environment.get(command)?.get("parameters").and_then(Value::as_table)
        };
        let value = |name: &str| {
            ["deploy", "global"].iter().find_map(|command| section(command)?.get(name))
        };
        let text = |name: &str| value(name).and_then(Value::as_str).map(str::to_owned);
        let parameters = match value("parameter_overrides") {
            Some(Value::String(text)) => pairs(text),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).flat_map(pairs).collect()
            }
            Some(Value::Table(table)) => table
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
                .collect(),
            _ => BTreeMap::new(),
        };
        Ok(Self { stack: text("stack_name"), region: text("region"), parameters })
    }
}

fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        _ => return None,
    })
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column) }
}

/// `A=b C="d e"`, also with SAM's long form `ParameterKey=A,ParameterValue=b`.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for word in words(text) {
        let long =
            word.strip_prefix("ParameterKey=").and_then(|rest| rest.split_once(",ParameterValue="));
        if let Some((name, value)) = long.or_else(|| word.split_once('=')) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values
}

/// The words of a text; quotes keep spaces together and are left out.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let Some(word) = words.last_mut() else { break };
        match (character, quote) {
            ('\\', _) => word.extend(characters.next()),
            (character, Some(open)) if character == open => quote = None,
            ('"' | '\'', None) => quote = Some(character),
            (character, None) if character.is_whitespace() => words.push(String::new()),
            (character, _) => word.push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SamConfig, Problem> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("samconfig.toml"), text).unwrap();
        SamConfig::beside(&dir.path().join("template.yaml"))
    }

    #[test]
    fn the_ways_to_write_overrides_are_one() {
        let overrides = [
            r#""A=1 B=\"x y\"""#,
            r#"["A=1", "B='x y'"]"#,
            r#""ParameterKey=A,ParameterValue=1 ParameterKey=B,ParameterValue='x y'""#,
            r#"{ A = 1, B = "x y" }"#,
        ];
        for text in overrides {
            let text = format!(
                "version = 0.1\n[default.global.parameters]\nstack_name = \"s\"\nregion = \"eu-west-1\"\n\
                 [default.deploy.parameters]\nstack_name = \"t\"\nparameter_overrides = {text}\n"
            );
            let config = read(&text).unwrap();
            assert_eq!(
                (config.stack.as_deref(), config.region.as_deref()),
                (Some("t"), Some("eu-west-1"))
            );
            let values: Vec<_> =
                config.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(values, [("A", "1"), ("B", "x y")]);
        }
    }

    #[test]
    fn no_file_says_nothing_and_a_broken_one_is_told_with_its_place() {
        assert_eq!(
            SamConfig::beside(Path::new("/nowhere/template.yaml")).unwrap(),
            SamConfig::default()
        );
        let problem = read("version = 0.1\n[default\n").unwrap_err().to_string();
        assert!(problem.contains("samconfig.toml:2:") && problem.contains("not TOML"), "{problem}");
    }
}
