//! APIs and functions as they are written ([`ApiDefinition`], [`FunctionDefinition`]): read into APIs, and taken out of
//! templates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Map;
use stillwire_model::{
    Api, ApiDefinition, ApiId, ApiKeys, ApiPart, Function, FunctionArn, FunctionDefinition,
    FunctionPart, Serves, Stack, StageDefinition, StageName,
};

use crate::node::{Node, Position};
use crate::physical;
use crate::resolver::{Resolver, Unit, World};
use crate::resources::{self, Built, Parts, Piece};
use crate::template::{Resource, Scope, Template};

/// The types of all parts begin so.
const KIND_PREFIX: &str = "AWS::ApiGatewayV2::";

/// Reads a definition as a template's resources are read. `functions` and `keys` are those of the app.
///
/// # Errors
/// What is wrong with it, a sentence for each mistake.
pub fn build_api(
    definition: &ApiDefinition,
    functions: &[Arc<Function>],
    keys: &Arc<ApiKeys>,
) -> Result<Api, Vec<String>> {
    let build = |parts: &[ApiPart], stages: &[(&StageName, &StageDefinition)]| {
        let stages = stages.iter().map(|(name, stage)| ApiPart {
            kind: "Stage".to_owned(),
            id: format!("stage {name}"), // stages are known by their names, which may be any part's id
            properties: stage.properties.clone(),
        });
        let parts: Vec<ApiPart> = parts.iter().cloned().chain(stages).collect();
        build_version(definition, &parts, functions, keys)
    };
    let all: Vec<_> = definition.stages.iter().collect();
    let mut api = build(&definition.parts, &all)?;
    for (name, stage) in all {
        match &stage.serves {
            Serves::Latest => {}
            Serves::Snapshot(parts) => {
                let snapshot = build(parts, &[(name, stage)])?;
                api.snapshots.insert(name.clone(), Arc::new(snapshot));
            }
            Serves::Nothing => _ = api.stages.remove(name),
        }
    }
    Ok(api)
}

/// Reads one version, whose stages are among its parts.
fn build_version(
    definition: &ApiDefinition,
    parts: &[ApiPart],
    functions: &[Arc<Function>],
    keys: &Arc<ApiKeys>,
) -> Result<Api, Vec<String>> {
    let units = vec![unit(definition, parts)];
    let world = World { units, exports: BTreeMap::new(), store: Rc::default() };
    let mut resolver = Resolver::new(&world);
    let pieces: Vec<Piece<'_>> = resources::in_template_order(&world, 0)
        .into_iter()
        .map(|(id, resource)| {
            let properties = resource.node.get("Properties").cloned();
            Piece { unit: 0, id, resource, properties }
        })
        .collect();
    let mut built = Built::default();
    let known = Parts { functions: functions.to_vec(), ..Parts::default() };
    built.stacks.insert(0, known);
    resources::build_apis(&mut resolver, &pieces, keys, &mut built);
    let problems: Vec<String> =
        resolver.problems.iter().map(|problem| problem.message.clone()).collect();
    let api = built.stacks.remove(&0).and_then(|parts| parts.apis.into_iter().next());
    match api {
        Some(api) if problems.is_empty() => Ok(Arc::unwrap_or_clone(api)),
        None if problems.is_empty() => Err(vec!["only WebSocket APIs are served here".to_owned()]),
        _ => Err(problems),
    }
}

/// A stack that has nothing but these parts, in which logical ids are the parts' own.
fn unit(definition: &ApiDefinition, parts: &[ApiPart]) -> Unit {
    let api = definition.id.as_str();
    let resources = parts.iter().enumerate().map(|(index, part)| {
        let kind = format!("{KIND_PREFIX}{}", part.kind);
        let mut properties = part.properties.clone();
        if part.kind != "Api" {
            properties.insert("ApiId".to_owned(), api.into());
        }
        let wrapped = Map::from_iter([("Properties".to_owned(), properties.into())]);
        let node = Node::from_json(Position::START, &wrapped.into());
        (part.id.clone(), Resource { at: Position::START, kind, node, index })
    });
    Unit {
        scope: Scope::of_definition(&definition.account, &definition.region),
        display_name: api.to_owned(),
        template: Template {
            file: PathBuf::from(api),
            description: None,
            parameters: BTreeMap::new(),
            mappings: BTreeMap::new(),
            conditions: BTreeMap::new(),
            resources: resources.collect(),
            outputs: BTreeMap::new(),
            output_order: Vec::new(),
        },
        assets: Rc::default(),
        parent: None,
        children: BTreeMap::new(),
        given: BTreeMap::new(),
        after: Vec::new(),
    }
}

/// The definitions of a template's APIs.
pub(crate) fn definitions(resolver: &Resolver<'_>, pieces: &[Piece<'_>]) -> Vec<ApiDefinition> {
    let apis = pieces.iter().filter(|piece| piece.kind() == "AWS::ApiGatewayV2::Api");
    apis.filter(|piece| piece.text("ProtocolType").as_deref() == Some("WEBSOCKET"))
        .filter_map(|piece| definition(resolver, pieces, piece))
        .collect()
}

fn definition(
    resolver: &Resolver<'_>,
    pieces: &[Piece<'_>],
    api: &Piece<'_>,
) -> Option<ApiDefinition> {
    let scope = &resolver.unit(api.unit).scope;
    let id = physical::api_id(scope, api.id);
    let mut definition = ApiDefinition {
        id: ApiId::parse(&id).ok()?,
        account: scope.account.clone(),
        region: scope.region.clone(),
        parts: vec![ApiPart { kind: "Api".to_owned(), id: id.clone(), properties: plain(api) }],
        stages: BTreeMap::new(),
    };
    for piece in pieces.iter().filter(|piece| piece.text("ApiId").as_deref() == Some(&id)) {
        let Some(kind) = piece.kind().strip_prefix(KIND_PREFIX) else { continue };
        let properties = plain(piece);
        if kind == "Stage" {
            let name = piece.text("StageName").unwrap_or_default();
            let Ok(name) = StageName::parse(&name) else { continue };
            let stage = StageDefinition { properties, serves: Serves::Latest };
            definition.stages.insert(name, stage);
        } else {
            let id = physical::part_id(&resolver.unit(piece.unit).scope, piece.id);
            definition.parts.push(ApiPart { kind: kind.to_owned(), id, properties });
        }
    }
    Some(definition)
}

/// The last words of the types of resources about a function.
const FUNCTION_PARTS: [&str; 4] = ["Version", "Alias", "Permission", "EventInvokeConfig"];

/// The definitions of a template's functions, as far as they run.
pub(crate) fn functions(
    resolver: &Resolver<'_>,
    pieces: &[Piece<'_>],
    stacks: &[Stack],
) -> Vec<FunctionDefinition> {
    let mut definitions: BTreeMap<FunctionArn, FunctionDefinition> = BTreeMap::new();
    for function in stacks.iter().flat_map(|stack| &stack.functions) {
        let arn = function.arn.as_str();
        let piece = pieces.iter().find(|piece| {
            piece.kind() == "AWS::Lambda::Function"
                && resources::function_arn(resolver, piece) == arn
        });
        let properties = piece.map(plain).unwrap_or_default();
        let definition =
            FunctionDefinition { function: Arc::clone(function), properties, parts: Vec::new() };
        definitions.insert(function.arn.clone(), definition);
    }
    for piece in pieces {
        let kind = piece.kind().strip_prefix("AWS::Lambda::");
        let Some(kind) = kind.filter(|kind| FUNCTION_PARTS.contains(kind)) else { continue };
        let name = piece.text("FunctionName").unwrap_or_default();
        let arn = resolver.unit(piece.unit).scope.function_arn(&name);
        let Ok((arn, _)) = FunctionArn::parse(&arn) else { continue };
        if let Some(definition) = definitions.get_mut(&arn) {
            let (kind, id) = (kind.to_owned(), piece.id.to_owned());
            definition.parts.push(FunctionPart { kind, id, properties: plain(piece) });
        }
    }
    definitions.into_values().collect()
}

/// The properties of a resource without positions.
fn plain(piece: &Piece<'_>) -> Map<String, serde_json::Value> {
    match piece.properties.as_ref().map(Node::to_json) {
        Some(serde_json::Value::Object(map)) => map,
        _ => Map::new(),
    }
}
