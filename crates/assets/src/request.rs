//! What a request is about: a bucket, an object, and which side of it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::error::{Answered, Refused};
use crate::limits;

/// The headers of a request, by names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn new(headers: Vec<(String, String)>) -> Self {
        Self(headers)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What stands in a query.
#[derive(Debug, Default)]
pub(crate) struct Queried(BTreeMap<String, String>);

impl Queried {
    pub(crate) fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().take(100).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The side of a bucket or object that is meant, if it is not the thing itself.
    pub(crate) fn side(&self, sides: &[&'static str]) -> Option<&'static str> {
        sides.iter().copied().find(|side| self.has(side))
    }
}

/// A bucket and an object in it, as far as they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

/// Reads host and path: the bucket is the first part of either.
///
/// Source: Amazon S3 User Guide, "Virtual hosting of general purpose buckets".
pub(crate) fn place(host: &str, path: &str) -> Answered<Place> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(String::from)
            .map_err(|_| Refused::new(400, "InvalidURI", "Couldn't parse the specified URI."))
    };
    let (bucket, key) = match bucket_of_host(host) {
        Some(bucket) => (Some(bucket.to_owned()), decoded(path)?),
        None => match path.split_once('/') {
            Some((bucket, key)) => (Some(decoded(bucket)?), decoded(key)?),
            None => (Some(decoded(path)?), String::new()),
        },
    };
    let bucket = bucket.filter(|bucket| !bucket.is_empty());
    if key.len() > limits::KEY_BYTES_MAX {
        return Err(Refused::new(400, "KeyTooLongError", "Your key is too long"));
    }
    Ok(Place { bucket, key: Some(key).filter(|key| !key.is_empty()) })
}

/// The bucket that a host name begins with: `b.s3.eu-west-1.amazonaws.com`, `b.localhost:7799`, `b.s3.localhost`.
fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let rest = ["localhost", "amazonaws.com", "amazonaws.com.cn"]
        .iter()
        .find_map(|end| name.strip_suffix(end)?.strip_suffix('.'))?;
    let labels: Vec<&str> = rest.split('.').collect();
    let service = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"));
    let bucket = match service {
        Some(0) => return None,
        // The labels before the service's, with the dot behind them.
        Some(count) => labels.iter().take(count).map(|label| label.len() + 1).sum::<usize>() - 1,
        None if name.ends_with("localhost") => rest.len(),
        None => return None,
    };
    name.get(..bucket)
}

/// Whether this is a name that a bucket may have.
///
/// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
        })
        && is_end(name.bytes().next())
        && is_end(name.bytes().last())
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(host: &str, path: &str) -> (Option<String>, Option<String>) {
        let Place { bucket, key } = place(host, path).unwrap();
        (bucket, key)
    }

    #[test]
    fn bucket_and_key_are_found_in_both_styles() {
        let both = (Some("b.x".to_owned()), Some("a/k +.zip".to_owned()));
        for (host, path) in [
            ("127.0.0.1:7799", "/b.x/a/k%20%2B.zip"),
            ("localhost:7799", "/b.x/a/k%20+.zip"),
            ("s3.eu-west-1.amazonaws.com", "/b.x/a/k%20+.zip"),
            ("s3.localhost", "/b.x/a/k%20+.zip"),
            ("b.x.s3.eu-west-1.amazonaws.com", "/a/k%20+.zip"),
            ("b.x.s3-eu-west-1.amazonaws.com:443", "/a/k%20+.zip"),
            ("b.x.s3.localhost:7799", "/a/k%20+.zip"),
            ("b.x.localhost:7799", "/a/k%20+.zip"),
        ] {
            assert_eq!(read(host, path), both, "{host} {path}");
        }
        assert_eq!(read("127.0.0.1", "/"), (None, None));
        assert_eq!(read("127.0.0.1", "/b"), (Some("b".into()), None));
        assert_eq!(read("127.0.0.1", "/b/"), (Some("b".into()), None));
        assert_eq!(read("b.localhost", "/"), (Some("b".into()), None));
        let long = format!("/b/{}", "k".repeat(limits::KEY_BYTES_MAX + 1));
        assert_eq!(place("x", &long).unwrap_err().code, "KeyTooLongError");
        assert_eq!(place("x", "/b/%ff").unwrap_err().code, "InvalidURI");
    }

    #[test]
    fn a_bucket_has_the_name_of_one() {
        for name in ["abc", "cdk-hnb659fds-assets-999999999999-us-east-1", "a.b-c1"] {
            assert!(is_bucket_name(name), "{name}");
        }
        for name in ["ab", "Abc", "../etc", "a/b", "-abc", "abc.", "a..b", &"a".repeat(64)] {
            assert!(!is_bucket_name(name), "{name}");
        }
    }
}
