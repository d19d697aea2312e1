//! WebSocket APIs: routes, integrations, authorizers and stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    ApiId, ApiKeySource, ApiKeys, FunctionArn, Integration, MappingSource, SelectionExpression,
    Stage, StageName, limits,
};

/// A WebSocket API. It never changes: a new deployment is a new value.
#[derive(Debug, Clone)]
pub struct Api {
    /// Its id.
    pub id: ApiId,
    /// The stack it belongs to.
    pub stack: Arc<str>,
    /// Its logical id in the template.
    pub logical_id: Arc<str>,
    /// The name its author gave it.
    pub name: String,
    /// The partition its ARNs carry (`aws`).
    pub partition: String,
    /// The region its ARNs carry.
    pub region: String,
    /// The account its ARNs carry.
    pub account: String,
    /// Finds the route key of a message.
    pub route_selection: SelectionExpression,
    /// Its stages, by name.
    pub stages: BTreeMap<StageName, Stage>,
    /// Its models by name: JSON schemas of draft 4.
    pub models: BTreeMap<String, Arc<str>>,
    /// Where the key of a handshake comes from, on routes that require one.
    pub api_key_source: ApiKeySource,
    /// The keys of its app.
    pub api_keys: Arc<ApiKeys>,
    /// The versions that stages serve which do not follow this one; each knows its stage as it is now.
    pub snapshots: BTreeMap<StageName, Arc<Self>>,
    /// Whether it answers at its own address, and not by custom domains only.
    pub execute_api_endpoint: bool,
    routes: BTreeMap<RouteKey, Arc<Route>>,
}

/// A set of routes that cannot be an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidApi {
    /// Two routes have one key.
    #[error("two routes have the key {0}")]
    DuplicateRoute(RouteKey),
    /// More routes than an API may have.
    #[error("{0} routes: an API has at most {max}", max = limits::ROUTES_MAX)]
    TooManyRoutes(usize),
}

impl Api {
    /// An API without routes and stages; add them with [`Api::with_routes`].
    pub fn new(id: ApiId, route_selection: SelectionExpression) -> Self {
        Self {
            id,
            stack: "".into(),
            logical_id: "".into(),
            name: String::new(),
            partition: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            route_selection,
            stages: BTreeMap::new(),
            models: BTreeMap::new(),
            api_key_source: ApiKeySource::default(),
            api_keys: Arc::default(),
            snapshots: BTreeMap::new(),
            execute_api_endpoint: true,
            routes: BTreeMap::new(),
        }
    }

    /// The same API with these routes instead of its own.
    ///
    /// # Errors
    /// When two routes share a key, or there are more than [`limits::ROUTES_MAX`].
    pub fn with_routes(
        mut self,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, InvalidApi> {
        let mut own = BTreeMap::new();
        for route in routes {
            let key = route.key.clone();
            if own.insert(key.clone(), route).is_some() {
                return Err(InvalidApi::DuplicateRoute(key));
            }
        }
        if own.len() > limits::ROUTES_MAX {
            return Err(InvalidApi::TooManyRoutes(own.len()));
        }
        let placed = own.into_iter().enumerate();
        self.routes =
            placed.map(|(place, (key, route))| (key, Arc::new(Route { place, ..route }))).collect();
        Ok(self)
    }

    /// The version that a stage serves.
    pub fn at_stage<'a>(self: &'a Arc<Self>, stage: &StageName) -> &'a Arc<Self> {
        self.snapshots.get(stage).unwrap_or(self)
    }

    /// All routes, by key.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    /// The `$connect` route, if there is one.
    pub fn connect_route(&self) -> Option<&Arc<Route>> {
        self.routes.get(&RouteKey::Connect)
    }

    /// The `$disconnect` route, if there is one.
    pub fn disconnect_route(&self) -> Option<&Arc<Route>> {
        self.routes.get(&RouteKey::Disconnect)
    }

    /// The route of a message whose selection expression gave `key`: that custom route, else `$default`.
    ///
    /// `None` for `key` is an expression that could not be evaluated. The lifecycle routes are never found.
    pub fn message_route(&self, key: Option<&str>) -> Option<&Arc<Route>> {
        key.and_then(|key| self.routes.get(&RouteKey::Custom(key.into())))
            .or_else(|| self.routes.get(&RouteKey::Default))
            .filter(|route| route.integration.is_some())
    }
}

/// Which messages a route serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteKey {
    /// `$connect`: the handshake.
    Connect,
    /// `$disconnect`: after the connection ended.
    Disconnect,
    /// `$default`: what no other route takes.
    Default,
    /// The text that the selection expression gives.
    Custom(Arc<str>),
}

/// A route key that API Gateway would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a route key: only $connect, $disconnect and $default begin with `$`, and a key is not empty"
)]
pub struct InvalidRouteKey(pub String);

impl RouteKey {
    /// Reads a `RouteKey` property.
    pub fn parse(text: &str) -> Result<Self, InvalidRouteKey> {
        match text {
            "$connect" => Ok(Self::Connect),
            "$disconnect" => Ok(Self::Disconnect),
            "$default" => Ok(Self::Default),
            _ if text.is_empty() || text.starts_with('$') => Err(InvalidRouteKey(text.to_owned())),
            _ => Ok(Self::Custom(text.into())),
        }
    }

    /// The key as the wire spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connect => "$connect",
            Self::Disconnect => "$disconnect",
            Self::Default => "$default",
            Self::Custom(text) => text,
        }
    }
}

impl std::fmt::Display for RouteKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A route: a key and what it calls.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which messages it serves.
    pub key: RouteKey,
    /// What it calls; a route without one is as good as missing.
    pub integration: Option<Arc<Integration>>,
    /// Who may pass. Only looked at on `$connect`.
    pub authorization: Authorization,
    /// Whether the integration's answer goes back to the client (the route has a route response).
    pub two_way: bool,
    /// Which messages are let through; `None` for all.
    pub validation: Option<Validation>,
    /// What a handshake must have: headers and parameters of its query. Only looked at on `$connect`.
    pub required: Vec<MappingSource>,
    /// Whether it takes an API key to pass. Only looked at on `$connect`.
    pub api_key_required: bool,
    /// Its place among the routes of its API, by which counters of its own are found; [`Api::with_routes`] sets it.
    pub place: usize,
}

impl Route {
    /// A route that anyone may take, with nothing checked and nothing sent back.
    pub fn new(key: RouteKey, integration: Option<Arc<Integration>>) -> Self {
        let authorization = Authorization::None;
        Self {
            key,
            integration,
            authorization,
            two_way: false,
            validation: None,
            required: Vec::new(),
            api_key_required: false,
            place: 0,
        }
    }
}

/// How the messages of a route are validated.
///
/// Source: API Gateway Developer Guide, "Request validation for WebSocket APIs": where there is an expression and no model
/// for what it gives, not even under `$default`, validation fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Finds the key of a model.
    pub selection: SelectionExpression,
    /// Names of models by their keys.
    pub models: BTreeMap<String, String>,
}

impl Validation {
    /// The name of the model for a key that was selected.
    pub fn model(&self, key: Option<&str>) -> Option<&str> {
        let keys = key.into_iter().chain(["$default"]);
        keys.into_iter().find_map(|key| self.models.get(key)).map(String::as_str)
    }
}

/// Who may open a connection.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// Anyone.
    None,
    /// Whom this authorizer lets in.
    Custom(Arc<Authorizer>),
    /// `AWS_IAM`: whoever signs the handshake with a key that is known.
    Iam,
    /// Not available here: nobody gets in, with the reason in the log. Fails closed.
    Unsupported(String),
}

/// A Lambda REQUEST authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorizer {
    /// Its id.
    pub id: String,
    /// The name its author gave it.
    pub name: String,
    /// The function that decides.
    pub function: FunctionArn,
    /// The alias or version of it that is named, if any.
    pub qualifier: Option<String>,
    /// What must be present and not empty in the handshake; else 401 without a call.
    pub identity_sources: Vec<IdentitySource>,
}

/// Something a handshake must carry before its authorizer is called.
///
/// Source: API Gateway v2 model, `Authorizer.identitySource` for REQUEST authorizers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// `route.request.header.NAME` (also `multivalueheader`); the name compares without case.
    Header(String),
    /// `route.request.querystring.NAME` (also `multivaluequerystring`).
    QueryString(String),
    /// `stageVariables.NAME`.
    StageVariable(String),
    /// `context.NAME`.
    Context(String),
}

/// A text that is not an identity source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an identity source (route.request.header.NAME, route.request.querystring.NAME, stageVariables.NAME or context.NAME)"
)]
pub struct InvalidIdentitySource(pub String);

impl IdentitySource {
    /// Reads one element of `IdentitySource`; a leading `$` is tolerated.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentitySource> {
        type Kind = fn(String) -> IdentitySource;
        const FORMS: [(&str, Kind); 6] = [
            ("route.request.header.", IdentitySource::Header),
            ("route.request.multivalueheader.", IdentitySource::Header),
            ("route.request.querystring.", IdentitySource::QueryString),
            ("route.request.multivaluequerystring.", IdentitySource::QueryString),
            ("stageVariables.", IdentitySource::StageVariable),
            ("context.", IdentitySource::Context),
        ];
        let bare = text.strip_prefix('$').unwrap_or(text);
        FORMS
            .iter()
            .find_map(|(prefix, kind)| {
                bare.strip_prefix(prefix)
                    .filter(|name| !name.is_empty())
                    .map(|name| kind(name.into()))
            })
            .ok_or_else(|| InvalidIdentitySource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(key: &str) -> Route {
        let function = FunctionArn::new("aws", "us-east-1", "000000000000", "f");
        let integration = Arc::new(Integration::of_function("i", function));
        Route::new(RouteKey::parse(key).unwrap(), Some(integration))
    }

    fn api(keys: &[&str]) -> Result<Api, InvalidApi> {
        let expression = SelectionExpression::parse("$request.body.action").unwrap();
        Api::new(ApiId::parse("abc").unwrap(), expression)
            .with_routes(keys.iter().map(|key| route(key)))
    }

    #[test]
    fn a_message_finds_its_route_else_the_default_and_never_a_lifecycle_route() {
        let api = api(&["$connect", "$disconnect", "$default", "chat"]).unwrap();
        let found = |key| api.message_route(key).map(|route| route.key.as_str().to_owned());
        assert_eq!(found(Some("chat")).as_deref(), Some("chat"));
        for key in [Some("Chat"), Some(""), Some("$connect"), Some("$disconnect"), None] {
            assert_eq!(found(key).as_deref(), Some("$default"), "{key:?}");
        }
    }

    #[test]
    fn without_a_default_route_an_unknown_key_finds_nothing() {
        assert!(api(&["chat"]).unwrap().message_route(Some("other")).is_none());
    }

    #[test]
    fn two_routes_of_one_key_are_refused() {
        let error = api(&["chat", "chat"]).unwrap_err();
        assert_eq!(error.to_string(), "two routes have the key chat");
    }

    #[test]
    fn identity_sources_name_header_query_variable_or_context() {
        use IdentitySource as S;
        for (text, expected) in [
            ("route.request.header.Authorization", S::Header("Authorization".into())),
            ("$route.request.header.X", S::Header("X".into())),
            ("route.request.querystring.token", S::QueryString("token".into())),
            ("stageVariables.key", S::StageVariable("key".into())),
            ("context.identity.sourceIp", S::Context("identity.sourceIp".into())),
        ] {
            assert_eq!(S::parse(text), Ok(expected));
        }
        for text in ["", "route.request.header.", "method.request.header.X"] {
            assert!(S::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_custom_key_does_not_begin_with_a_dollar() {
        assert!(RouteKey::parse("$mine").is_err());
        assert!(RouteKey::parse("").is_err());
    }
}
