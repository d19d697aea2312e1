//! `websocket` events: the API, a route for each, an integration for each function.

use serde_json::{Value as Json, json};

use super::Writer;
use super::names::{normalized, route};
use crate::node::{Member, Node, Position};
use crate::physical::fingerprint;

/// The format of access logs where none is given. Source: as above, "Websocket - Logs".
const LOG_FORMAT: &str = "$context.identity.sourceIp $context.identity.caller $context.identity.user \
                          [$context.requestTime] \"$context.eventType $context.routeKey \
                          $context.connectionId\" $context.requestId";

/// A `websocket` event.
struct Event<'a> {
    at: Position,
    function: &'a str,
    key: String,
    node: &'a Node,
}

impl<'a> Writer<'a> {
    pub(super) fn websockets(&mut self) {
        let events = self.websocket_events();
        let Some(first) = events.first() else { return };
        let at = first.at;
        let service = self.service;
        let text = |name: &str| service.provider(name).and_then(Node::scalar);
        let name = text("websocketsApiName")
            .unwrap_or_else(|| format!("{}-{}-websockets", service.stage, service.name));
        let expression = text("websocketsApiRouteSelectionExpression")
            .unwrap_or_else(|| "$request.body.action".to_owned());
        let description =
            text("websocketsDescription").unwrap_or_else(|| "Serverless Websockets".to_owned());
        if service.get(&["provider", "apiGateway", "websocketApiId"]).is_some() {
            let text =
                "the API is another service's: its routes of this service are not served there";
            self.warn(at, "provider.apiGateway.websocketApiId", text);
        }
        self.part(
            at,
            "WebsocketsApi",
            "Api",
            json!({ "Name": name, "ProtocolType": "WEBSOCKET",
            "RouteSelectionExpression": expression, "Description": description }),
        );
        let mut seen: Vec<&str> = Vec::new();
        for event in &events {
            if !seen.contains(&event.function) {
                seen.push(event.function);
                self.integration(event);
            }
            self.route(event);
        }
        self.stage(at);
        let endpoint = json!({ "Fn::Join": ["", ["wss://", { "Ref": "WebsocketsApi" }, ".execute-api.",
            { "Ref": "AWS::Region" }, ".", { "Ref": "AWS::URLSuffix" }, format!("/{}", service.stage)]] });
        self.output(at, "ServiceEndpointWebsocket", &endpoint);
    }

    fn websocket_events(&mut self) -> Vec<Event<'a>> {
        let service = self.service;
        let functions = service.get(&["functions"]);
        let maps = functions.and_then(Node::as_list).map_or_else(
            || functions.into_iter().collect::<Vec<_>>(),
            |items| items.iter().collect(),
        );
        let mut found = Vec::new();
        for function in maps.into_iter().filter_map(Node::as_map).flat_map(|map| &map.0) {
            let events = function.node.get("events").and_then(Node::as_list).unwrap_or_default();
            for event in events {
                let Some(event) = event.only_member().filter(|event| event.name == "websocket")
                else {
                    if event.as_text() == Some("websocket") {
                        let property = format!("functions.{}.events", function.name);
                        self.fail(event.at, &property, "a websocket event names its route");
                    }
                    continue;
                };
                let Member { at, node, .. } = event;
                let key = node.get("route").unwrap_or(node).scalar();
                let Some(key) = key else {
                    let property = format!("functions.{}.events", function.name);
                    self.fail(*at, &property, "a websocket event names its route");
                    continue;
                };
                found.push(Event { at: *at, function: &function.name, key, node });
            }
        }
        found
    }

    fn part(&mut self, at: Position, id: &str, kind: &str, properties: Json) {
        let mut properties = properties;
        if kind != "Api" {
            set(&mut properties, "ApiId", json!({ "Ref": "WebsocketsApi" }));
        }
        let kind = format!("AWS::ApiGatewayV2::{kind}");
        self.make(at, id, &kind, Node::from_json(at, &properties));
    }

    fn permission(&mut self, at: Position, base: &str, function: Json) {
        let properties = json!({ "FunctionName": function, "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com" });
        let id = format!("{base}LambdaPermissionWebsockets");
        if self.made.iter().all(|member| member.name != id) {
            self.make(at, &id, "AWS::Lambda::Permission", Node::from_json(at, &properties));
        }
    }

    fn integration(&mut self, event: &Event<'_>) {
        let base = normalized(event.function);
        let arn = json!({ "Fn::GetAtt": [format!("{base}LambdaFunction"), "Arn"] });
        let id = format!("{base}WebsocketsIntegration");
        let properties = json!({ "IntegrationType": "AWS_PROXY", "IntegrationUri": uri(&arn) });
        self.part(event.at, &id, "Integration", properties);
        self.permission(event.at, &base, arn);
    }

    fn route(&mut self, event: &Event<'_>) {
        let at = event.at;
        let integration = format!("{}WebsocketsIntegration", normalized(event.function));
        let authorizer = event.node.get("authorizer");
        let authorizer = authorizer.and_then(|authorizer| self.authorizer(event, authorizer));
        let kind = if authorizer.is_some() { "CUSTOM" } else { "NONE" };
        let mut properties = json!({ "RouteKey": event.key, "AuthorizationType": kind,
            "Target": { "Fn::Join": ["/", ["integrations", { "Ref": integration }]] } });
        if let Some(id) = authorizer {
            set(&mut properties, "AuthorizerId", json!({ "Ref": id }));
        }
        let base = route(&event.key);
        let id = format!("{base}WebsocketsRoute");
        if let Some(expression) =
            event.node.get("routeResponseSelectionExpression").and_then(Node::scalar)
        {
            set(&mut properties, "RouteResponseSelectionExpression", expression.into());
            let response = json!({ "RouteId": { "Ref": id }, "RouteResponseKey": "$default" });
            self.part(at, &format!("{base}WebsocketsRouteResponse"), "RouteResponse", response);
        }
        self.part(at, &id, "Route", properties);
    }

    /// The logical id of a route's authorizer.
    fn authorizer(&mut self, event: &Event<'_>, node: &Node) -> Option<String> {
        let at = node.at;
        let text = node.as_text();
        let name = text.map(str::to_owned).or_else(|| node.get("name").and_then(Node::scalar));
        let arn = node.get("arn").map(Node::to_json);
        let arn = arn.or_else(|| text.filter(|text| text.starts_with("arn:")).map(Into::into));
        let name = match (&arn, name) {
            (Some(arn), None) => arn
                .as_str()
                .and_then(|arn| arn.rsplit(':').next())
                .unwrap_or("authorizer")
                .to_owned(),
            (_, Some(name)) if name.starts_with("arn:") => {
                name.rsplit(':').next().unwrap_or_default().to_owned()
            }
            (_, Some(name)) => name,
            (None, None) => {
                let property = format!("functions.{}.events", event.function);
                self.fail(at, &property, "an authorizer has a `name` or an `arn`");
                return None;
            }
        };
        let is_known = arn.is_some()
            || self
                .service
                .get(&["functions"])
                .is_none_or(|all| all.get(&name).is_some() || all.as_list().is_some());
        if !is_known {
            let property = format!("functions.{}.events", event.function);
            self.fail(
                at,
                &property,
                format!("the authorizer {name} is not a function of this service"),
            );
        }
        let base = normalized(&name);
        let arn = arn
            .unwrap_or_else(|| json!({ "Fn::GetAtt": [format!("{base}LambdaFunction"), "Arn"] }));
        let sources = node.get("identitySource").map_or_else(
            || json!(["route.request.header.Auth"]),
            |node| if node.as_list().is_some() { node.to_json() } else { json!([node.to_json()]) },
        );
        let id = format!("{base}WebsocketsAuthorizer");
        if self.made.iter().all(|member| member.name != id) {
            self.part(
                at,
                &id,
                "Authorizer",
                json!({ "Name": name, "AuthorizerType": "REQUEST",
                "AuthorizerUri": uri(&arn), "IdentitySource": sources }),
            );
            self.permission(at, &base, arn);
        }
        Some(id)
    }

    fn stage(&mut self, at: Position) {
        let service = self.service;
        // Another deployment for other routes, as each package has one.
        let routes = self.made.iter().filter(|member| {
            let kind = member.node.get("Type").and_then(Node::as_text);
            kind.is_some_and(|kind| kind.starts_with("AWS::ApiGatewayV2::"))
        });
        let routes: Vec<String> = routes.map(|member| member.node.to_json().to_string()).collect();
        let deployment = &format!("WebsocketsDeployment{}", fingerprint(&routes.concat()));
        let mut properties = json!({ "StageName": service.stage, "Description": "Serverless Websockets",
            "DeploymentId": { "Ref": deployment } });
        let logs = service.get(&["provider", "logs", "websocket"]);
        let is_on = |node: &Node| node.scalar().as_deref() != Some("false");
        if let Some(logs) =
            logs.filter(|logs| is_on(logs) && logs.get("accessLogging").is_none_or(is_on))
        {
            let group = "WebsocketsLogGroup";
            let name = json!({ "LogGroupName": format!("/aws/websocket/{}-{}", service.name, service.stage) });
            self.make(at, group, "AWS::Logs::LogGroup", Node::from_json(at, &name));
            let format =
                logs.get("format").and_then(Node::scalar).unwrap_or_else(|| LOG_FORMAT.to_owned());
            let settings =
                json!({ "DestinationArn": { "Fn::GetAtt": [group, "Arn"] }, "Format": format });
            set(&mut properties, "AccessLogSettings", settings);
        }
        self.part(at, deployment, "Deployment", json!({ "Description": "Serverless Websockets" }));
        self.part(at, "WebsocketsDeploymentStage", "Stage", properties);
    }
}

/// Adds a property.
fn set(properties: &mut Json, name: &str, value: Json) {
    if let Some(map) = properties.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

fn uri(arn: &Json) -> Json {
    json!({ "Fn::Join": ["", ["arn:", { "Ref": "AWS::Partition" }, ":apigateway:", { "Ref": "AWS::Region" },
        ":lambda:path/2015-03-31/functions/", arn, "/invocations"]] })
}
