//! The cloud assembly: manifests, nested assemblies and nested stacks, read into a [`World`].
//!
//! Artifacts and fields that are not known are ignored, as newer CDKs add some with every release.
//!
//! Source: aws-cdk `cloud-assembly-schema`, versions 35 and 55.

mod deployed;
mod nested;
mod standalone;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use self::deployed::StackSource;
use self::nested::nested_template;
use crate::assets::{Assets, read_json, read_text, tidy};
use crate::macros::Context;
use crate::node::Node;
use crate::physical;
use crate::problem::{Location, Problem};
use crate::report::Notice;
use crate::resolver::{Resolver, Unit, World};
use crate::store::Store;
use crate::template::{Scope, Template};

/// The newest assembly schema whose fields are known here.
const SCHEMA_KNOWN: u32 = 55;

/// How deep assemblies and stacks may be nested; keeps a folder that contains itself from being read for ever.
const NESTING_MAX: usize = 16;

/// The account of a stack that names none.
const ACCOUNT: &str = "000000000000";

/// The region of a stack that names none.
const REGION: &str = "us-east-1";

/// What was read, and what was noticed meanwhile.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) world: World,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
    given: Given,
    /// Values for parameters that a tool's own file gives; what the person gives comes before them.
    defaults: BTreeMap<String, String>,
}

/// What a person gives besides the templates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// Values for parameters, by name.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What other services hold.
    pub(crate) store: Rc<Store>,
    /// The stage that is asked for.
    pub(crate) stage: Option<String>,
    /// The environment, for configurations that read it.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Reading {
    /// Reads a whole assembly.
    pub(crate) fn assembly(dir: &Path, given: &Given) -> Self {
        let mut reading = Self::new(given);
        reading.manifest(dir, 0);
        reading.check_parameters(dir);
        reading
    }

    fn new(given: &Given) -> Self {
        Self {
            world: World {
                units: Vec::new(),
                exports: BTreeMap::new(),
                store: Rc::clone(&given.store),
            },
            problems: Vec::new(),
            notices: Vec::new(),
            given: given.clone(),
            defaults: BTreeMap::new(),
        }
    }

    fn manifest(&mut self, dir: &Path, depth: usize) {
        let file = dir.join("manifest.json");
        let root = match read_json(&file) {
            Ok(root) => root,
            Err(problem) => return self.problems.push(problem),
        };
        self.check_manifest(&file, &root);
        let artifacts = root.get("artifacts").and_then(Node::as_map);
        let mut stacks: Vec<(&str, usize, Vec<&str>)> = Vec::new();
        for artifact in artifacts.into_iter().flat_map(|map| &map.0) {
            let kind = artifact.node.get("type").and_then(Node::as_text);
            let property = |name: &str| artifact.node.get("properties")?.get(name)?.as_text();
            match kind {
                Some("cdk:cloud-assembly") => match property("directoryName") {
                    Some(_) if depth == NESTING_MAX => {
                        let location = Location::at(&file, artifact.at);
                        let problem = Problem::new(location, "assemblies are nested too deeply");
                        self.problems.push(problem);
                    }
                    Some(name) => self.manifest(&tidy(&dir.join(name)), depth + 1),
                    None => {}
                },
                Some("aws:cloudformation:stack") => {
                    let needed = texts(artifact.node.get("dependencies"));
                    let manifest = needed.iter().find_map(|id| {
                        let other = root.get("artifacts")?.get(id)?;
                        let is_assets = other.get("type")?.as_text() == Some("cdk:asset-manifest");
                        is_assets.then(|| other.get("properties")?.get("file")?.as_text()).flatten()
                    });
                    if let Some(index) =
                        self.artifact(dir, &file, &artifact.name, &artifact.node, manifest)
                    {
                        stacks.push((&artifact.name, index, needed));
                    }
                }
                _ => {}
            }
        }
        for (_, index, needed) in &stacks {
            let after =
                stacks.iter().filter(|(id, ..)| needed.contains(id)).map(|(_, other, _)| *other);
            if let Some(unit) = self.world.units.get_mut(*index) {
                unit.after = after.collect();
            }
        }
    }

    fn check_manifest(&mut self, file: &Path, root: &Node) {
        let version = root.get("version").and_then(Node::as_text).unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major > SCHEMA_KNOWN) {
            let text = format!(
                "this assembly has schema {version}, newer than {SCHEMA_KNOWN}, the newest that is known \
                 here; what is known of it is read"
            );
            self.notices.push(Notice::warning(Location::file(file), text));
        }
        let missing = root.get("missing").and_then(Node::as_list).unwrap_or_default();
        if let Some(first) = missing.first() {
            let keys: Vec<&str> =
                missing.iter().filter_map(|one| one.get("key")?.as_text()).collect();
            let message = format!(
                "the app asks for values that only AWS can tell: {}",
                if keys.is_empty() { "(no names given)".to_owned() } else { keys.join(", ") }
            );
            let problem = Problem::new(Location::at(file, first.at), message).hint(
                "run `cdk synth` once with access to the account: it keeps them in cdk.context.json",
            );
            self.problems.push(problem);
        }
    }

    fn artifact(
        &mut self,
        dir: &Path,
        file: &Path,
        id: &str,
        node: &Node,
        manifest: Option<&str>,
    ) -> Option<usize> {
        let property = |name: &str| node.get("properties")?.get(name)?.as_text();
        let name = property("stackName").unwrap_or(id);
        let display = node.get("displayName").and_then(Node::as_text).unwrap_or(name).to_owned();
        self.messages(dir, file, node, &display);
        let Some(template) = property("templateFile") else {
            let problem = Problem::new(
                Location::at(file, node.at),
                format!("the stack {id} has no templateFile"),
            );
            self.problems.push(problem);
            return None;
        };
        // Source: cloud-assembly-schema, `aws://unknown-account/unknown-region` for environment-agnostic stacks.
        let environment = node.get("environment").and_then(Node::as_text).unwrap_or_default();
        let environment = environment.strip_prefix("aws://").unwrap_or_default();
        let (account, region) = environment.split_once('/').unwrap_or_default();
        let known = |text: &str, default: &str| {
            if text.is_empty() || text.starts_with("unknown-") {
                default.to_owned()
            } else {
                text.to_owned()
            }
        };
        let scope = Scope::new(name, &known(account, ACCOUNT), &known(region, REGION));
        let by_name =
            format!("{}.assets.json", template.strip_suffix(".template.json").unwrap_or(template));
        let manifest = dir.join(manifest.unwrap_or(&by_name));
        let assets = if manifest.is_file() { self.assets(&manifest) } else { Rc::default() };
        self.stack(&tidy(&dir.join(template)), scope, display, assets)
    }

    /// What the CDK noted about a stack: warnings are passed on, an error stops.
    fn messages(&mut self, dir: &Path, file: &Path, node: &Node, display: &str) {
        let beside =
            node.get("additionalMetadataFile").and_then(Node::as_text).map(|name| dir.join(name));
        let beside = beside.filter(|path| path.is_file()).and_then(|path| read_json(&path).ok());
        for entries in [node.get("metadata"), beside.as_ref()].into_iter().flatten() {
            let Some(map) = entries.as_map() else { continue };
            for member in &map.0 {
                for entry in member.node.as_list().unwrap_or_default() {
                    let kind = entry.get("type").and_then(Node::as_text).unwrap_or_default();
                    let data = entry.get("data").and_then(Node::scalar).unwrap_or_default();
                    let mut location = Location::at(file, node.at);
                    location.stack = Some(display.to_owned());
                    let text = format!("{}: {data}", member.name);
                    match kind {
                        "aws:cdk:error" => self.problems.push(Problem::new(location, text)),
                        "aws:cdk:warning" => self.notices.push(Notice::warning(location, text)),
                        _ => {}
                    }
                }
            }
        }
    }

    fn assets(&mut self, file: &Path) -> Rc<Assets> {
        match Assets::read(file) {
            Ok(assets) => Rc::new(assets),
            Err(problem) => {
                self.problems.push(problem);
                Rc::default()
            }
        }
    }

    fn stack(
        &mut self,
        file: &Path,
        scope: Scope,
        display_name: String,
        assets: Rc<Assets>,
    ) -> Option<usize> {
        let mut parameters = self.defaults.clone();
        parameters.extend(self.given.parameters.clone());
        let template = self.read_template(file, &scope, &parameters)?;
        Some(self.place(template, scope, display_name, assets, parameters))
    }

    /// Adds a stack of a template that is read.
    fn place(
        &mut self,
        template: Template,
        scope: Scope,
        display_name: String,
        assets: Rc<Assets>,
        parameters: BTreeMap<String, String>,
    ) -> usize {
        let given =
            parameters.into_iter().filter(|(name, _)| template.parameters.contains_key(name));
        let given = given.collect();
        self.add(Unit::root(scope, display_name, template, assets, given), 0)
    }

    /// Reads a template; its problems and notices are added to ours.
    fn read_template(
        &mut self,
        file: &Path,
        scope: &Scope,
        given: &BTreeMap<String, String>,
    ) -> Option<Template> {
        match read_text(file) {
            Ok(text) => self.parse(file, &text, scope, given),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Takes a template apart; its problems and notices are added to ours.
    fn parse(
        &mut self,
        file: &Path,
        text: &str,
        scope: &Scope,
        given: &BTreeMap<String, String>,
    ) -> Option<Template> {
        let context = Context { file, scope, given, store: &self.given.store };
        match Template::parse(text, &context) {
            Ok((template, notices)) => {
                self.notices.extend(notices);
                Some(template)
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// Adds a stack and the stacks nested in it.
    fn add(&mut self, unit: Unit, depth: usize) -> usize {
        let index = self.world.units.len();
        let nested: Vec<(String, Result<PathBuf, Problem>)> = unit
            .template
            .resources
            .iter()
            .filter(|(_, resource)| resource.kind == "AWS::CloudFormation::Stack")
            .map(|(id, _)| (id.clone(), nested_template(&unit, id)))
            .collect();
        let (scope, display, assets) =
            (unit.scope.clone(), unit.display_name.clone(), Rc::clone(&unit.assets));
        self.world.units.push(unit);
        for (id, found) in nested {
            let name = physical::name(&scope, &id, 128);
            let child_scope = Scope::new(&name, &scope.account, &scope.region);
            let file = match found {
                Ok(file) if depth < NESTING_MAX => file,
                Ok(file) => {
                    let location = Location::file(&file);
                    self.problems.push(Problem::new(location, "stacks are nested too deeply"));
                    continue;
                }
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            let passed = self.passed_early(index, &id);
            let Some(template) = self.read_template(&file, &child_scope, &passed) else { continue };
            let child = Unit {
                scope: child_scope,
                display_name: format!("{display}/{id}"),
                template,
                assets: Rc::clone(&assets),
                parent: Some((index, id.clone())),
                children: BTreeMap::new(),
                given: BTreeMap::new(),
                after: Vec::new(),
            };
            let child = self.add(child, depth + 1);
            if let Some(unit) = self.world.units.get_mut(index) {
                unit.children.insert(id, child);
            }
        }
        index
    }

    /// What a parent passes to a nested stack, as far as it can be told before all stacks are read: loops of the
    /// nested template may go over it.
    fn passed_early(&self, parent: usize, id: &str) -> BTreeMap<String, String> {
        let unit = self.world.units.get(parent);
        let resource = unit.and_then(|unit| unit.template.resources.get(id));
        let parameters = resource.and_then(|resource| resource.property("Parameters")?.as_map());
        let mut resolver = Resolver::new(&self.world);
        let mut passed = BTreeMap::new();
        for member in parameters.into_iter().flat_map(|map| &map.0) {
            let Ok(Some(value)) = resolver.resolve(parent, &member.node) else { continue };
            let text = value.as_list().map_or_else(
                || value.scalar(),
                |items| Some(items.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",")),
            );
            passed.extend(text.map(|text| (member.name.clone(), text)));
        }
        passed
    }

    /// A parameter that no template has is most likely a slip of the pen.
    fn check_parameters(&mut self, place: &Path) {
        for name in self.given.parameters.keys() {
            let known =
                self.world.units.iter().any(|unit| unit.template.parameters.contains_key(name));
            if !known && !self.world.units.is_empty() {
                let message = format!("no template has a parameter {name}");
                self.problems.push(Problem::new(Location::file(place), message));
            }
        }
    }
}

fn texts(node: Option<&Node>) -> Vec<&str> {
    let items = node.and_then(Node::as_list).unwrap_or_default();
    items.iter().filter_map(Node::as_text).collect()
}
