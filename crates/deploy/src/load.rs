//! Loading: from files to a [`Loaded`], in one pass that collects every problem.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use stillwire_model::{
    ApiDefinition, App, DeletionPolicy, FunctionDefinition, Output, Stack, StoredValue,
    SystemParameters,
};

use crate::assembly::{Given, Reading, StackSource};
use crate::definition;
use crate::input::Input;
use crate::parameter_file;
use crate::problem::{Location, Problem, Problems};
use crate::reading::LoadedStack;
use crate::report::{Notice, Properties, ResourceRow, SdkCall};
use crate::resolver::{Resolver, World};
use crate::resources::{self, Built, Piece};
use crate::select;
use crate::source::Sources;
use crate::store::Store;

/// What to load, of what there is.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Only the stacks of this stage: those whose display name begins with it, or whose API declares it.
    pub stage: Option<String>,
    /// Only these stacks, by name or display path, with `*` and `**`; what they depend on comes along.
    pub stacks: Vec<String>,
    /// Values for the templates' parameters.
    pub parameters: BTreeMap<String, String>,
    /// A file with more of them, which the ones above come before: the AWS CLI's list, or a plain map.
    pub parameters_file: Option<PathBuf>,
    /// A file with what Parameter Store (`ssm`) and Secrets Manager (`secretsmanager`) hold.
    pub secrets_file: Option<PathBuf>,
    /// The environment, for configurations that read it (`${env:NAME}` of the Serverless Framework).
    pub environment: BTreeMap<String, String>,
    /// Where the app's sources are; without it, [`Input`] says where.
    pub app_dir: Option<PathBuf>,
    /// What calls have put into Parameter Store.
    pub system_parameters: Option<Arc<dyn SystemParameters>>,
    /// What stacks export that are not loaded with these, by name.
    pub exports: BTreeMap<String, String>,
}

/// An app, and what a person should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What runs.
    pub app: App,
    /// Its APIs as the templates write them.
    pub definitions: Vec<ApiDefinition>,
    /// Its functions as the templates write them.
    pub functions: Vec<FunctionDefinition>,
    /// Every resource of every chosen template, in the templates' order.
    pub resources: Vec<ResourceRow>,
    /// What the templates of the app's stacks say besides, in the same order.
    pub stacks: Vec<LoadedStack>,
    /// What differs from AWS, or may surprise.
    pub notices: Vec<Notice>,
    /// What is to be done once, when a stack is new.
    pub sdk_calls: Vec<SdkCall>,
    /// What functions find in Parameter Store and in Secrets Manager.
    pub values: Vec<StoredValue>,
}

/// Loads an assembly or template.
///
/// # Errors
/// All problems that were found. A CDK app without an assembly is one: synthesize it first.
pub fn load(input: &Input, options: &LoadOptions) -> Result<Loaded, Problems> {
    let given = given(options)?;
    let (place, app_dir, reading) = match input {
        Input::Template(file) => (folder_of(file), None, Reading::template(file, &given)),
        Input::Serverless(file) => (folder_of(file), None, Reading::service(file, &given)),
        Input::Terraform(file) => (folder_of(file), None, Reading::terraform(file, &given)),
        Input::Assembly(assembly) => {
            let reading = Reading::assembly(&assembly.dir, &given);
            (assembly.dir.as_path(), assembly.app_dir.as_deref(), reading)
        }
        Input::CdkApp(app) => {
            let Some(dir) = &app.assembly else {
                let location = Location::file(&app.dir.join("cdk.json"));
                let problem = Problem::new(location, "this CDK app has no assembly yet");
                return Err(problem.hint("synthesize it first").into());
            };
            let reading = Reading::assembly(dir, &given);
            (dir.as_path(), Some(app.dir.as_path()), reading)
        }
    };
    resolve(reading, place, options.app_dir.as_deref().or(app_dir), options)
}

/// Loads the stacks that deploy tools have sent. `options` name what other stacks export.
///
/// # Errors
/// All problems that were found.
pub fn load_stacks(stacks: &[StackSource], options: &LoadOptions) -> Result<Loaded, Problems> {
    resolve(Reading::stacks(stacks, &given(options)?), Path::new(""), None, options)
}

fn resolve(
    mut reading: Reading,
    place: &Path,
    app_dir: Option<&Path>,
    options: &LoadOptions,
) -> Result<Loaded, Problems> {
    Problems::check(reading.problems)?;
    reading.world.exports.clone_from(&options.exports);
    Loading {
        place,
        sources: Sources::new(app_dir, place),
        resolver: Resolver::new(&reading.world),
        notices: reading.notices,
    }
    .run(options)
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// What the person gives, out of options and the files that they name.
fn given(options: &LoadOptions) -> Result<Given, Problems> {
    let mut problems = Vec::new();
    let mut read = |result: Result<BTreeMap<String, String>, Vec<Problem>>| {
        result.unwrap_or_else(|found| {
            problems.extend(found);
            BTreeMap::new()
        })
    };
    let mut parameters = options
        .parameters_file
        .as_deref()
        .map_or_else(BTreeMap::new, |file| read(parameter_file::read(file)));
    parameters.extend(options.parameters.clone());
    let store = options.secrets_file.as_deref().map_or_else(|| Ok(Store::default()), Store::read);
    let store = store.unwrap_or_else(|found| {
        problems.extend(found);
        Store::default()
    });
    Problems::check(problems)?;
    let store = store.beside(options.system_parameters.clone());
    Ok(Given {
        parameters,
        store: Rc::new(store),
        stage: options.stage.clone(),
        environment: options.environment.clone(),
    })
}

pub(crate) struct Loading<'w> {
    place: &'w Path,
    sources: Sources,
    pub(crate) resolver: Resolver<'w>,
    notices: Vec<Notice>,
}

impl<'w> Loading<'w> {
    fn run(mut self, options: &LoadOptions) -> Result<Loaded, Problems> {
        let world = self.resolver.world;
        let chosen = select::select(&mut self.resolver, options.stage.as_deref(), &options.stacks);
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(message) => return Err(Problem::new(Location::file(self.place), message).into()),
        };
        let order: Vec<usize> = select::in_order(world, &chosen)
            .into_iter()
            .filter(|index| self.is_wanted(*index))
            .collect();
        let pieces = self.pieces(&order);
        for index in &order {
            self.check_depends_on(*index);
        }
        let mut built = resources::build(&mut self.resolver, &mut self.sources, &pieces);
        let stacks: Vec<Stack> = order.iter().map(|index| self.stack(*index, &mut built)).collect();
        self.check_names(&built);
        Problems::check(std::mem::take(&mut self.resolver.problems))?;
        let rows = self.rows(&order, &pieces, &built);
        let about = order.iter().map(|index| self.about(*index)).collect();
        Problems::check(std::mem::take(&mut self.resolver.problems))?;
        let definitions = definition::definitions(&self.resolver, &pieces);
        let functions = definition::functions(&self.resolver, &pieces, &stacks);
        // What the CDK noted about a stack that was not chosen is of no interest.
        let names: Vec<&str> =
            order.iter().map(|index| self.resolver.unit(*index).display_name.as_str()).collect();
        let mut notices = self.notices;
        notices.retain(|notice| {
            notice.location.stack.as_deref().is_none_or(|stack| names.contains(&stack))
        });
        notices.extend(self.resolver.notices);
        let (sdk_calls, values) = (built.sdk_calls, built.values);
        Ok(Loaded {
            app: App { stacks },
            definitions,
            functions,
            resources: rows,
            stacks: about,
            notices,
            sdk_calls,
            values,
        })
    }

    /// Whether a nested stack is created: its condition holds, and so does its parent's.
    fn is_wanted(&mut self, index: usize) -> bool {
        let Some((parent, id)) = &self.resolver.unit(index).parent else { return true };
        let active = match self.resolver.resource(*parent, id) {
            Some(resource) => self.resolver.is_active(*parent, &resource.node).unwrap_or(false),
            None => false,
        };
        active && self.is_wanted(*parent)
    }

    /// The resources that are created, with their properties resolved.
    fn pieces(&mut self, order: &[usize]) -> Vec<Piece<'w>> {
        let mut pieces = Vec::new();
        for unit in order {
            for (id, resource) in resources::in_template_order(self.resolver.world, *unit) {
                let active = self
                    .resolver
                    .within(*unit, id, "", |resolver| resolver.is_active(*unit, &resource.node));
                if active != Ok(true) {
                    continue;
                }
                let resolver = &mut self.resolver;
                let before = resolver.problems.len();
                let properties = resource.node.get("Properties").map(|node| {
                    resolver.within(*unit, id, "Properties", |this| this.resolve(*unit, node))
                });
                // A resource with a problem is left out; what points to it must not add to the problems.
                let properties = match properties {
                    None => None,
                    Some(Ok(node)) => node,
                    Some(Err(_)) => {
                        debug_assert!(resolver.problems.len() >= before);
                        None
                    }
                };
                pieces.push(Piece { unit: *unit, id, resource, properties });
            }
        }
        pieces
    }

    /// `DependsOn` names resources, and never in a circle.
    fn check_depends_on(&mut self, unit: usize) {
        let template = &self.resolver.unit(unit).template;
        for (id, resource) in &template.resources {
            for node in depends_on(&resource.node) {
                let Some(name) = node.as_text() else { continue };
                if !template.resources.contains_key(name) {
                    let message = format!("it depends on {name}, which is not a resource");
                    self.fail(unit, id, node.at, message);
                }
            }
        }
        let mut done = BTreeSet::new();
        for id in template.resources.keys() {
            let mut path = Vec::new();
            if let Some(circle) = circle(self.resolver.world, unit, id, &mut path, &mut done) {
                let at =
                    template.resources.get(id).map_or(crate::Position::START, |found| found.at);
                let message =
                    format!("these resources depend on each other: {}", circle.join(" -> "));
                self.fail(unit, id, at, message);
            }
        }
    }

    fn fail(&mut self, unit: usize, id: &str, at: crate::Position, message: String) {
        self.resolver.within(unit, id, "DependsOn", |resolver| {
            let problem = Problem::new(resolver.location(at), message);
            resolver.problems.push(problem);
        });
    }

    /// Two tables or functions of one name would be one.
    fn check_names(&mut self, built: &Built) {
        for (unit, id, message) in &built.clashes {
            let at =
                self.resolver.resource(*unit, id).map_or(crate::Position::START, |found| found.at);
            self.resolver.within(*unit, id, "", |resolver| {
                let problem = Problem::new(resolver.location(at), message.clone());
                resolver.problems.push(problem);
            });
        }
    }

    /// A row for every resource, also of those that a condition leaves out.
    fn rows(&mut self, order: &[usize], pieces: &[Piece<'w>], built: &Built) -> Vec<ResourceRow> {
        let created: BTreeMap<(usize, &str), &Piece<'w>> =
            pieces.iter().map(|piece| ((piece.unit, piece.id), piece)).collect();
        let world = self.resolver.world;
        let mut rows = Vec::new();
        for index in order {
            let unit = self.resolver.unit(*index);
            for (id, resource) in resources::in_template_order(world, *index) {
                let (action, note) = match built.fates.get(&(*index, id.to_owned())) {
                    Some((action, note)) => (*action, note.clone()),
                    None => (crate::Action::Skipped, "its condition does not hold".to_owned()),
                };
                let piece = created.get(&(*index, id));
                let physical_id =
                    piece.and_then(|_| self.resolver.reference(*index, resource.at, id).ok());
                let properties = piece.and_then(|piece| piece.properties.as_ref());
                let policy = resources::deletion_policy(&mut self.resolver, *index, id, resource);
                let is_retained = policy == DeletionPolicy::Retain;
                let mut location = Location::at(&unit.template.file, resource.at);
                location.stack = Some(unit.scope.stack.clone());
                location.logical_id = Some(id.to_owned());
                rows.push(ResourceRow {
                    stack: unit.scope.stack.clone(),
                    logical_id: id.to_owned(),
                    construct_path: resource.metadata("aws:cdk:path").map(str::to_owned),
                    kind: resource.kind.clone(),
                    action,
                    note,
                    location,
                    physical_id,
                    is_retained,
                    properties: match properties.map(crate::node::Node::to_json) {
                        Some(serde_json::Value::Object(members)) => Properties(members),
                        _ => Properties::default(),
                    },
                });
            }
        }
        rows
    }

    fn stack(&mut self, index: usize, built: &mut Built) -> Stack {
        let unit = self.resolver.unit(index);
        let mut outputs = Vec::new();
        for key in &unit.template.output_order {
            let Some(node) = unit.template.outputs.get(key) else { continue };
            if self.resolver.is_active(index, node) != Ok(true) {
                continue;
            }
            if let Ok(Some(value)) = self.resolver.output(index, node.at, key) {
                let value = value.scalar().unwrap_or_else(|| value.to_json().to_string());
                let text = |name: &str| node.get(name).and_then(crate::node::Node::scalar);
                let export = self.resolver.export(index, key);
                let description = text("Description");
                outputs.push(Output { key: key.clone(), value, description, export });
            }
        }
        let parts = built.stacks.remove(&index).unwrap_or_default();
        Stack {
            name: Arc::from(unit.scope.stack.as_str()),
            display_name: unit.display_name.clone(),
            account: unit.scope.account.clone(),
            region: unit.scope.region.clone(),
            apis: parts.apis,
            domains: parts.domains,
            functions: parts.functions,
            roles: parts.roles,
            tables: parts.tables,
            event_sources: parts.event_sources,
            outputs,
        }
    }
}

fn depends_on(node: &crate::node::Node) -> Vec<&crate::node::Node> {
    match node.get("DependsOn") {
        None => Vec::new(),
        Some(node) => node.as_list().map_or_else(|| vec![node], |items| items.iter().collect()),
    }
}

/// A circle of `DependsOn` that leads through `id`, as its names.
fn circle(
    world: &World,
    unit: usize,
    id: &str,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|other| other == id) {
        let mut circle: Vec<String> = path.iter().skip(start).cloned().collect();
        circle.push(id.to_owned());
        return Some(circle);
    }
    // A chain of more than a thousand is beyond what a template can hold.
    if path.len() > 1000 || !done.insert(id.to_owned()) {
        return None;
    }
    path.push(id.to_owned());
    let resource = world.units.get(unit).and_then(|unit| unit.template.resources.get(id));
    let next = resource.map(|found| depends_on(&found.node)).unwrap_or_default();
    let found = next
        .into_iter()
        .filter_map(crate::node::Node::as_text)
        .find_map(|name| circle(world, unit, name, path, done));
    path.pop();
    found
}
