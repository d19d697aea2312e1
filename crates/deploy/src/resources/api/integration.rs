//! What a route calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stillwire_model::{
    ContentHandling, Integration, IntegrationResponse, IntegrationTarget, Mapping, Passthrough,
    RequestTemplates, ResponseKey, SelectionExpression, function_of_uri, limits,
};
use stillwire_velocity::Template;

use super::stage::members;
use super::{ApiBuilder, Piece};
use crate::report::Action;

impl ApiBuilder<'_, '_> {
    pub(super) fn target(&mut self, piece: &Piece<'_>) -> Option<Arc<Integration>> {
        let target = piece.text("Target")?;
        let Some(id) = target.strip_prefix("integrations/") else {
            piece.fail(
                self.resolver,
                "Target",
                format!("{target:?} is not a target (integrations/ID)"),
            );
            return None;
        };
        let Some(part) = self.part("AWS::ApiGatewayV2::Integration", id) else {
            piece.fail(
                self.resolver,
                "Target",
                format!("{target} names no integration of this API"),
            );
            return None;
        };
        if let Some(known) = self.integrations.get(id) {
            return known.clone();
        }
        let built = self.integration(part, id).map(Arc::new);
        self.integrations.insert(id.to_owned(), built.clone());
        built
    }

    fn integration(&mut self, piece: &Piece<'_>, id: &str) -> Option<Integration> {
        piece.properties.as_ref()?;
        let kind = piece.text("IntegrationType").unwrap_or_default();
        let uri = piece.text("IntegrationUri").unwrap_or_default();
        let method = piece.text("IntegrationMethod").unwrap_or_else(|| "POST".to_owned());
        let target = match kind.as_str() {
            "AWS_PROXY" => self.function(piece, &uri),
            "HTTP" | "HTTP_PROXY" if uri.starts_with("http://") || uri.starts_with("https://") => {
                IntegrationTarget::Http { uri, method, proxy: kind == "HTTP_PROXY" }
            }
            "HTTP" | "HTTP_PROXY" => IntegrationTarget::Unsupported(format!(
                "{uri:?} is not an http:// or https:// address"
            )),
            "AWS" if uri.starts_with("arn:") => IntegrationTarget::Service { uri, method },
            "AWS" => {
                IntegrationTarget::Unsupported(format!("{uri:?} is not an action of a service"))
            }
            "MOCK" => IntegrationTarget::Mock,
            _ => {
                piece.fail(
                    self.resolver,
                    "IntegrationType",
                    format!("{kind:?} is not an integration type"),
                );
                return None;
            }
        };
        match &target {
            IntegrationTarget::Unsupported(reason) => self.decline(piece, reason),
            runs => self.fate(piece, Action::Runs, &describe(runs)),
        }
        let content_handling = self.content_handling(piece);
        if content_handling.is_some() && kind == "AWS_PROXY" {
            let text = "it has no effect on AWS_PROXY: an event has messages as the text they are";
            piece.inform(self.resolver, "ContentHandlingStrategy", text);
        }
        Some(Integration {
            id: id.to_owned(),
            target,
            timeout: self.timeout(piece),
            parameters: self.parameters(piece),
            templates: RequestTemplates {
                by_key: self.templates(piece, "RequestTemplates"),
                selection: self.expression(piece, "TemplateSelectionExpression"),
                passthrough: self.passthrough(piece),
            },
            responses: self.responses(id),
            content_handling,
        })
    }

    fn content_handling(&mut self, piece: &Piece<'_>) -> Option<ContentHandling> {
        match ContentHandling::parse(&piece.text("ContentHandlingStrategy")?) {
            Ok(content_handling) => Some(content_handling),
            Err(error) => {
                piece.fail(self.resolver, "ContentHandlingStrategy", error.to_string());
                None
            }
        }
    }

    fn function(&mut self, piece: &Piece<'_>, uri: &str) -> IntegrationTarget {
        if uri.contains("${stageVariables.") {
            return IntegrationTarget::FunctionUri(uri.to_owned());
        }
        let Some((function, qualifier)) = function_of_uri(uri) else {
            return IntegrationTarget::Unsupported(format!("{uri:?} is not a function"));
        };
        if !self.functions.contains(function.as_str()) {
            let text = format!("the function {function} is not in these stacks: every call fails");
            piece.warn(self.resolver, "IntegrationUri", text);
        }
        IntegrationTarget::Function { function, qualifier }
    }

    fn parameters(&mut self, piece: &Piece<'_>) -> Vec<Mapping> {
        let mut mappings = Vec::new();
        for (target, node) in members(piece.get("RequestParameters")) {
            match Mapping::parse(target, &node.scalar().unwrap_or_default()) {
                Ok(mapping) => mappings.push(mapping),
                Err(error) => piece.fail(self.resolver, "RequestParameters", error.to_string()),
            }
        }
        mappings
    }

    /// Templates, which are read here so that a mistake is found before the first message.
    fn templates(&mut self, piece: &Piece<'_>, property: &str) -> BTreeMap<String, String> {
        let mut templates = BTreeMap::new();
        for (key, node) in members(piece.get(property)) {
            let text = node.scalar().unwrap_or_default();
            if let Err(error) = Template::parse(&text) {
                piece.fail(self.resolver, property, format!("the template {key:?}, {error}"));
            }
            // Keys are written as expressions, where `\\$default` stands for `$default`.
            templates.insert(key.strip_prefix('\\').unwrap_or(key).to_owned(), text);
        }
        templates
    }

    pub(super) fn expression(
        &mut self,
        piece: &Piece<'_>,
        property: &str,
    ) -> Option<SelectionExpression> {
        match SelectionExpression::parse(&piece.text(property)?) {
            Ok(expression) => Some(expression),
            Err(error) => {
                piece.fail(self.resolver, property, error.to_string());
                None
            }
        }
    }

    fn passthrough(&mut self, piece: &Piece<'_>) -> Passthrough {
        match piece.text("PassthroughBehavior").as_deref() {
            None | Some("WHEN_NO_MATCH") => Passthrough::WhenNoMatch,
            Some("WHEN_NO_TEMPLATES") => Passthrough::WhenNoTemplates,
            Some("NEVER") => Passthrough::Never,
            Some(other) => {
                let message = format!("{other:?} is not WHEN_NO_MATCH, WHEN_NO_TEMPLATES or NEVER");
                piece.fail(self.resolver, "PassthroughBehavior", message);
                Passthrough::Never
            }
        }
    }

    fn responses(&mut self, integration: &str) -> Vec<IntegrationResponse> {
        let mut responses = Vec::new();
        for piece in self.parts_of("AWS::ApiGatewayV2::IntegrationResponse") {
            if piece.text("IntegrationId").as_deref() != Some(integration) {
                continue;
            }
            let text = piece.text("IntegrationResponseKey").unwrap_or_default();
            let key = match ResponseKey::parse(&text) {
                Ok(key) => key,
                Err(error) => {
                    piece.fail(self.resolver, "IntegrationResponseKey", error.to_string());
                    continue;
                }
            };
            self.fate(piece, Action::Runs, &format!("answers {text}"));
            responses.push(IntegrationResponse {
                key,
                templates: self.templates(piece, "ResponseTemplates"),
                selection: self.expression(piece, "TemplateSelectionExpression"),
                content_handling: self.content_handling(piece),
            });
        }
        responses
    }

    fn timeout(&mut self, piece: &Piece<'_>) -> Duration {
        let Some(text) = piece.text("TimeoutInMillis") else {
            return limits::INTEGRATION_TIMEOUT_MAX;
        };
        let range = limits::INTEGRATION_TIMEOUT_MIN..=limits::INTEGRATION_TIMEOUT_MAX;
        match text.parse().map(Duration::from_millis) {
            Ok(timeout) if range.contains(&timeout) => timeout,
            _ => {
                let message = format!("TimeoutInMillis is {text}; it may be 50 to 29000");
                piece.fail(self.resolver, "TimeoutInMillis", message);
                limits::INTEGRATION_TIMEOUT_MAX
            }
        }
    }
}

/// What an integration calls, in a word.
pub(super) fn describe(target: &IntegrationTarget) -> String {
    match target {
        IntegrationTarget::Function { function, .. } => format!("calls {}", function.name()),
        IntegrationTarget::FunctionUri(_) => "calls the function that the stage names".to_owned(),
        IntegrationTarget::Http { uri, method, .. } => format!("sends {method} {uri}"),
        IntegrationTarget::Service { uri, .. } => match function_of_uri(uri) {
            Some((function, _)) => format!("calls {}", function.name()),
            None => format!("calls {}", uri.splitn(5, ':').last().unwrap_or(uri)),
        },
        IntegrationTarget::Mock => "answers by itself".to_owned(),
        IntegrationTarget::Unsupported(reason) => reason.clone(),
    }
}
