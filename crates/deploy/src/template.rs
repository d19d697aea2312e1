//! One template, taken apart into its sections, and the scope its names live in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::macros::{self, Context, Expanded};
use crate::node::{Map, Node, Position, Value};
use crate::physical;
use crate::problem::{Location, Problem};
use crate::report::Notice;

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

    pub(crate) fn metadata(&self, name: &str) -> Option<&str> {
        self.node.get("Metadata").and_then(|metadata| metadata.get(name)).and_then(Node::as_text)
    }
}

/// Reads a template's text, whatever it says.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Node, Vec<Problem>> {
    Node::parse(text)
        .map_err(|error| vec![Problem::new(Location::at(file, error.at), error.problem)])
}

impl Template {
    /// Reads the text of a template, and runs its macros; gives what was noticed besides.
    pub(crate) fn parse(
        text: &str,
        context: &Context<'_>,
    ) -> Result<(Self, Vec<Notice>), Vec<Problem>> {
        let file = context.file;
        let root = parse(file, text)?;
        let Value::Map(map) = root.value else {
            let message = "a template is an object with `Resources`";
            return Err(vec![Problem::new(Location::at(file, root.at), message)]);
        };
        Self::of(map, root.at, context)
    }

    /// Takes a template apart; `at` is where it begins.
    pub(crate) fn of(
        map: Map,
        at: Position,
        context: &Context<'_>,
    ) -> Result<(Self, Vec<Notice>), Vec<Problem>> {
        let description = map.get("Description").and_then(Node::as_text).map(str::to_owned);
        let Expanded { root: map, problems, notices } = macros::expand(map, context);
        let file = context.file;
        let mut reader = Sections { file, problems };
        let outputs = reader.section(&map, "Outputs");
        let resources = reader.section(&map, "Resources");
        if resources.0.is_empty() && map.get("Resources").is_none() {
            let problem = reader.problem(at, "there is no `Resources` section in this template");
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
        if reader.problems.is_empty() { Ok((template, notices)) } else { Err(reader.problems) }
    }
}

/// The members of a section by their names.
pub(crate) fn named(map: Map) -> BTreeMap<String, Node> {
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
            Some(Node { value: Value::Map(map), .. }) => map.clone(),
            Some(node) => {
                let message = format!("`{name}` is an object, not {}", node.kind());
                let problem = self.problem(node.at, message);
                self.problems.push(problem);
                Map::default()
            }
        }
    }

    fn resources(&mut self, section: Map) -> BTreeMap<String, Resource> {
        let mut resources = BTreeMap::new();
        for (index, member) in section.0.into_iter().enumerate() {
            let mut refuse = |at, message: &str| {
                let mut problem = self.problem(at, message);
                problem.location.logical_id = Some(member.name.clone());
                self.problems.push(problem);
            };
            // Source: CloudFormation Template Reference, "Resources section": logical ids are alphanumeric.
            if !member.name.chars().all(|c| c.is_ascii_alphanumeric()) || member.name.len() > 255 {
                refuse(member.at, "a logical id has letters and digits, at most 255");
                continue;
            }
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
        let (given, store) = (BTreeMap::new(), std::rc::Rc::default());
        let (file, scope) = (Path::new("t.json"), &Scope::new("s", "1", "us-east-1"));
        let context = Context { file, scope, given: &given, store: &store };
        let problems = Template::parse(text, &context).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn unknown_macros_names_and_types_are_all_reported() {
        let text = problems(
            r#"{"Transform": ["Mine", 7], "Resources": {"Nameless": {}, "a-b": {"Type": "A::B::C"}}}"#,
        );
        assert!(
            text.contains("t.json:1:16") && text.contains("the macro Mine is not known"),
            "{text}"
        );
        assert!(text.contains("a macro has a name, not a number"), "{text}");
        assert!(text.contains("(Nameless)") && text.contains("(a-b)"), "{text}");
    }

    #[test]
    fn the_partition_follows_the_region() {
        assert_eq!(Scope::new("s", "1", "cn-north-1").url_suffix(), "amazonaws.com.cn");
        assert_eq!(Scope::new("s", "1", "us-gov-west-1").partition(), "aws-us-gov");
        assert_eq!(Scope::new("s", "1", "eu-west-1").url_suffix(), "amazonaws.com");
    }
}
