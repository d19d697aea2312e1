//! Small apps for tests, written as CloudFormation templates.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::Stillwire;

/// An app under construction: one API with the stage `test`.
#[derive(Debug)]
#[must_use]
pub struct App {
    resources: Map<String, Value>,
    timeout_millis: Option<u64>,
    /// Where the functions' folders and the template are.
    folder: TempDir,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An API without routes.
    pub fn new() -> Self {
        let mut resources = Map::new();
        resources.insert(
            "Api".to_owned(),
            json!({ "Type": "AWS::ApiGatewayV2::Api", "Properties": {
                "Name": "Api", "ProtocolType": "WEBSOCKET",
                "RouteSelectionExpression": "$request.body.action" } }),
        );
        resources.insert(
            "Stage".to_owned(),
            json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
                "ApiId": { "Ref": "Api" }, "StageName": "test", "AutoDeploy": true } }),
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { resources, timeout_millis: None, folder }
    }

    /// A Python function `{id}.handler`, in a folder of its own, with a time limit of 10 s; one in JavaScript where
    /// the properties of [`function_with`](Self::function_with) say so.
    pub fn function(self, id: &str, code: &str) -> Self {
        self.function_with(id, code, &json!({}))
    }

    /// The same with more properties.
    pub fn function_with(mut self, id: &str, code: &str, more: &Value) -> Self {
        let folder = self.folder.path().join(id);
        std::fs::create_dir_all(&folder).expect("the function's folder");
        let runtime = more["Runtime"].as_str().unwrap_or_default();
        let extension = match (runtime.starts_with("nodejs"), code.contains("\nexport ")) {
            (true, true) => "mjs",
            (true, false) => "js",
            (false, _) => "py",
        };
        std::fs::write(folder.join(format!("{id}.{extension}")), code)
            .expect("the function's file");
        let mut properties = json!({
            "Runtime": "python3.12", "Handler": format!("{id}.handler"), "Timeout": 10,
            "Code": { "S3Bucket": "assets", "S3Key": format!("{id}.zip") },
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            properties[name] = value.clone();
        }
        let function = json!({ "Type": "AWS::Lambda::Function", "Properties": properties,
            "Metadata": { "aws:asset:path": folder, "aws:asset:property": "Code" } });
        self.resources.insert(id.to_owned(), function);
        self
    }

    /// Limits the integrations that are added from here on.
    pub fn integration_timeout_millis(mut self, millis: u64) -> Self {
        self.timeout_millis = Some(millis);
        self
    }

    /// A route to a function.
    pub fn route(self, key: &str, function: &str) -> Self {
        self.route_with(key, function, &json!({}))
    }

    /// A route whose function's answer goes back to the client.
    pub fn two_way_route(mut self, key: &str, function: &str) -> Self {
        let id = name_of(key);
        self.resources.insert(
            format!("Response{id}"),
            json!({ "Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": {
                "ApiId": { "Ref": "Api" }, "RouteId": { "Ref": format!("Route{id}") },
                "RouteResponseKey": "$default" } }),
        );
        self.route_with(key, function, &json!({ "RouteResponseSelectionExpression": "$default" }))
    }

    /// The `$connect` route behind an authorizer that wants the header `Authorization`.
    pub fn authorized_connect(mut self, function: &str, authorizer: &str) -> Self {
        self.resources.insert(
            "Authorizer".to_owned(),
            json!({ "Type": "AWS::ApiGatewayV2::Authorizer", "Properties": {
                "ApiId": { "Ref": "Api" }, "Name": "gate", "AuthorizerType": "REQUEST",
                "AuthorizerUri": uri(authorizer),
                "IdentitySource": ["route.request.header.Authorization"] } }),
        );
        let more =
            json!({ "AuthorizationType": "CUSTOM", "AuthorizerId": { "Ref": "Authorizer" } });
        self.route_with("$connect", function, &more)
    }

    fn route_with(mut self, key: &str, function: &str, more: &Value) -> Self {
        let id = name_of(key);
        let mut integration = json!({ "ApiId": { "Ref": "Api" }, "IntegrationType": "AWS_PROXY",
            "IntegrationUri": uri(function) });
        if let Some(millis) = self.timeout_millis {
            integration["TimeoutInMillis"] = millis.into();
        }
        let mut route = json!({ "ApiId": { "Ref": "Api" }, "RouteKey": key,
            "Target": { "Fn::Join": ["/", ["integrations", { "Ref": format!("Integration{id}") }]] } });
        for (name, value) in more.as_object().into_iter().flatten() {
            route[name] = value.clone();
        }
        let resource = |kind: &str, properties: Value| json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties });
        self.resources.insert(format!("Integration{id}"), resource("Integration", integration));
        self.resources.insert(format!("Route{id}"), resource("Route", route));
        self
    }

    /// A further resource.
    pub fn resource(mut self, id: &str, resource: Value) -> Self {
        self.resources.insert(id.to_owned(), resource);
        self
    }

    /// A file of a function.
    pub fn file(&self, function: &str, name: &str) -> PathBuf {
        self.folder.path().join(function).join(name)
    }

    /// Starts the program on this app for all tests of a file: it runs until the test process ends.
    pub fn share(self, program: &str) -> Stillwire {
        let mut stillwire = Stillwire::dev(program, &self.template());
        stillwire.keep_until_the_end(&self.folder.keep());
        stillwire
    }

    /// Keeps the app's folder from being removed with this; where it is.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Writes the template and gives its path.
    pub fn template(&self) -> PathBuf {
        let path = self.folder.path().join("app.json");
        let text = json!({ "Resources": self.resources });
        std::fs::write(&path, text.to_string()).expect("the template");
        path
    }
}

fn uri(function: &str) -> Value {
    json!({ "Fn::Join": ["", ["arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/",
        { "Fn::GetAtt": [function, "Arn"] }, "/invocations"]] })
}

fn name_of(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).collect()
}
