//! The Serverless Framework: `serverless.yml`, written out as the template that `serverless package` makes of it.
//!
//! Logical ids, names and defaults are the framework's own. What it packages (`.serverless/`) is read instead where it
//! is not older than its source, as plugins may have changed it.
//!
//! Source: Serverless Framework documentation (version 3), "Serverless.yml reference", "AWS - Websocket", "Variables".

mod dotenv;
mod events;
mod functions;
mod names;
mod role;
mod variables;
mod websocket;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use self::variables::Variables;
use crate::assets::read_text;
use crate::macros::Context;
use crate::node::{Map, Member, Node, Position, Value};
use crate::problem::{Location, Problem};
use crate::report::Notice;

/// What `serverless package` writes.
const PACKAGED: &str = ".serverless/cloudformation-template-update-stack.json";

/// The regions' default. Source: as above, `provider.region`.
const REGION: &str = "us-east-1";

/// What the command line and its surroundings say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// `--stage`.
    pub(crate) stage: Option<&'a str>,
    /// The environment, for `${env:NAME}`.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// `--parameter`, for `${param:NAME}`.
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// The account, for `${aws:accountId}`.
    pub(crate) account: &'a str,
}

/// A service, read and with its variables resolved.
#[derive(Debug)]
pub(crate) struct Service {
    file: PathBuf,
    root: Node,
    pub(crate) name: String,
    pub(crate) stage: String,
    pub(crate) region: String,
    /// The stack's name.
    pub(crate) stack: String,
}

/// The template that was packaged, unless its source was changed since.
pub(crate) fn packaged(config: &Path) -> Option<PathBuf> {
    let file =
        config.with_file_name(PACKAGED.split('/').next()?).join(PACKAGED.rsplit('/').next()?);
    let changed =
        |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let (made, source) = (changed(&file)?, changed(config));
    (source.is_none_or(|source| source <= made)).then_some(file)
}

impl Service {
    /// Reads `serverless.yml` (or `.json`) and resolves its variables.
    pub(crate) fn read(
        file: &Path,
        options: Options<'_>,
        store: &crate::store::Store,
    ) -> Result<Self, Vec<Problem>> {
        let one = |at, message: String, hint: &str| {
            vec![Problem::new(Location::at(file, at), message).hint(hint)]
        };
        if !file.extension().is_some_and(|extension| extension != "ts" && extension != "js") {
            let message = "this configuration is a program, which is not run here".to_owned();
            return Err(one(
                Position::START,
                message,
                "run `serverless package` once; its result is read",
            ));
        }
        let text = read_text(file).map_err(|problem| vec![problem])?;
        let root = Node::parse(&text)
            .map_err(|error| vec![Problem::new(Location::at(file, error.at), error.problem)])?;
        let environment = dotenv::with_files(file, options);
        let options = Options { environment: &environment, ..options };
        let root = Variables::new(file, &root, options, store).resolve()?;
        let text = |path: &[&str]| {
            path.iter().try_fold(&root, |node, name| node.get(name)).and_then(Node::scalar)
        };
        let Some(name) = text(&["service"]).or_else(|| text(&["service", "name"])) else {
            let hint = "a serverless.yml begins with `service: NAME`";
            return Err(one(root.at, "this has no `service`".to_owned(), hint));
        };
        let stage = options.stage.map(str::to_owned).or_else(|| text(&["provider", "stage"]));
        let stage = stage.unwrap_or_else(|| "dev".to_owned());
        let region = text(&["provider", "region"]).unwrap_or_else(|| REGION.to_owned());
        let stack = text(&["provider", "stackName"]).unwrap_or_else(|| format!("{name}-{stage}"));
        Ok(Self { file: file.to_owned(), root, name, stage, region, stack })
    }

    /// The template that the service is.
    pub(crate) fn template(&self, context: &Context<'_>) -> (Map, Vec<Problem>, Vec<Notice>) {
        let mut writer = Writer {
            service: self,
            context,
            made: Vec::new(),
            outputs: Vec::new(),
            problems: Vec::new(),
            notices: Vec::new(),
        };
        writer.functions();
        writer.layers();
        writer.websockets();
        writer.finish()
    }

    fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, name| node.get(name))
    }

    fn provider(&self, name: &str) -> Option<&Node> {
        self.get(&["provider", name])
    }
}

/// Writes a service's template.
struct Writer<'a> {
    service: &'a Service,
    context: &'a Context<'a>,
    made: Vec<Member>,
    outputs: Vec<Member>,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

impl Writer<'_> {
    fn fail(&mut self, at: Position, property: &str, message: impl Into<String>) {
        let mut location = Location::at(&self.service.file, at);
        location.property = Some(property.to_owned());
        self.problems.push(Problem::new(location, message));
    }

    fn warn(&mut self, at: Position, property: &str, text: impl Into<String>) {
        let mut location = Location::at(&self.service.file, at);
        location.stack = Some(self.context.scope.stack.clone());
        location.property = Some(property.to_owned());
        self.notices.push(Notice::warning(location, text));
    }

    fn make(&mut self, at: Position, id: &str, kind: &str, properties: Node) {
        let node = Node::map(
            at,
            vec![("Type".to_owned(), Node::text(at, kind)), ("Properties".to_owned(), properties)],
        );
        self.made.push(Member { name: id.to_owned(), at, node });
    }

    fn output(&mut self, at: Position, name: &str, value: &serde_json::Value) {
        let export = format!("sls-{}-{}-{name}", self.service.name, self.service.stage);
        let node = json!({ "Value": value, "Export": { "Name": export } });
        self.outputs.push(Member { name: name.to_owned(), at, node: Node::from_json(at, &node) });
    }

    /// Adds what `resources` says, and gives the whole template.
    fn finish(mut self) -> (Map, Vec<Problem>, Vec<Notice>) {
        let at = self.service.root.at;
        let section = |name: &str, members: Vec<Member>| Member {
            name: name.to_owned(),
            at,
            node: Node { at, value: Value::Map(Map(members)) },
        };
        let made = section("Resources", std::mem::take(&mut self.made));
        let outputs = section("Outputs", std::mem::take(&mut self.outputs));
        let mut root = Map(vec![made, outputs]);
        if let Some(resources) = self.service.get(&["resources"]) {
            let several = resources.as_list().unwrap_or_else(|| std::slice::from_ref(resources));
            for resources in several {
                for member in resources.as_map().into_iter().flat_map(|map| &map.0) {
                    if member.name == "extensions" {
                        self.extend(&mut root, &member.node);
                    } else {
                        merge(&mut root, member.clone());
                    }
                }
            }
        }
        (root, self.problems, self.notices)
    }

    /// `resources.extensions`: more properties of what the framework makes.
    fn extend(&mut self, root: &mut Map, extensions: &Node) {
        for extension in extensions.as_map().into_iter().flat_map(|map| &map.0) {
            let resources = root.0.iter_mut().find(|member| member.name == "Resources");
            let resource = resources.and_then(|resources| match &mut resources.node.value {
                Value::Map(map) => map.0.iter_mut().find(|member| member.name == extension.name),
                _ => None,
            });
            let resource = resource.map(|member| &mut member.node.value);
            if let (Some(Value::Map(there)), Value::Map(more)) = (resource, &extension.node.value) {
                more.0.iter().for_each(|member| merge(there, member.clone()));
            } else {
                let message = format!("there is no resource {} to extend", extension.name);
                self.fail(extension.at, "resources.extensions", message);
            }
        }
    }
}

/// Adds a member; where it is there, objects are merged, and other values replaced.
fn merge(map: &mut Map, member: Member) {
    let Some(there) = map.0.iter_mut().find(|other| other.name == member.name) else {
        return map.0.push(member);
    };
    match (&mut there.node.value, member.node.value) {
        (Value::Map(there), Value::Map(more)) => {
            more.0.into_iter().for_each(|member| merge(there, member));
        }
        (there, value) => *there = value,
    }
}
