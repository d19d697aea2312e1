//! What a function's source says of boto3: whether it uses it, and for which services.

use std::collections::BTreeSet;

use crate::code::Roots;
use crate::sources::Sources;

/// Services that are loaded before anybody asks.
const SERVICES_MAX: usize = 8;

const SOURCES: Sources = Sources {
    skipped: &[".git", "node_modules", "__pycache__", ".venv", "boto3", "botocore", "s3transfer"],
    extensions: &["py"],
    file_bytes_max: 1024 * 1024,
};

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Mentions {
    /// "boto" stands somewhere; or there was too much to read, and an installation too many is better than an import
    /// that fails.
    pub(super) boto: bool,
    /// What `boto3.client` and `boto3.resource` are called with: the function's name and the service.
    pub(super) services: BTreeSet<(&'static str, String)>,
}

impl Mentions {
    /// Looks through a function's folders. Disk work: not for the reactor.
    pub(super) fn find(roots: &Roots) -> Self {
        let mut found = Self::default();
        let whole = SOURCES.read(roots, &mut |text| found.read(text));
        found.boto |= !whole;
        found
    }

    fn read(&mut self, text: &str) {
        if !text.contains("boto") {
            return;
        }
        self.boto = true;
        for kind in ["client", "resource"] {
            for (at, _) in text.match_indices(kind) {
                let rest = text.get(at + kind.len()..).unwrap_or_default();
                if let Some(service) = first_argument(rest)
                    && self.services.len() < SERVICES_MAX
                {
                    self.services.insert((kind, service.to_owned()));
                }
            }
        }
    }
}

/// The text of `("dynamodb"`, with either quotes.
fn first_argument(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('(')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (name, _) = rest.get(1..)?.split_once(quote)?;
    let is_name =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_where_they_are_named() {
        let mut found = Mentions::default();
        found.read("import boto3\nboto3.resource('dynamodb')\nx = session.client( \"s3\", y)\nclient(name)");
        let services = [("client", "s3".to_owned()), ("resource", "dynamodb".to_owned())];
        assert!(found.boto);
        assert_eq!(found.services, BTreeSet::from(services));
    }

    #[test]
    fn code_without_boto_names_no_services() {
        let mut found = Mentions::default();
        found.read("http.client('x')");
        assert_eq!(found, Mentions::default());
    }
}
