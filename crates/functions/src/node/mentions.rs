//! What a function's source asks for that it may not bring: packages of the AWS SDK for JavaScript.

use std::collections::BTreeSet;

use crate::code::Roots;
use crate::sources::Sources;

/// Packages that are installed for one function.
const PACKAGES_MAX: usize = 64;

/// What the managed runtimes carry.
///
/// Source: AWS Lambda Developer Guide, "Runtime-included SDK versions".
const SCOPES: [&str; 2] = ["@aws-sdk/", "@smithy/"];

const SOURCES: Sources = Sources {
    skipped: &[".git", "node_modules", "__pycache__", "cdk.out"],
    extensions: &["js", "mjs", "cjs", "ts", "mts", "cts"],
    file_bytes_max: 8 * 1024 * 1024, // a bundle may be large
};

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Packages of the SDK that are required or imported.
    pub(super) packages: BTreeSet<String>,
    /// Whether anything is imported, not only required; or there was too much to read.
    pub(super) imports: bool,
}

impl Mentions {
    /// Looks through a function's folders. Disk work: not for the reactor.
    pub(super) fn find(roots: &Roots) -> Self {
        let mut found = Self::default();
        let whole = SOURCES.read(roots, &mut |text| found.read(text));
        found.imports |= !whole;
        found
    }

    fn read(&mut self, text: &str) {
        self.imports |= ["import(", "import ", "import{", "import*", "import\"", "import'"]
            .iter()
            .any(|word| text.contains(word));
        for scope in SCOPES {
            for (at, _) in text.match_indices(scope) {
                let (Some(before), Some(rest)) = (text.get(..at), text.get(at + scope.len()..))
                else {
                    continue;
                };
                if let Some(name) = package(before, rest)
                    && self.packages.len() < PACKAGES_MAX
                {
                    self.packages.insert(format!("{scope}{name}"));
                }
            }
        }
    }
}

/// The package's name, where the text before it requires or imports it.
fn package<'a>(before: &str, rest: &'a str) -> Option<&'a str> {
    let quote = before.chars().next_back().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let before = before.strip_suffix(quote)?.trim_end();
    let asked = ["require(", "import(", "from", "import"].iter().any(|word| before.ends_with(word));
    let end = rest.find([quote, '/'])?;
    let name = rest.get(..end)?;
    let is_name =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (asked && !name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(text: &str) -> Vec<String> {
        let mut found = Mentions::default();
        found.read(text);
        found.packages.into_iter().collect()
    }

    #[test]
    fn packages_are_found_where_they_are_asked_for() {
        for text in [
            "const a = require('@aws-sdk/client-s3')",
            "import { S3 } from \"@aws-sdk/client-s3\";",
            "import{S3 as a}from\"@aws-sdk/client-s3\";",
            "await import(`@aws-sdk/client-s3`)",
            "import '@aws-sdk/client-s3/dist-cjs/x.js'",
        ] {
            assert_eq!(packages(text), ["@aws-sdk/client-s3"], "{text}");
        }
    }

    #[test]
    fn a_bundle_that_only_names_a_package_does_not_ask_for_it() {
        for text in [
            "// node_modules/@aws-sdk/client-s3/dist-es/S3.js",
            "var p = { name: \"@aws-sdk/client-s3\" }",
            "require('@aws-sdk/../../x')",
            "require('@aws-sdk/",
        ] {
            assert_eq!(packages(text), [] as [&str; 0], "{text}");
        }
    }
}
