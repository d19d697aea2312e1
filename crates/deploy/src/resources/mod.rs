//! From resolved resources to the model: one file per kind.

mod api;
mod domain;
mod event_source;
mod fate;
mod function;
mod layer;
mod permission;
mod retention;
mod role;
mod sdk_call;
mod stored_value;
mod table;
mod usage;

pub(crate) use self::api::build as build_apis;
pub(crate) use self::function::arn as function_arn;
pub(crate) use self::retention::deletion_policy;
pub(crate) use self::sdk_call::parameter_of;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stillwire_model::{
    Api, Domain, EventSourceMapping, Function, Role, StoredValue, Table, function_of_uri,
};

use crate::node::{Node, Position};
use crate::problem::{Location, Problem};
use crate::report::{Action, Notice, SdkCall};
use crate::resolver::{Resolver, World};
use crate::source::Sources;
use crate::template::Resource;

/// A resource that is created, with its properties resolved.
#[derive(Debug)]
pub(crate) struct Piece<'w> {
    pub(crate) unit: usize,
    pub(crate) id: &'w str,
    pub(crate) resource: &'w Resource,
    /// `None` when it has none, or they could not be resolved.
    pub(crate) properties: Option<Node>,
}

impl Piece<'_> {
    pub(crate) fn kind(&self) -> &str {
        &self.resource.kind
    }

    fn get(&self, name: &str) -> Option<&Node> {
        self.properties.as_ref().and_then(|properties| properties.get(name))
    }

    /// The text of a scalar property.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Node::scalar)
    }

    /// Where a property is, else where the resource is.
    fn location(&self, resolver: &Resolver<'_>, property: &str) -> Location {
        let unit = resolver.unit(self.unit);
        let at = match (self.get(property.split('.').next().unwrap_or(property)), property) {
            (Some(node), _) => node.at,
            (None, _) => self.resource.at,
        };
        self.place(&unit.template.file, &unit.scope.stack, property, at)
    }

    fn place(&self, file: &std::path::Path, stack: &str, property: &str, at: Position) -> Location {
        let mut location = Location::at(file, at);
        location.stack = Some(stack.to_owned());
        location.logical_id = Some(self.id.to_owned());
        if !property.is_empty() {
            location.property = Some(format!("Properties.{property}"));
        }
        location
    }

    fn fail(&self, resolver: &mut Resolver<'_>, property: &str, message: impl Into<String>) {
        let problem = Problem::new(self.location(resolver, property), message);
        resolver.problems.push(problem);
    }

    fn warn(&self, resolver: &mut Resolver<'_>, property: &str, text: impl Into<String>) {
        let notice = Notice::warning(self.location(resolver, property), text);
        resolver.notice(notice);
    }

    fn inform(&self, resolver: &mut Resolver<'_>, property: &str, text: impl Into<String>) {
        let notice = Notice::info(self.location(resolver, property), text);
        resolver.notice(notice);
    }

    fn key(&self) -> (usize, String) {
        (self.unit, self.id.to_owned())
    }
}

/// The resources of a stack as its template orders them.
pub(crate) fn in_template_order(world: &World, unit: usize) -> Vec<(&str, &Resource)> {
    let resources = world.units.get(unit).map(|unit| &unit.template.resources);
    let mut list: Vec<_> =
        resources.into_iter().flatten().map(|(id, resource)| (id.as_str(), resource)).collect();
    list.sort_by_key(|(_, resource)| resource.index);
    list
}

/// What becomes of a resource, and what that means.
pub(crate) type Fate = (Action, String);

/// All that was built, by stack.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) stacks: BTreeMap<usize, Parts>,
    pub(crate) fates: BTreeMap<(usize, String), Fate>,
    /// Names that two resources share: stack, logical id and the message.
    pub(crate) clashes: Vec<(usize, String, String)>,
    pub(crate) sdk_calls: Vec<SdkCall>,
    pub(crate) values: Vec<StoredValue>,
}

/// What one stack runs.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) apis: Vec<Arc<Api>>,
    pub(crate) domains: Vec<Arc<Domain>>,
    pub(crate) functions: Vec<Arc<Function>>,
    pub(crate) roles: Vec<Role>,
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) event_sources: Vec<Arc<EventSourceMapping>>,
}

/// Builds what runs from all resources.
pub(crate) fn build<'w>(
    resolver: &mut Resolver<'w>,
    sources: &mut Sources,
    pieces: &[Piece<'w>],
) -> Built {
    let mut built = Built::default();
    let helpers = helpers(resolver, pieces);
    let layers = layer::build(resolver, pieces);
    let mut names = BTreeSet::new();
    for piece in pieces {
        let mut fate = fate::of(piece.kind());
        if fate::is_for_uploads(piece.id, piece.kind()) {
            fate = (Action::Skipped, "packages are not uploaded here".to_owned());
        }
        match piece.kind() {
            "AWS::Lambda::Function" if helpers.contains(&piece.key()) => {
                fate = (Action::Skipped, "serves custom resources only".to_owned());
            }
            "AWS::Lambda::Function" => match function::build(resolver, sources, piece, &layers) {
                Some(function) => {
                    if !names.insert(function.arn.as_str().to_owned()) {
                        let message = format!("another function is named {} too", function.name());
                        built.clashes.push((piece.unit, piece.id.to_owned(), message));
                    }
                    fate = match function.obstacle() {
                        None => (fate.0, format!("{} {}", function.runtime, function.handler)),
                        Some(obstacle) => {
                            let text =
                                format!("every call of {} fails: {obstacle}", function.name());
                            piece.warn(resolver, "Runtime", text);
                            (Action::NotRun, obstacle)
                        }
                    };
                    built.stacks.entry(piece.unit).or_default().functions.push(Arc::new(function));
                }
                None => "it has problems".clone_into(&mut fate.1),
            },
            "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => {
                if let Some(table) = table::build(resolver, piece) {
                    if !names.insert(table.arn.clone()) {
                        let message = format!("another table is named {} too", table.name);
                        built.clashes.push((piece.unit, piece.id.to_owned(), message));
                    }
                    fate.1.clone_from(&table.name);
                    built.stacks.entry(piece.unit).or_default().tables.push(Arc::new(table));
                }
            }
            kind => {
                let call =
                    if kind == "Custom::AWS" { sdk_call::build(resolver, piece) } else { None };
                if let Some((call, its)) = call {
                    built.sdk_calls.extend(call);
                    fate = its;
                } else if let Some(text) = fate::notice(kind) {
                    piece.warn(resolver, "", text);
                }
            }
        }
        built.fates.insert(piece.key(), fate);
    }
    role::build(resolver, pieces, &mut built);
    event_source::build(resolver, pieces, &mut built);
    let keys = usage::build(resolver, pieces, &mut built);
    api::build(resolver, pieces, &keys, &mut built);
    domain::build(resolver, pieces, &mut built);
    stored_value::build(resolver, pieces, &mut built);
    built
}

/// The resources of a kind that have properties.
fn of_kind<'a, 'w>(
    pieces: &'a [Piece<'w>],
    kind: &'static str,
) -> impl Iterator<Item = &'a Piece<'w>> {
    pieces.iter().filter(move |piece| piece.kind() == kind && piece.properties.is_some())
}

/// The functions that only custom resources call: they are not started.
fn helpers(resolver: &Resolver<'_>, pieces: &[Piece<'_>]) -> BTreeSet<(usize, String)> {
    let tokens: BTreeSet<String> = pieces
        .iter()
        .filter(|piece| fate::is_custom(piece.kind()))
        .filter_map(|piece| piece.text("ServiceToken"))
        .collect();
    let called: BTreeSet<String> = pieces
        .iter()
        .flat_map(|piece| [piece.text("IntegrationUri"), piece.text("AuthorizerUri")])
        .flatten()
        .filter_map(|uri| function_of_uri(&uri).map(|(arn, _)| arn.as_str().to_owned()))
        .collect();
    pieces
        .iter()
        .filter(|piece| piece.kind() == "AWS::Lambda::Function")
        .filter(|piece| {
            let arn = function::arn(resolver, piece);
            tokens.contains(&arn) && !called.contains(&arn)
        })
        .map(Piece::key)
        .collect()
}
