//! `.env` files beside a configuration: more of the environment, which the real one comes before.
//!
//! Source: Serverless Framework documentation, "Environment variables": `.env`, and `.env.STAGE` before it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Options;
use crate::assets::read_text;

/// The environment with what the files add.
pub(super) fn with_files(config: &Path, options: Options<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let stage = options.stage.unwrap_or("dev");
    for name in [".env".to_owned(), format!(".env.{stage}")] {
        let file = config.with_file_name(name);
        if file.is_file()
            && let Ok(text) = read_text(&file)
        {
            environment.extend(text.lines().filter_map(pair));
        }
    }
    environment.extend(options.environment.clone());
    environment
}

/// `NAME=value`, also after `export`, with the value in quotes or before a comment.
fn pair(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?;
        inner.split_once(quote).map(|(inner, _)| inner)
    });
    let plain = || value.split(" #").next().unwrap_or_default().trim();
    Some((name.trim().to_owned(), quoted.unwrap_or_else(plain).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_values() {
        let read = |line: &str| pair(line).map(|(name, value)| format!("{name}>{value}"));
        for (line, expected) in [
            ("A=1", Some("A>1")),
            ("export B = \"two words # kept\" # comment", Some("B>two words # kept")),
            ("C='x=y'", Some("C>x=y")),
            ("D=plain # comment", Some("D>plain")),
            ("# E=1", None),
            ("nothing", None),
        ] {
            assert_eq!(read(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn the_environment_comes_before_the_stages_file_and_that_before_the_common_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".env"), "A=common\nB=common\nC=common\n").unwrap();
        std::fs::write(dir.path().join(".env.test"), "A=test\nB=test\n").unwrap();
        let environment = [("A".to_owned(), "real".to_owned())].into();
        let none = BTreeMap::new();
        let options = Options {
            stage: Some("test"),
            environment: &environment,
            parameters: &none,
            account: "1",
        };
        let all = with_files(&dir.path().join("serverless.yml"), options);
        let values: Vec<_> = all.values().map(String::as_str).collect();
        assert_eq!(values, ["real", "test", "common"]);
    }
}
