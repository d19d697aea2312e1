//! One template, taken apart into its sections, and the scope its names live in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::node::{Map, Node, Position, Value};
use crate::physical;
use crate::problem::{Location, Problem};

/// Where a stack lives: what its pseudo parameters say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) stack: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// Whether logical ids stand for themselves, so that no physical ones are made up.
    pub(crate) given_ids: bool,
}

impl Scope {
    pub(crate) fn new(stack: &str, account: &str, region: &str) -> Self {
        let (stack, account, region) = (stack.to_owned(), account.to_owned(), region.to_owned());
        Self { stack, account, region, given_ids: false }
    }

    /// Where parts live that no template declares: their ids are what they are.
    pub(crate) fn of_definition(account: &str, region: &str) -> Self {
        Self { given_ids: true, ..Self::new("", account, region) }
    }

    pub(crate) fn partition(&self) -> &'static str {
        match &self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Stays Amazon's: finished addresses are rewritten instead, because the region may be written out.
    pub(crate) fn url_suffix(&self) -> &'static str {
        if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    pub(crate) fn stack_id(&self) -> String {
        let Self { stack, account, region, .. } = self;
        let partition = self.partition();
        let uuid = physical::uuid(self, "stack", "");
        format!("arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/{uuid}")
    }

    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }
}

/// A template's sections.
#[derive(Debug)]
pub(crate) struct Template {
    /// What it says it is for.
    pub(crate) description: Option<String>,
    pub(crate) file: PathBuf,
    pub(crate) parameters: BTreeMap<String, Node>,
    pub(crate) mappings: BTreeMap<String, Node>,
    pub(crate) conditions: BTreeMap<String, Node>,
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) outputs: BTreeMap<String, Node>,
    /// The names of the outputs as the template orders them.
    pub(crate) output_order: Vec<String>,
}

/// One resource as declared.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) at: Position,
    pub(crate) kind: String,
    pub(crate) node: Node,
    /// Where it stands among the others, so that reports keep the template's order.
    pub(crate) index: usize,
}

impl Resource {
    pub(crate) fn property(&self, name: &str) -> Option<&Node> {
        self.node.get("Properties").and_then(|properties| properties.get(name))
    }

    /// Whether it stays with its data when it leaves the template.
    ///
    /// Source: `CloudFormation`, `DeletionPolicy` (default `Delete`).
    pub(crate) fn is_retained(&self) -> bool {
        let policy = self.node.get("DeletionPolicy").and_then(Node::as_text);
        matches!(policy, Some("Retain" | "RetainExceptOnCreate" | "Snapshot"))
    }

    pub(crate) fn metadata(&self, name: &str) -> Option<&str> {
        self.node.get("Metadata").and_then(|metadata| metadata.get(name)).and_then(Node::as_text)
    }
}

/// Reads a template's text, whatever it says.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Node, Vec<Problem>> {
    // Source: CloudFormation takes what begins with a brace for JSON, whatever the file's name.
    let is_json = text.trim_start().starts_with('{');
    let root = if is_json { Node::parse_json(text) } else { Node::parse_yaml(text) };
    root.map_err(|error| {
        let at = Location::at(file, error.at);
        let language = if is_json { "JSON" } else { "YAML" };
        vec![Problem::new(at, format!("this is not {language}: {}", error.problem))]
    })
}

impl Template {
    /// Reads the text of a template.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let root = parse(file, text)?;
        let description = root.get("Description").and_then(Node::as_text).map(str::to_owned);
        let mut reader = Sections { file, problems: Vec::new() };
        let Value::Map(map) = root.value else {
            return Err(vec![reader.problem(root.at, "a template is an object with `Resources`")]);
        };
        reader.transform(&map);
        let outputs = reader.section(&map, "Outputs");
        let resources = reader.section(&map, "Resources");
        if resources.0.is_empty() && map.get("Resources").is_none() {
            let problem =
                reader.problem(root.at, "there is no `Resources` section in this template");
            reader.problems.push(problem);
        }
        let template = Self {
            file: file.to_owned(),
            description,
            parameters: named(reader.section(&map, "Parameters")),
            mappings: named(reader.section(&map, "Mappings")),
            conditions: named(reader.section(&map, "Conditions")),
            resources: reader.resources(resources),
            output_order: outputs.0.iter().map(|member| member.name.clone()).collect(),
            outputs: named(outputs),
        };
        if reader.problems.is_empty() { Ok(template) } else { Err(reader.problems) }
    }
}

fn named(map: Map) -> BTreeMap<String, Node> {
    map.0.into_iter().map(|member| (member.name, member.node)).collect()
}

struct Sections<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
}

impl Sections<'_> {
    fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem::new(Location::at(self.file, at), message)
    }

    fn section(&mut self, root: &Map, name: &str) -> Map {
        match root.get(name) {
            None => Map::default(),
            Some(Node { value: Value::Map(map), .. }) => {
                if let Some(member) = map.0.iter().find(|m| m.name.starts_with("Fn::ForEach")) {
                    let problem = self
                        .problem(member.at, "Fn::ForEach is not read yet")
                        .hint("write the repeated entries out, or let the CDK's own loop do it");
                    self.problems.push(problem);
                }
                map.clone()
            }
            Some(node) => {
                let message = format!("`{name}` is an object, not {}", node.kind());
                let problem = self.problem(node.at, message);
                self.problems.push(problem);
                Map::default()
            }
        }
    }

    fn transform(&mut self, root: &Map) {
        let Some(node) = root.get("Transform") else { return };
        let names: Vec<&Node> = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        for node in names {
            let problem = match node.as_text() {
                // Its functions are read wherever they appear.
                Some("AWS::LanguageExtensions") => continue,
                Some(name) if name.starts_with("AWS::Serverless") => self
                    .problem(node.at, "SAM templates are not read yet")
                    .hint("give the transformed template, in which every type is a plain one"),
                Some(name) => self.problem(node.at, format!("the macro {name} is not known here")),
                None => self.problem(node.at, "a macro with parameters is not read here"),
            };
            self.problems.push(problem);
        }
    }

    fn resources(&mut self, section: Map) -> BTreeMap<String, Resource> {
        let mut resources = BTreeMap::new();
        for (index, member) in section.0.into_iter().enumerate() {
            if member.name.starts_with("Fn::ForEach") {
                continue; // reported with the section
            }
            let mut refuse = |at, message: &str| {
                let mut problem = self.problem(at, message);
                problem.location.logical_id = Some(member.name.clone());
                self.problems.push(problem);
            };
            match member.node.get("Type") {
                Some(Node { value: Value::Text(kind), .. }) => {
                    let kind = kind.clone();
                    let resource = Resource { at: member.at, kind, node: member.node, index };
                    resources.insert(member.name, resource);
                }
                Some(node) => refuse(node.at, "`Type` is a text"),
                None => refuse(member.node.at, "this resource has no `Type`"),
            }
        }
        resources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let problems = Template::parse(Path::new("t.json"), text).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_sam_template_is_refused_with_a_remedy() {
        let text = problems(r#"{"Transform": "AWS::Serverless-2016-10-31", "Resources": {}}"#);
        assert!(text.contains("SAM templates are not read yet"), "{text}");
        assert!(
            text.contains("t.json:1:15") && text.contains("hint: give the transformed"),
            "{text}"
        );
    }

    #[test]
    fn a_loop_and_a_resource_without_type_are_both_reported() {
        let text = problems(r#"{"Resources": {"Fn::ForEach::X": [], "Nameless": {}}}"#);
        assert!(text.contains("Fn::ForEach is not read yet"), "{text}");
        assert!(text.contains("(Nameless)"), "{text}");
    }

    #[test]
    fn the_partition_follows_the_region() {
        assert_eq!(Scope::new("s", "1", "cn-north-1").url_suffix(), "amazonaws.com.cn");
        assert_eq!(Scope::new("s", "1", "us-gov-west-1").partition(), "aws-us-gov");
        assert_eq!(Scope::new("s", "1", "eu-west-1").url_suffix(), "amazonaws.com");
    }
}
