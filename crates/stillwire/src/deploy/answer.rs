//! What services answer: XML, read member by member.

use std::fmt;

use anyhow::Result;
use roxmltree::{Document, Node};
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer(String);

/// A refusal, in the service's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: String,
    message: String,
}

/// Something that happened to a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
}

/// A change that a change set would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    action: String,
    logical_id: String,
    kind: String,
    replaces: bool,
    /// The names of what differs.
    parts: Vec<String>,
}

impl Answer {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text of the first element of this name, wherever it is.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let document = Document::parse(&self.0).ok()?;
        let found = document.descendants().find(|node| node.tag_name().name() == name)?;
        Some(found.text().unwrap_or_default().to_owned())
    }

    /// Reads the members of a list.
    pub(crate) fn members<T>(&self, list: &str, read: impl Fn(Member<'_, '_>) -> T) -> Vec<T> {
        let Ok(document) = Document::parse(&self.0) else { return Vec::new() };
        let mut lists = document.descendants().filter(|node| node.tag_name().name() == list);
        let members = lists.next().into_iter().flat_map(|list| list.children());
        members.filter(Node::is_element).map(|node| read(Member(node))).collect()
    }
}

/// A member of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a, 'input>(Node<'a, 'input>);

impl Member<'_, '_> {
    /// The text of a member of it.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        let found = self.0.children().find(|node| node.tag_name().name() == name)?;
        Some(found.text().unwrap_or_default().to_owned())
    }

    /// The same, empty where there is none.
    pub(crate) fn or_empty(self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }
}

impl Refusal {
    pub(crate) fn read(status: u16, text: String) -> Self {
        let answer = Answer(text);
        let code = answer.text("Code").unwrap_or_default();
        let message = answer.text("Message").filter(|text| !text.is_empty());
        Self { code, message: message.unwrap_or_else(|| format!("the answer is {status}")) }
    }
}

impl Event {
    /// The newest first.
    pub(crate) fn all(answer: &Answer) -> Vec<Self> {
        answer.members("StackEvents", |event| Self {
            id: event.or_empty("EventId"),
            logical_id: event.or_empty("LogicalResourceId"),
            physical_id: event.or_empty("PhysicalResourceId"),
            kind: event.or_empty("ResourceType"),
            status: event.or_empty("ResourceStatus"),
            reason: event.text("ResourceStatusReason"),
        })
    }
}

impl Change {
    pub(crate) fn all(answer: &Answer) -> Vec<Self> {
        answer.members("Changes", |change| {
            let resource = change.0.children().find(|node| node.has_tag_name_of("ResourceChange"));
            let resource = resource.map_or(change, Member);
            let details = resource.0.children().find(|node| node.has_tag_name_of("Details"));
            let details = details.into_iter().flat_map(|details| details.children());
            let part = |detail: Node<'_, '_>| {
                let target = detail.children().find(|node| node.has_tag_name_of("Target"))?;
                let target = Member(target);
                target.text("Name").or_else(|| target.text("Attribute"))
            };
            Self {
                action: resource.or_empty("Action"),
                logical_id: resource.or_empty("LogicalResourceId"),
                kind: resource.or_empty("ResourceType"),
                replaces: resource.text("Replacement").as_deref() == Some("True"),
                parts: details.filter_map(part).collect(),
            }
        })
    }

    pub(crate) fn json(&self) -> Value {
        let Self { action, logical_id, kind, replaces, parts } = self;
        json!({ "action": action, "logical_id": logical_id, "type": kind, "replaces": replaces,
            "parts": parts })
    }
}

/// `~ AWS::Lambda::Function  Chat  Code`.
impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action.as_str() {
            "Add" => "+",
            "Remove" => "-",
            _ => "~",
        };
        write!(out, "{sign} {}  {}", self.kind, self.logical_id)?;
        if !self.parts.is_empty() {
            write!(out, "  {}", self.parts.join(", "))?;
        }
        if self.replaces {
            write!(out, "  (replaced)")?;
        }
        Ok(())
    }
}

/// Elements by their names, whatever their name space.
trait Named {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl Named for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// What a refusal says, where an error is one.
pub(crate) fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    error.downcast_ref()
}

/// Nothing, where a refusal says that there is no such stack.
pub(crate) fn if_there(answer: Result<Answer>) -> Result<Option<Answer>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match refusal(&error) {
            Some(refusal) if refusal.message.contains("does not exist") => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_by_names() {
        let text = "<R xmlns=\"x\"><Changes><member><Type>Resource</Type><ResourceChange><Action>Modify</Action>\
            <LogicalResourceId>F</LogicalResourceId><ResourceType>T</ResourceType><Replacement>True</Replacement><Details>\
            <member><Target><Attribute>Properties</Attribute><Name>Code</Name></Target></member></Details></ResourceChange>\
            </member></Changes></R>";
        let changes = Change::all(&Answer::new(text.to_owned()));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].to_string(), "~ T  F  Code  (replaced)");
        let refused = Refusal::read(
            400,
            "<E><Error><Code>C</Code><Message>m</Message></Error></E>".to_owned(),
        );
        assert_eq!((refused.code.as_str(), refused.to_string().as_str()), ("C", "m"));
        assert_eq!(Refusal::read(502, "no XML".to_owned()).to_string(), "the answer is 502");
    }
}
