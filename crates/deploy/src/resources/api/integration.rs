//! What a route calls.

use std::sync::Arc;
use std::time::Duration;

use stillwire_model::{FunctionArn, Integration, IntegrationTarget, limits};

use super::{ApiBuilder, Piece};
use crate::report::Action;

/// The function that a URI calls, and the alias or version it names.
///
/// Source: API Gateway v2, `IntegrationUri`: `arn:…:lambda:path/2015-03-31/functions/{function}/invocations`; a
/// bare function ARN is accepted too.
pub(in crate::resources) fn called_function(uri: &str) -> Option<(FunctionArn, Option<String>)> {
    let arn = match uri.split_once(":lambda:path/") {
        Some((_, path)) => path.split_once("/functions/")?.1.strip_suffix("/invocations")?,
        None => uri,
    };
    if arn.contains("${") {
        return None;
    }
    FunctionArn::parse(arn).ok()
}

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
        let timeout = self.timeout(piece);
        let target = match (kind.as_str(), called_function(&uri)) {
            ("AWS_PROXY", Some((function, qualifier))) => {
                if !self.functions.contains(function.as_str()) {
                    let text =
                        format!("the function {function} is not in these stacks: every call fails");
                    piece.warn(self.resolver, "IntegrationUri", text);
                }
                IntegrationTarget::Function { function, qualifier }
            }
            ("AWS_PROXY", None) if uri.contains("${stageVariables.") => {
                IntegrationTarget::Unsupported(
                    "stage variables in an integration's URI are not run here".into(),
                )
            }
            ("AWS_PROXY", None) => {
                IntegrationTarget::Unsupported(format!("{uri:?} is not a function"))
            }
            ("AWS" | "HTTP" | "HTTP_PROXY" | "MOCK", _) => IntegrationTarget::Unsupported(format!(
                "integrations of type {kind} are not run here"
            )),
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
            IntegrationTarget::Function { function, .. } => {
                self.fate(piece, Action::Runs, &format!("calls {}", function.name()));
            }
            IntegrationTarget::Unsupported(reason) => self.decline(piece, reason),
        }
        Some(Integration { id: id.to_owned(), target, timeout })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_functions_uri_names_the_function() {
        let arn = "arn:aws:lambda:us-east-1:999999999999:function:chat";
        let path = |arn: &str| {
            format!(
                "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
            )
        };
        for (uri, qualifier) in [
            (path(arn), None),
            (path(&format!("{arn}:live")), Some("live")),
            (path(&format!("{arn}:7")), Some("7")),
            (arn.to_owned(), None),
            (format!("{arn}:live"), Some("live")),
        ] {
            let (function, found) = called_function(&uri).unwrap();
            assert_eq!((function.as_str(), found.as_deref()), (arn, qualifier), "{uri}");
        }
        for uri in [
            "",
            "https://example.com/",
            "arn:aws:apigateway:us-east-1:sqs:path/1/queue",
            &path(&format!("{arn}:${{stageVariables.alias}}")),
        ] {
            assert!(called_function(uri).is_none(), "{uri}");
        }
    }
}
