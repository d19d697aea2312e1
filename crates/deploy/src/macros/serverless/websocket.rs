//! `AWS::Serverless::WebSocketApi`: an API, its routes and its stage in one resource.

use super::{Sam, Transform, reference, substituted, with};
use crate::node::{Member, Node, Value};
use crate::physical::fingerprint;

const KNOWN: [&str; 18] = [
    "ApiKeySelectionExpression",
    "AccessLogSettings",
    "Auth",
    "DefaultRouteSettings",
    "Description",
    "DisableExecuteApiEndpoint",
    "Domain",
    "DisableSchemaValidation",
    "FailOnWarnings",
    "IpAddressType",
    "Name",
    "PropagateTags",
    "Routes",
    "RouteSettings",
    "RouteSelectionExpression",
    "StageName",
    "StageVariables",
    "Tags",
];

/// What a route says that becomes a property of the plain route.
const ROUTE: [&str; 6] = [
    "ApiKeyRequired",
    "ModelSelectionExpression",
    "OperationName",
    "RequestModels",
    "RequestParameters",
    "RouteResponseSelectionExpression",
];

const FUNCTION_URI: &str =
    "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/";
const EXECUTE_API: &str = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:";

impl Transform<'_> {
    pub(super) fn websocket_api(&mut self, sam: &Sam<'_>) {
        self.check_properties(sam, &KNOWN);
        let routes = sam.get("Routes").and_then(Node::as_map).map(|map| map.0.as_slice());
        let Some(routes) = routes.filter(|routes| !routes.is_empty()) else {
            return self.fail(
                sam,
                "Routes",
                sam.at,
                "a WebSocketApi has `Routes`: keys with a FunctionArn",
            );
        };
        if sam.get("RouteSelectionExpression").is_none() {
            let message = "a WebSocketApi has a `RouteSelectionExpression`";
            self.fail(sam, "RouteSelectionExpression", sam.at, message);
        }
        let name = sam.get("Name").cloned().unwrap_or_else(|| Node::text(sam.at, sam.id));
        let mut properties = sam.take(&[
            "ApiKeySelectionExpression",
            "Description",
            "DisableExecuteApiEndpoint",
            "DisableSchemaValidation",
            "IpAddressType",
            "RouteSelectionExpression",
        ]);
        properties = with(properties, "Name", name);
        properties = with(properties, "ProtocolType", Node::text(sam.at, "WEBSOCKET"));
        properties = with(properties, "Tags", api_tags(sam));
        self.make(sam, sam.id, "AWS::ApiGatewayV2::Api", properties);

        let stage = sam.get("StageName").cloned();
        let stage = stage.unwrap_or_else(|| Node::text(sam.at, "default"));
        let auth = self.auth(sam, routes);
        for route in routes {
            self.route(sam, route, &stage, auth.as_deref());
        }
        self.websocket_stage(sam, stage);
        if auth.as_deref() == Some("CUSTOM") {
            self.websocket_authorizer(sam);
        }
        self.websocket_domain(sam);
    }

    /// Which way of authorization `$connect` has.
    fn auth(&mut self, sam: &Sam<'_>, routes: &[Member]) -> Option<String> {
        let auth = sam.get("Auth")?;
        let kind = auth.get("AuthType").map(|node| self.parameter_or(sam, node));
        let kind = kind.and_then(|node| node.scalar()).unwrap_or_default().to_uppercase();
        let message = match kind.as_str() {
            _ if routes.iter().all(|route| route.name != "$connect") => {
                "`Auth` needs a route $connect: nothing else is authorized"
            }
            "CUSTOM" if auth.get("AuthArn").is_none() => "`Auth` of type CUSTOM needs an `AuthArn`",
            "NONE" | "AWS_IAM" if auth.as_map().is_some_and(|map| map.0.len() > 1) => {
                "`Auth` of this type has an `AuthType` and nothing else"
            }
            "CUSTOM" | "NONE" | "AWS_IAM" => return Some(kind),
            _ => "`AuthType` is NONE, AWS_IAM or CUSTOM",
        };
        self.fail(sam, "Auth", auth.at, message);
        None
    }

    fn route(&mut self, sam: &Sam<'_>, route: &Member, stage: &Node, auth: Option<&str>) {
        let (at, key) = (route.at, route.name.as_str());
        let property = format!("Routes.{key}");
        let special = matches!(key, "$connect" | "$disconnect" | "$default");
        let word = key.strip_prefix('$').filter(|_| special).unwrap_or(key);
        if word.is_empty() || !word.chars().all(|c| c.is_ascii_alphanumeric()) {
            let message =
                format!("the route key {key:?} has other characters than letters and digits");
            return self.fail(sam, &property, at, message);
        }
        let Some(function) = route.node.get("FunctionArn") else {
            return self.fail(sam, &property, at, format!("the route {key} has no `FunctionArn`"));
        };
        if key != "$connect" && route.node.get("RequestParameters").is_some() {
            let message = "only $connect has `RequestParameters`";
            return self.fail(sam, &property, at, message);
        }
        let base = format!("{}{}", sam.id, capitalized(word));
        let integration = format!("{base}Integration");
        let target = json_target(sam, &integration);
        let api = reference(at, sam.id);
        let members = route.node.as_map().into_iter().flat_map(|map| &map.0);
        let mut properties: Vec<(String, Node)> = members
            .filter(|member| ROUTE.contains(&member.name.as_str()))
            .map(|member| (member.name.clone(), member.node.clone()))
            .collect();
        properties = with(properties, "ApiId", api.clone());
        properties = with(properties, "RouteKey", Node::text(at, key));
        properties = with(properties, "Target", target);
        if let Some(auth) = auth.filter(|_| key == "$connect") {
            properties = with(properties, "AuthorizationType", Node::text(at, auth));
            if auth == "CUSTOM" {
                let authorizer = reference(at, &format!("{}ConnectAuthorizer", sam.id));
                properties = with(properties, "AuthorizerId", authorizer);
            }
        }
        self.make(sam, &format!("{base}Route"), "AWS::ApiGatewayV2::Route", properties);

        let uri = format!("{FUNCTION_URI}${{FunctionArn}}/invocations");
        let mut properties = with(Vec::new(), "ApiId", api);
        properties = with(properties, "IntegrationType", Node::text(at, "AWS_PROXY"));
        let uri = substituted(at, &uri, "FunctionArn", function.clone());
        properties = with(properties, "IntegrationUri", uri);
        if let Some(timeout) = route.node.get("IntegrationTimeout") {
            properties = with(properties, "TimeoutInMillis", timeout.clone());
        }
        self.make(sam, &integration, "AWS::ApiGatewayV2::Integration", properties);

        let source = format!("{EXECUTE_API}${{{}.ApiId}}/${{__StageName__}}/{key}", sam.id);
        let source = substituted(at, &source, "__StageName__", stage.clone());
        self.permission(sam, &format!("{base}Permission"), function, source);
    }

    fn permission(&mut self, sam: &Sam<'_>, id: &str, function: &Node, source: Node) {
        let text = |text: &str| Node::text(sam.at, text);
        let properties = vec![
            ("Action".to_owned(), text("lambda:InvokeFunction")),
            ("FunctionName".to_owned(), function.clone()),
            ("Principal".to_owned(), text("apigateway.amazonaws.com")),
            ("SourceArn".to_owned(), source),
        ];
        self.make(sam, id, "AWS::Lambda::Permission", properties);
    }

    fn websocket_stage(&mut self, sam: &Sam<'_>, stage: Node) {
        let name = match &stage.value {
            Value::Text(name) if name == "$default" => {
                let message = "a stage of a WebSocket API cannot be $default";
                return self.fail(sam, "StageName", stage.at, message);
            }
            Value::Text(name) if name == "default" => "Default".to_owned(),
            Value::Text(name) => name.chars().filter(char::is_ascii_alphanumeric).collect(),
            _ => String::new(),
        };
        let id = format!("{}{name}Stage", sam.id);
        let mut properties = sam.take(&[
            "StageVariables",
            "AccessLogSettings",
            "DefaultRouteSettings",
            "RouteSettings",
        ]);
        properties = with(properties, "ApiId", reference(sam.at, sam.id));
        properties = with(properties, "StageName", stage);
        properties = with(properties, "AutoDeploy", Node { at: sam.at, value: Value::Bool(true) });
        let tag = sam.json(&serde_json::json!({ "websocketapi:createdBy": "SAM" }));
        properties = with(properties, "Tags", tag);
        self.make(sam, &id, "AWS::ApiGatewayV2::Stage", properties);
        self.renamed.insert(format!("{}.Stage", sam.id), id);
    }

    fn websocket_authorizer(&mut self, sam: &Sam<'_>) {
        let id = format!("{}ConnectAuthorizer", sam.id);
        let Some(auth) = sam.get("Auth") else { return };
        let Some(function) = auth.get("AuthArn") else { return };
        let at = auth.at;
        let uri = format!("{FUNCTION_URI}${{AuthArn}}/invocations");
        let name = auth.get("Name").cloned().unwrap_or_else(|| Node::text(at, id.as_str()));
        let mut properties = vec![
            ("ApiId".to_owned(), reference(at, sam.id)),
            ("AuthorizerType".to_owned(), Node::text(at, "REQUEST")),
            ("AuthorizerUri".to_owned(), substituted(at, &uri, "AuthArn", function.clone())),
            ("Name".to_owned(), name),
        ];
        if let Some(sources) = auth.get("IdentitySource") {
            properties = with(properties, "IdentitySource", sources.clone());
        }
        if let Some(role) = auth.get("InvokeRole") {
            properties = with(properties, "AuthorizerCredentialsArn", role.clone());
        }
        self.make(sam, &id, "AWS::ApiGatewayV2::Authorizer", properties);
        // A role of the API's own needs no permission.
        if auth.get("InvokeRole").is_none() {
            let source = format!("{EXECUTE_API}${{__ApiId__}}/authorizers/*");
            let source = substituted(at, &source, "__ApiId__", reference(at, sam.id));
            self.permission(sam, &format!("{}AuthorizerPermission", sam.id), function, source);
        }
    }

    /// The custom domain, and what it maps to the stage.
    fn websocket_domain(&mut self, sam: &Sam<'_>) {
        let Some(domain) = sam.get("Domain") else { return };
        let at = domain.at;
        let Some(name) = domain.get("DomainName") else {
            return self.fail(sam, "Domain", at, "`Domain` has a `DomainName`");
        };
        if domain.get("MutualTlsAuthentication").is_some() {
            let message = "WebSocket APIs have no mutual TLS";
            return self.fail(sam, "Domain", at, message);
        }
        let id = format!("ApiGatewayDomainNameV2{}", fingerprint(&name.to_json().to_string()));
        let mut settings = Vec::new();
        for (ours, theirs) in [
            ("CertificateArn", "CertificateArn"),
            ("EndpointConfiguration", "EndpointType"),
            ("SecurityPolicy", "SecurityPolicy"),
        ] {
            settings.extend(domain.get(ours).map(|node| (theirs.to_owned(), node.clone())));
        }
        let configurations = Node::list(at, vec![Node::map(at, settings)]);
        let properties = vec![
            ("DomainName".to_owned(), name.clone()),
            ("DomainNameConfigurations".to_owned(), configurations),
        ];
        // Two APIs may share a domain; it is declared once.
        if !self.made.iter().any(|member| member.name == id) {
            self.make(sam, &id, "AWS::ApiGatewayV2::DomainName", properties);
        }
        let paths: Vec<Node> = match domain.get("BasePath") {
            None => Vec::new(),
            Some(node) => node.as_list().map_or_else(|| vec![node.clone()], <[Node]>::to_vec),
        };
        let stage = self.renamed.get(&format!("{}.Stage", sam.id)).cloned().unwrap_or_default();
        let map = |transform: &mut Self, word: &str, key: Option<Node>| {
            let mut properties = vec![
                ("DomainName".to_owned(), reference(at, &id)),
                ("ApiId".to_owned(), reference(at, sam.id)),
                ("Stage".to_owned(), reference(at, &stage)),
            ];
            properties.extend(key.map(|key| ("ApiMappingKey".to_owned(), key)));
            let id = format!("{}{word}ApiMapping", sam.id);
            transform.make(sam, &id, "AWS::ApiGatewayV2::ApiMapping", properties);
        };
        if paths.is_empty() {
            map(self, "", None);
        }
        for path in paths {
            let text = path.scalar().unwrap_or_default();
            let word: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
            map(self, &word, Some(Node::text(path.at, text.trim_matches('/'))));
        }
    }
}

/// The key with a capital first letter and small ones after it, as SAM writes logical ids.
fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

fn api_tags(sam: &Sam<'_>) -> Node {
    let own = ("websocketapi:createdBy".to_owned(), Node::text(sam.at, "SAM"));
    let given = sam.get("Tags").and_then(Node::as_map).into_iter().flat_map(|map| &map.0);
    let given = given.map(|member| (member.name.clone(), member.node.clone()));
    Node::map(sam.at, given.chain([own]).collect())
}

fn json_target(sam: &Sam<'_>, integration: &str) -> Node {
    sam.json(&serde_json::json!({
            "Fn::Join": ["/", ["integrations", { "Ref": integration }]] }))
}
