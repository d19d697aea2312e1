//! Who may open a connection, and whether AWS would let API Gateway call the functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_model::{
    Api, ApiKeySource, Authorization, Authorizer, IdentitySource, IntegrationTarget, Route,
    RouteKey, Stage, StageName, function_of_uri,
};

use super::{ApiBuilder, Piece};
use crate::node::Node;
use crate::report::Action;

impl ApiBuilder<'_, '_> {
    pub(super) fn authorization(&mut self, piece: &Piece<'_>, key: &RouteKey) -> Authorization {
        match piece.text("AuthorizationType").as_deref() {
            None | Some("NONE") => Authorization::None,
            // Source: API Gateway, "only the $connect route supports authorization".
            Some(kind) if *key != RouteKey::Connect => {
                let text =
                    format!("authorization {kind} has no effect on {key}: only $connect has it");
                piece.warn(self.resolver, "AuthorizationType", text);
                Authorization::None
            }
            Some("CUSTOM") => self.authorizer(piece),
            Some("AWS_IAM") => Authorization::Iam,
            Some(kind) => {
                let reason = format!("authorization {kind} is not available here: nobody gets in");
                piece.warn(self.resolver, "AuthorizationType", reason.clone());
                Authorization::Unsupported(reason)
            }
        }
    }

    fn authorizer(&mut self, route: &Piece<'_>) -> Authorization {
        let id = route.text("AuthorizerId").unwrap_or_default();
        let Some(piece) = self.part("AWS::ApiGatewayV2::Authorizer", &id) else {
            let message = format!("{id:?} names no authorizer of this API");
            route.fail(self.resolver, "AuthorizerId", message.clone());
            return Authorization::Unsupported(message);
        };
        let kind = piece.text("AuthorizerType").unwrap_or_default();
        if kind != "REQUEST" {
            let reason =
                format!("authorizers of type {kind} are not for WebSocket APIs: nobody gets in");
            self.decline(piece, &reason);
            return Authorization::Unsupported(reason);
        }
        let uri = piece.text("AuthorizerUri").unwrap_or_default();
        let Some((function, qualifier)) = function_of_uri(&uri) else {
            let reason = format!(
                "the authorizer's {uri:?} is not a function that runs here: nobody gets in"
            );
            self.decline(piece, &reason);
            return Authorization::Unsupported(reason);
        };
        let mut identity_sources = Vec::new();
        for node in piece.get("IdentitySource").and_then(Node::as_list).unwrap_or_default() {
            match IdentitySource::parse(&node.scalar().unwrap_or_default()) {
                Ok(source) => identity_sources.push(source),
                Err(error) => piece.fail(self.resolver, "IdentitySource", error.to_string()),
            }
        }
        self.fate(piece, Action::Runs, &format!("calls {}", function.name()));
        let name = piece.text("Name").unwrap_or_else(|| piece.id.to_owned());
        Authorization::Custom(Arc::new(Authorizer {
            id,
            name,
            function,
            qualifier,
            identity_sources,
        }))
    }

    /// Where the API takes keys from.
    pub(super) fn key_source(&mut self, piece: &Piece<'_>) -> ApiKeySource {
        let Some(text) = piece.text("ApiKeySelectionExpression") else {
            return ApiKeySource::default();
        };
        ApiKeySource::parse(&text).unwrap_or_else(|error| {
            piece.fail(self.resolver, "ApiKeySelectionExpression", error.to_string());
            ApiKeySource::default()
        })
    }

    pub(super) fn api_key_required(&mut self, piece: &Piece<'_>, key: &RouteKey) -> bool {
        let required = piece.text("ApiKeyRequired").as_deref() == Some("true");
        if required && *key != RouteKey::Connect {
            // Source: API Gateway, as above, for keys too.
            let text = format!("API keys have no effect on {key}: only $connect asks for one");
            piece.warn(self.resolver, "ApiKeyRequired", text);
        }
        required && *key == RouteKey::Connect
    }

    /// Notices an API that takes keys from an authorizer that is not there.
    pub(super) fn check_key_source(&mut self, piece: &Piece<'_>, api: &Api) {
        let is_locked = api.api_key_source == ApiKeySource::Authorizer
            && api.connect_route().is_some_and(|route| {
                route.api_key_required && !matches!(route.authorization, Authorization::Custom(_))
            });
        if is_locked {
            let text = "nobody gets in: API keys come from the authorizer, and $connect has none";
            piece.warn(self.resolver, "ApiKeySelectionExpression", text);
        }
    }

    /// Notices what AWS would refuse: calls that no permission allows.
    pub(super) fn check_permissions(
        &mut self,
        piece: &Piece<'_>,
        api: &str,
        stages: &BTreeMap<StageName, Stage>,
        route: &Route,
    ) {
        let scope = &self.resolver.unit(piece.unit).scope;
        let arn = |rest: &str| scope.arn("execute-api", &format!("{api}/{rest}"));
        let stage = stages.keys().next().map_or("stage", StageName::as_str);
        let as_route = arn(&format!("{stage}/{}", route.key));
        let mut missing = Vec::new();
        if let Some(IntegrationTarget::Function { function, .. }) =
            route.integration.as_deref().map(|found| &found.target)
            && self.functions.contains(function.as_str())
            && !self.permissions.allow(function.as_str(), &as_route)
        {
            missing.push(format!(
                "no Lambda permission lets API Gateway call {} for the route {}: on AWS the call would fail",
                function.name(),
                route.key
            ));
        }
        if let Authorization::Custom(authorizer) = &route.authorization
            && self.functions.contains(authorizer.function.as_str())
            && !self.permissions.allow(
                authorizer.function.as_str(),
                &arn(&format!("authorizers/{}", authorizer.id)),
            )
        {
            missing.push(format!(
                "no Lambda permission lets API Gateway call {} as authorizer {}: on AWS nobody would get in",
                authorizer.function.name(),
                authorizer.name
            ));
        }
        for text in missing {
            piece.warn(self.resolver, "", text);
        }
    }
}
