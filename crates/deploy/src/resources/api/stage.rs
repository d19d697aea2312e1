//! Stages: variables, throttling, access logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillwire_model::{AccessLog, LogFormat, RouteKey, RouteSettings, Stage, StageName, Throttle};

use super::{ApiBuilder, Piece};
use crate::node::Node;
use crate::report::Action;

/// What holds of a throttle when a template names only one half of it.
///
/// Source: API Gateway quotas, account-level throttling (10,000 requests per second, burst 5,000). A template that
/// names neither does not throttle.
const ACCOUNT: Throttle = Throttle { rate: 10_000.0, burst: 5000 };

impl ApiBuilder<'_, '_> {
    pub(super) fn stages(&mut self) -> BTreeMap<StageName, Stage> {
        let mut stages = BTreeMap::new();
        for piece in self.parts_of("AWS::ApiGatewayV2::Stage") {
            let Some(stage) = self.stage(piece) else { continue };
            self.fate(piece, Action::Runs, &format!("stage {}", stage.name));
            let name = stage.name.clone();
            if stages.insert(name.clone(), stage).is_some() {
                piece.fail(self.resolver, "StageName", format!("two stages have the name {name}"));
            }
        }
        stages
    }

    fn stage(&mut self, piece: &Piece<'_>) -> Option<Stage> {
        let text = piece.text("StageName").unwrap_or_default();
        let name = match StageName::parse(&text) {
            Ok(name) => name,
            Err(error) => {
                piece.fail(self.resolver, "StageName", error.to_string());
                return None;
            }
        };
        if piece.text("AutoDeploy").as_deref() != Some("true") {
            let text = "route changes apply at once here; on AWS this stage serves them after a new deployment";
            piece.inform(self.resolver, "DeploymentId", text);
        }
        let mut stage = Stage::new(name);
        let variables = members(piece.get("StageVariables"));
        stage.variables =
            variables.filter_map(|(name, node)| Some((name.to_owned(), node.scalar()?))).collect();
        if let Some(node) = piece.get("DefaultRouteSettings") {
            stage.default_settings = self.route_settings(piece, "DefaultRouteSettings", node);
        }
        for (key, node) in members(piece.get("RouteSettings")) {
            match RouteKey::parse(key) {
                Ok(key) => {
                    let settings = self.route_settings(piece, "RouteSettings", node);
                    stage.route_settings.insert(key, settings);
                }
                Err(error) => piece.fail(self.resolver, "RouteSettings", error.to_string()),
            }
        }
        stage.access_log = self.access_log(piece);
        Some(stage)
    }

    fn route_settings(&mut self, piece: &Piece<'_>, property: &str, node: &Node) -> RouteSettings {
        let throttle = throttle(node, "ThrottlingRateLimit", "ThrottlingBurstLimit");
        let throttle = throttle.unwrap_or_else(|message| {
            piece.fail(self.resolver, property, message);
            None
        });
        let text = node.get("DetailedMetricsEnabled").and_then(Node::scalar);
        RouteSettings { throttle, detailed_metrics: text.as_deref() == Some("true") }
    }

    fn access_log(&mut self, piece: &Piece<'_>) -> Option<AccessLog> {
        let node = piece.get("AccessLogSettings")?;
        let text = |name: &str| node.get(name).and_then(Node::scalar);
        let (Some(arn), Some(format)) = (text("DestinationArn"), text("Format")) else {
            piece.warn(
                self.resolver,
                "AccessLogSettings",
                "no access log is written: it needs DestinationArn and Format",
            );
            return None;
        };
        match LogFormat::parse(&format) {
            Ok(format) => {
                if let Err(error) = format.check_request_id() {
                    // A call is answered as the service answers it. An app that is run here is not stopped by it.
                    let scope = &self.resolver.unit(piece.unit).scope;
                    if scope.given_ids {
                        piece.fail(self.resolver, "AccessLogSettings", error.to_string());
                        return None;
                    }
                    let text = format!("{error}: on AWS this stage is refused");
                    piece.warn(self.resolver, "AccessLogSettings", text);
                }
                Some(AccessLog { destination: destination(&arn), format })
            }
            Err(error) => {
                piece.fail(self.resolver, "AccessLogSettings", error.to_string());
                None
            }
        }
    }
}

/// The throttle that these two members make, if either is there.
pub(in crate::resources) fn throttle(
    node: &Node,
    rate: &str,
    burst: &str,
) -> Result<Option<Throttle>, String> {
    let text = |name: &str| node.get(name).and_then(Node::scalar);
    let message = || format!("{rate} and {burst} are numbers, not below 0");
    let (rate, burst) = (text(rate), text(burst));
    if rate.is_none() && burst.is_none() {
        return Ok(None);
    }
    let is_rate = |rate: &f64| rate.is_finite() && *rate >= 0.0;
    let rate = rate.map_or(Some(ACCOUNT.rate), |text| text.parse().ok().filter(is_rate));
    let burst = burst.map_or(Some(ACCOUNT.burst), |text| text.parse().ok());
    let throttle = rate.zip(burst).map(|(rate, burst)| Throttle { rate, burst });
    throttle.map(Some).ok_or_else(message)
}

/// The members of a map.
pub(super) fn members(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let map = node.and_then(Node::as_map).into_iter();
    map.flat_map(|map| &map.0).map(|member| (member.name.as_str(), &member.node))
}

/// The name of a log group or delivery stream, out of its ARN.
fn destination(arn: &str) -> Arc<str> {
    let name = ["log-group:", "deliverystream/"]
        .iter()
        .find_map(|kind| arn.split_once(kind).map(|(_, name)| name));
    let name = name.unwrap_or(arn);
    name.strip_suffix(":*").unwrap_or(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_named_by_its_arn() {
        for (arn, name) in [
            ("arn:aws:logs:us-east-1:1:log-group:/ws/access", "/ws/access"),
            ("arn:aws:logs:us-east-1:1:log-group:/ws/access:*", "/ws/access"),
            (
                "arn:aws:firehose:us-east-1:1:deliverystream/amazon-apigateway-x",
                "amazon-apigateway-x",
            ),
            ("my-group", "my-group"),
        ] {
            assert_eq!(&*destination(arn), name);
        }
    }
}
