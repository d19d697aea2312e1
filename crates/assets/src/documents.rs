//! Documents in bodies of requests.
//!
//! Source: Amazon S3 API Reference, `CompleteMultipartUpload`, `DeleteObjects`, `CreateBucket`, `PutObjectTagging`.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::error::{Answered, Refused};
use crate::limits;

/// A part that an upload is completed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompletedPart {
    pub(crate) number: u32,
    pub(crate) etag: String,
}

/// Keys to delete, and whether only failures are told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) keys: Vec<String>,
    pub(crate) is_quiet: bool,
}

pub(crate) fn parts(text: &str) -> Answered<Vec<CompletedPart>> {
    let document = parse(text)?;
    let parts = children(document.root_element(), "Part").map(|part| {
        let number = child(part, "PartNumber").and_then(|number| number.trim().parse().ok());
        let etag = child(part, "ETag");
        let (Some(number), Some(etag)) = (number, etag) else {
            return Err(Refused::malformed_xml());
        };
        Ok(CompletedPart { number, etag: etag.trim_matches('"').to_owned() })
    });
    parts.collect()
}

pub(crate) fn deletion(text: &str) -> Answered<Deletion> {
    let document = parse(text)?;
    let root = document.root_element();
    let keys: Answered<Vec<String>> = children(root, "Object")
        .map(|object| child(object, "Key").map(str::to_owned).ok_or_else(Refused::malformed_xml))
        .collect();
    let keys = keys?;
    if keys.is_empty() || keys.len() > limits::PAGE_MAX {
        return Err(Refused::malformed_xml());
    }
    Ok(Deletion { keys, is_quiet: child(root, "Quiet") == Some("true") })
}

/// The region that a bucket is made in.
pub(crate) fn location(text: &str) -> Answered<Option<String>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let document = parse(text)?;
    Ok(child(document.root_element(), "LocationConstraint").map(str::to_owned))
}

pub(crate) fn tags(text: &str) -> Answered<BTreeMap<String, String>> {
    let document = parse(text)?;
    let set = children(document.root_element(), "TagSet").next();
    let set = set.ok_or_else(Refused::malformed_xml)?;
    let tag = |tag| {
        Some((child(tag, "Key")?.to_owned(), child(tag, "Value").unwrap_or_default().to_owned()))
    };
    children(set, "Tag").map(|one| tag(one).ok_or_else(Refused::malformed_xml)).collect()
}

/// Whether this is a document at all.
pub(crate) fn check(text: &str) -> Answered<()> {
    parse(text).map(drop)
}

fn parse(text: &str) -> Answered<Document<'_>> {
    // Documents with definitions of their own are refused, so nothing in them grows.
    Document::parse(text).map_err(|_| Refused::malformed_xml())
}

/// Elements by their names: callers write them with and without the name space.
fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    children(node, name).next()?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_and_without_name_space() {
        let text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ETag>&quot;e&quot;\
             </ETag><ChecksumCRC32>x</ChecksumCRC32><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
        assert_eq!(parts(text).unwrap(), [CompletedPart { number: 1, etag: "e".to_owned() }]);
        let text = "<Delete><Object><Key>a &amp; b</Key></Object><Quiet>true</Quiet></Delete>";
        let expected = Deletion { keys: vec!["a & b".to_owned()], is_quiet: true };
        assert_eq!(deletion(text).unwrap(), expected);
        assert_eq!(location("").unwrap(), None);
        let text = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
        assert_eq!(tags(text).unwrap(), [("k".to_owned(), "v".to_owned())].into());
    }

    #[test]
    fn what_would_grow_is_refused() {
        let bomb = "<!DOCTYPE d [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Delete><Object><Key>&b;</Key></Object></Delete>";
        assert_eq!(deletion(bomb).unwrap_err().code, "MalformedXML");
        let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
        check(&deep).ok(); // whichever: it returns
        for text in
            ["", "<Delete/>", "<a", "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>"]
        {
            assert!(deletion(text).is_err(), "{text}");
        }
    }
}
