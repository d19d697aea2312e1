//! `AWS::ApiGatewayV2::*`: WebSocket APIs with their routes, integrations, authorizers and stages.
//!
//! Parts find each other by the ids their properties resolved to, so it does not matter in which stack they are.

mod authorization;
mod integration;
mod models;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stillwire_model::{
    Api, ApiId, ApiKeys, Integration, IntegrationTarget, Route, RouteKey, SelectionExpression,
    Stage, StageName,
};

use self::integration::describe;
pub(super) use self::stage::throttle;
use super::permission::Permissions;
use super::{Built, Piece};
use crate::physical;
use crate::report::Action;
use crate::resolver::Resolver;

/// Source: API Gateway v2, `RouteSelectionExpression`; WebSocket APIs without one use the body's `action`.
const SELECTION_DEFAULT: &str = "$request.body.action";

/// Builds every API, and says what becomes of its parts.
pub(crate) fn build<'w>(
    resolver: &mut Resolver<'w>,
    pieces: &[Piece<'w>],
    keys: &Arc<ApiKeys>,
    built: &mut Built,
) {
    let permissions = Permissions::gather(resolver, pieces);
    let functions: BTreeSet<String> = built
        .stacks
        .values()
        .flat_map(|parts| &parts.functions)
        .map(|function| function.arn.as_str().to_owned())
        .collect();
    for piece in pieces.iter().filter(|piece| piece.kind() == "AWS::ApiGatewayV2::Api") {
        if piece.properties.is_none() {
            continue;
        }
        let id = physical::api_id(&resolver.unit(piece.unit).scope, piece.id);
        let mut builder = ApiBuilder {
            resolver,
            built,
            permissions: &permissions,
            functions: &functions,
            parts: pieces
                .iter()
                .filter(|part| part.text("ApiId").as_deref() == Some(&id))
                .filter(|part| part.kind().starts_with("AWS::ApiGatewayV2::"))
                .collect(),
            integrations: BTreeMap::new(),
        };
        if let Some(mut api) = builder.build(piece, &id) {
            api.api_keys = Arc::clone(keys);
            built.stacks.entry(piece.unit).or_default().apis.push(Arc::new(api));
        }
    }
    for piece in pieces {
        check_owner(resolver, pieces, piece);
    }
}

/// A part whose `ApiId` names no API of these stacks is served by nobody.
fn check_owner(resolver: &mut Resolver<'_>, pieces: &[Piece<'_>], piece: &Piece<'_>) {
    let is_part = matches!(
        piece.kind(),
        "AWS::ApiGatewayV2::Route" | "AWS::ApiGatewayV2::Integration" | "AWS::ApiGatewayV2::Stage"
    );
    let Some(wanted) = piece.text("ApiId").filter(|_| is_part) else { return };
    let owned = pieces
        .iter()
        .filter(|other| other.kind() == "AWS::ApiGatewayV2::Api")
        .any(|other| physical::api_id(&resolver.unit(other.unit).scope, other.id) == wanted);
    if !owned {
        piece.warn(
            resolver,
            "ApiId",
            format!("the API {wanted} is not in these stacks; this is not served"),
        );
    }
}

struct ApiBuilder<'a, 'w> {
    resolver: &'a mut Resolver<'w>,
    built: &'a mut Built,
    permissions: &'a Permissions,
    functions: &'a BTreeSet<String>,
    parts: Vec<&'a Piece<'w>>,
    integrations: BTreeMap<String, Option<Arc<Integration>>>,
}

impl<'a, 'w> ApiBuilder<'a, 'w> {
    fn build(&mut self, piece: &Piece<'_>, id: &str) -> Option<Api> {
        let protocol = piece.text("ProtocolType").unwrap_or_default();
        if protocol != "WEBSOCKET" {
            self.decline(piece, "HTTP APIs are not served here");
            for part in self.parts.clone() {
                self.fate(part, Action::NotRun, "part of an HTTP API");
            }
            return None;
        }
        let text =
            piece.text("RouteSelectionExpression").unwrap_or_else(|| SELECTION_DEFAULT.to_owned());
        let expression = match SelectionExpression::parse(&text) {
            Ok(expression) => expression,
            Err(error) => {
                piece.fail(self.resolver, "RouteSelectionExpression", error.to_string());
                return None;
            }
        };
        let key_source = self.key_source(piece);
        let stages = self.stages();
        let routes = self.routes(id, &stages);
        let mut api = match Api::new(ApiId::parse(id).ok()?, expression).with_routes(routes) {
            Ok(api) => api,
            Err(error) => {
                piece.fail(self.resolver, "", error.to_string());
                return None;
            }
        };
        let scope = &self.resolver.unit(piece.unit).scope;
        api.stack = Arc::from(scope.stack.as_str());
        api.logical_id = Arc::from(piece.id);
        api.name = piece.text("Name").unwrap_or_else(|| piece.id.to_owned());
        scope.partition().clone_into(&mut api.partition);
        api.region.clone_from(&scope.region);
        api.account.clone_from(&scope.account);
        api.stages = stages;
        api.models = self.models();
        api.api_key_source = key_source;
        api.execute_api_endpoint =
            piece.text("DisableExecuteApiEndpoint").as_deref() != Some("true");
        self.check_key_source(piece, &api);
        self.fate(piece, Action::Runs, &format!("WebSocket API {id}"));
        Some(api)
    }

    fn parts_of(&self, kind: &str) -> Vec<&'a Piece<'w>> {
        self.parts.iter().copied().filter(|part| part.kind() == kind).collect()
    }

    /// The part of a kind whose id is `id`.
    fn part(&self, kind: &str, id: &str) -> Option<&'a Piece<'w>> {
        self.parts_of(kind).into_iter().find(|part| self.id_of(part) == id)
    }

    fn id_of(&self, part: &Piece<'_>) -> String {
        physical::part_id(&self.resolver.unit(part.unit).scope, part.id)
    }

    fn fate(&mut self, piece: &Piece<'_>, action: Action, note: &str) {
        self.built.fates.insert(piece.key(), (action, note.to_owned()));
    }

    /// Lists a resource as not run, with a notice.
    fn decline(&mut self, piece: &Piece<'_>, reason: &str) {
        self.fate(piece, Action::NotRun, reason);
        piece.warn(self.resolver, "", reason);
    }

    fn routes(&mut self, api: &str, stages: &BTreeMap<StageName, Stage>) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for piece in self.parts_of("AWS::ApiGatewayV2::Route") {
            let Some(route) = self.route(piece) else { continue };
            if routes.iter().any(|other| other.key == route.key) {
                piece.fail(
                    self.resolver,
                    "RouteKey",
                    format!("two routes have the key {}", route.key),
                );
                continue;
            }
            self.check_permissions(piece, api, stages, &route);
            routes.push(route);
        }
        routes
    }

    fn route(&mut self, piece: &Piece<'_>) -> Option<Route> {
        piece.properties.as_ref()?;
        let text = piece.text("RouteKey").unwrap_or_default();
        let key = match RouteKey::parse(&text) {
            Ok(key) => key,
            Err(error) => {
                piece.fail(self.resolver, "RouteKey", error.to_string());
                return None;
            }
        };
        let integration = self.target(piece);
        let note = match integration.as_deref().map(|found| &found.target) {
            None => (Action::NotRun, format!("route {key} has no integration")),
            Some(IntegrationTarget::Unsupported(reason)) => {
                (Action::NotRun, format!("route {key}: {reason}"))
            }
            Some(target) => (Action::Runs, format!("route {key} {}", describe(target))),
        };
        self.fate(piece, note.0, &note.1);
        let api_key_required = self.api_key_required(piece, &key);
        let authorization = self.authorization(piece, &key);
        let id = self.id_of(piece);
        let two_way =
            self.parts_of("AWS::ApiGatewayV2::RouteResponse").into_iter().any(|response| {
                response.text("RouteId").as_deref() == Some(&id)
                    && response.text("RouteResponseKey").as_deref() == Some("$default")
            });
        if !two_way && piece.text("RouteResponseSelectionExpression").as_deref() == Some("$default")
        {
            let text = format!(
                "what {key} returns is not sent, as on AWS: the expression alone does not make a route two-way, \
                 an AWS::ApiGatewayV2::RouteResponse does"
            );
            piece.warn(self.resolver, "RouteResponseSelectionExpression", text);
        }
        let validation = self.validation(piece);
        let required = self.required(piece);
        Some(Route {
            key,
            integration,
            authorization,
            two_way,
            validation,
            required,
            api_key_required,
            place: 0,
        })
    }
}
