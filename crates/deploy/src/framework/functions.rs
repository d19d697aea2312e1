//! Functions, their role, log groups, versions and layers.

use serde_json::json;

use super::Writer;
use super::names::normalized;
use crate::node::{Member, Node, Position, Value};

/// The framework's defaults. Source: as above, "Functions".
const MEMORY: &str = "1024";
const TIMEOUT: &str = "6";
const RUNTIME: &str = "nodejs20.x";

/// Members of a function and the properties that they become as they are.
const SAME: [(&str, &str); 9] = [
    ("description", "Description"),
    ("reservedConcurrency", "ReservedConcurrentExecutions"),
    ("kmsKeyArn", "KmsKeyArn"),
    ("tags", "Tags"),
    ("runtime", "Runtime"),
    ("memorySize", "MemorySize"),
    ("timeout", "Timeout"),
    ("handler", "Handler"),
    ("layers", "Layers"),
];

/// Those of them that the provider may say for all functions.
const SHARED: [&str; 5] = ["runtime", "memorySize", "timeout", "layers", "kmsKeyArn"];

impl Writer<'_> {
    pub(super) fn functions(&mut self) {
        let service = self.service;
        let functions = service.get(&["functions"]);
        let several = functions.and_then(Node::as_list);
        let maps =
            several.map_or_else(|| functions.into_iter().collect(), |items| items.iter().collect());
        let functions: Vec<&Member> =
            Vec::<&Node>::into_iter(maps).filter_map(Node::as_map).flat_map(|map| &map.0).collect();
        let mut needs_role = false;
        for function in &functions {
            needs_role |= self.function(function);
        }
        if needs_role {
            self.role(&functions);
        }
        for function in &functions {
            self.events(function);
        }
    }

    /// Writes a function; whether it needs the role that all share.
    fn function(&mut self, function: &Member) -> bool {
        let (key, node, at) = (&function.name, &function.node, function.at);
        let service = self.service;
        let base = normalized(key);
        let name = node.get("name").and_then(Node::scalar);
        let name = name.unwrap_or_else(|| format!("{}-{}-{key}", service.name, service.stage));
        let mut properties = vec![("FunctionName".to_owned(), Node::text(at, name.as_str()))];
        for (ours, theirs) in SAME {
            let shared = service.provider(ours).filter(|_| SHARED.contains(&ours));
            if let Some(value) = node.get(ours).or(shared) {
                let value = if ours == "tags" { tags(value) } else { value.clone() };
                properties.push((theirs.to_owned(), value));
            }
        }
        for (name, default) in [("MemorySize", MEMORY), ("Timeout", TIMEOUT), ("Runtime", RUNTIME)]
        {
            if properties.iter().all(|(other, _)| other != name) && node.get("image").is_none() {
                properties.push((name.to_owned(), Node::text(at, default)));
            }
        }
        properties.push(("Code".to_owned(), self.code(node, at)));
        if node.get("image").is_some() {
            properties.push(("PackageType".to_owned(), Node::text(at, "Image")));
        }
        let environment = merged(service.provider("environment"), node.get("environment"), at);
        if let Some(variables) = environment {
            let variables = Node::map(at, vec![("Variables".to_owned(), variables)]);
            properties.push(("Environment".to_owned(), variables));
        }
        if let Some(architecture) =
            node.get("architecture").or_else(|| service.provider("architecture"))
        {
            properties
                .push(("Architectures".to_owned(), Node::list(at, vec![architecture.clone()])));
        }
        if node.get("snapStart").and_then(Node::scalar).as_deref() == Some("true") {
            let value = json!({ "ApplyOn": "PublishedVersions" });
            properties.push(("SnapStart".to_owned(), Node::from_json(at, &value)));
        }
        if let Some(target) = node.get("onError") {
            let target = Node::map(at, vec![("TargetArn".to_owned(), target.clone())]);
            properties.push(("DeadLetterConfig".to_owned(), target));
        }
        let own_role = node.get("role").or_else(|| service.get(&["provider", "iam", "role"]));
        let own_role = own_role.filter(|role| role.as_text().is_some() || role.as_call().is_some());
        let role = own_role.map_or_else(
            || Node::from_json(at, &json!({ "Fn::GetAtt": ["IamRoleLambdaExecution", "Arn"] })),
            named_role,
        );
        properties.push(("Role".to_owned(), role));
        let id = format!("{base}LambdaFunction");
        self.make(at, &id, "AWS::Lambda::Function", Node::map(at, properties));
        let group = json!({ "LogGroupName": format!("/aws/lambda/{name}") });
        self.make(
            at,
            &format!("{base}LogGroup"),
            "AWS::Logs::LogGroup",
            Node::from_json(at, &group),
        );
        self.version(function, &base, &id);
        self.url(function, &base, &id);
        self.destinations(function, &base, &id);
        own_role.is_none()
    }

    fn code(&mut self, function: &Node, at: Position) -> Node {
        if let Some(image) = function.get("image") {
            let uri = image.get("uri").unwrap_or(image).clone();
            return Node::map(at, vec![("ImageUri".to_owned(), uri)]);
        }
        let artifact = function.get("package").and_then(|package| package.get("artifact"));
        let artifact = artifact.or_else(|| self.service.get(&["package", "artifact"]));
        artifact.cloned().unwrap_or_else(|| Node::text(at, "."))
    }

    fn version(&mut self, function: &Member, base: &str, id: &str) {
        let own = function.node.get("versionFunction");
        let says = own.or_else(|| self.service.provider("versionFunctions")).and_then(Node::scalar);
        if says.as_deref() == Some("false") {
            return;
        }
        let version = format!("{base}LambdaVersion");
        let properties = json!({ "FunctionName": { "Ref": id } });
        let at = function.at;
        self.make(at, &version, "AWS::Lambda::Version", Node::from_json(at, &properties));
        self.output(at, &format!("{base}LambdaFunctionQualifiedArn"), &json!({ "Ref": version }));
    }

    fn url(&mut self, function: &Member, base: &str, id: &str) {
        let Some(url) =
            function.node.get("url").filter(|url| url.scalar().as_deref() != Some("false"))
        else {
            return;
        };
        let iam = url.get("authorizer").and_then(Node::as_text) == Some("aws_iam");
        let properties = json!({ "TargetFunctionArn": { "Fn::GetAtt": [id, "Arn"] },
            "AuthType": if iam { "AWS_IAM" } else { "NONE" } });
        let at = url.at;
        let properties = Node::from_json(at, &properties);
        let url_id = format!("{base}LambdaFunctionUrl");
        self.make(at, &url_id, "AWS::Lambda::Url", properties);
        let kind = if iam { "AWS_IAM" } else { "NONE" };
        let properties = json!({ "FunctionName": { "Fn::GetAtt": [id, "Arn"] }, "Principal": "*",
            "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": kind });
        let permission = format!("{base}LambdaPermissionFnUrl");
        self.make(at, &permission, "AWS::Lambda::Permission", Node::from_json(at, &properties));
        self.output(at, &url_id, &json!({ "Fn::GetAtt": [url_id, "FunctionUrl"] }));
    }

    /// How often events are tried again, and where records of them go.
    fn destinations(&mut self, function: &Member, base: &str, id: &str) {
        let node = &function.node;
        let at = function.at;
        let mut properties = vec![
            ("FunctionName".to_owned(), Node::from_json(at, &json!({ "Ref": id }))),
            ("Qualifier".to_owned(), Node::text(at, "$LATEST")),
        ];
        for (ours, theirs) in [
            ("maximumRetryAttempts", "MaximumRetryAttempts"),
            ("maximumEventAge", "MaximumEventAgeInSeconds"),
        ] {
            properties.extend(node.get(ours).map(|value| (theirs.to_owned(), value.clone())));
        }
        let mut sides = Vec::new();
        for (ours, theirs) in [("onSuccess", "OnSuccess"), ("onFailure", "OnFailure")] {
            let Some(target) = node.get("destinations").and_then(|all| all.get(ours)) else {
                continue;
            };
            let arn = target.get("arn").unwrap_or(target);
            // Another function of the service may be given by its key.
            let arn = match arn.as_text() {
                Some(key) if !key.starts_with("arn:") => Node::from_json(
                    at,
                    &json!({ "Fn::GetAtt": [format!("{}LambdaFunction", normalized(key)), "Arn"] }),
                ),
                _ => arn.clone(),
            };
            sides.push((theirs.to_owned(), Node::map(at, vec![("Destination".to_owned(), arn)])));
        }
        if !sides.is_empty() {
            properties.push(("DestinationConfig".to_owned(), Node::map(at, sides)));
        }
        if properties.len() > 2 {
            let id = format!("{base}LambdaEvConf");
            self.make(at, &id, "AWS::Lambda::EventInvokeConfig", Node::map(at, properties));
        }
    }

    pub(super) fn layers(&mut self) {
        let service = self.service;
        for layer in
            service.get(&["layers"]).and_then(Node::as_map).into_iter().flat_map(|map| &map.0)
        {
            let at = layer.at;
            let package = layer.node.get("package").and_then(|package| package.get("artifact"));
            let Some(content) = layer.node.get("path").or(package) else {
                self.fail(at, &format!("layers.{}", layer.name), "a layer has a `path`");
                continue;
            };
            let name = layer
                .node
                .get("name")
                .cloned()
                .unwrap_or_else(|| Node::text(at, layer.name.as_str()));
            let properties =
                vec![("LayerName".to_owned(), name), ("Content".to_owned(), content.clone())];
            let id = format!("{}LambdaLayer", normalized(&layer.name));
            self.make(at, &id, "AWS::Lambda::LayerVersion", Node::map(at, properties));
        }
    }
}

/// A role by its ARN, by a function of the template, or by its logical id.
fn named_role(role: &Node) -> Node {
    match role.as_text() {
        Some(text) if !text.starts_with("arn:") => {
            Node::from_json(role.at, &json!({ "Fn::GetAtt": [text, "Arn"] }))
        }
        _ => role.clone(),
    }
}

/// Shared members and a function's own, which come before them.
fn merged(shared: Option<&Node>, own: Option<&Node>, at: Position) -> Option<Node> {
    let mut members: Vec<(String, Node)> = Vec::new();
    for node in [shared, own].into_iter().flatten() {
        for member in node.as_map().into_iter().flat_map(|map| &map.0) {
            members.retain(|(name, _)| *name != member.name);
            if member.node.value != Value::Null {
                members.push((member.name.clone(), member.node.clone()));
            }
        }
    }
    (!members.is_empty()).then(|| Node::map(at, members))
}

fn tags(node: &Node) -> Node {
    let members = node.as_map().into_iter().flat_map(|map| &map.0);
    let entry = |member: &Member| {
        Node::map(
            member.at,
            vec![
                ("Key".to_owned(), Node::text(member.at, member.name.as_str())),
                ("Value".to_owned(), member.node.clone()),
            ],
        )
    };
    Node::list(node.at, members.map(entry).collect())
}
