//! `AWS::Serverless::Function`: a function, its role, and what may come along: version, alias, URL, event sources.

use serde_json::json;

use super::simple::package;
use super::{Sam, Transform, reference, tags, trust, with};
use crate::node::{Member, Node, Value};
use crate::physical::fingerprint;

/// Properties that SAM has in its own way.
const OWN: [&str; 26] = [
    "CodeUri",
    "ImageUri",
    "InlineCode",
    "DeadLetterQueue",
    "AssumeRolePolicyDocument",
    "Policies",
    "RolePath",
    "PermissionsBoundary",
    "Events",
    "Tags",
    "PropagateTags",
    "Tracing",
    "DeploymentPreference",
    "EventInvokeConfig",
    "AutoPublishAlias",
    "AutoPublishCodeSha256",
    "AutoPublishAliasAllProperties",
    "VersionDescription",
    "ProvisionedConcurrencyConfig",
    "FunctionUrlConfig",
    "RuntimeManagementConfig",
    "SourceKMSKeyArn",
    "VersionDeletionPolicy",
    "PublishToLatestPublished",
    "FunctionScalingConfig",
    "CapacityProviderConfig",
];

/// Properties that go to the plain function as they are.
const PASSED: [&str; 22] = [
    "FunctionName",
    "Handler",
    "Runtime",
    "PackageType",
    "Description",
    "MemorySize",
    "Timeout",
    "VpcConfig",
    "Environment",
    "KmsKeyArn",
    "ReservedConcurrentExecutions",
    "Layers",
    "EphemeralStorage",
    "FileSystemConfigs",
    "ImageConfig",
    "CodeSigningConfigArn",
    "Architectures",
    "SnapStart",
    "LoggingConfig",
    "RecursiveLoop",
    "TenancyConfig",
    "DurableConfig",
];

impl Transform<'_> {
    pub(super) fn function(&mut self, sam: &Sam<'_>) {
        let known: Vec<&str> = OWN.iter().chain(&PASSED).copied().chain(["Role"]).collect();
        self.check_properties(sam, &known);
        let mut properties = sam.take(&PASSED);
        let code = self.code(sam);
        let text = code.to_json().to_string();
        properties = with(properties, "Code", code);
        if sam.get("ImageUri").is_some() && sam.get("PackageType").is_none() {
            properties = with(properties, "PackageType", Node::text(sam.at, "Image"));
        }
        if let Some(target) = sam.get("DeadLetterQueue").and_then(|queue| queue.get("TargetArn")) {
            let target = Node::map(target.at, vec![("TargetArn".to_owned(), target.clone())]);
            properties = with(properties, "DeadLetterConfig", target);
        }
        if let Some(mode) = sam.get("Tracing") {
            let mode = Node::map(mode.at, vec![("Mode".to_owned(), mode.clone())]);
            properties = with(properties, "TracingConfig", mode);
        }
        properties = with(properties, "Tags", tags(sam.at, sam.get("Tags")));
        let role = match sam.get("Role") {
            Some(role) => role.clone(),
            None => sam.json(&json!({ "Fn::GetAtt": [format!("{}Role", sam.id), "Arn"] })),
        };
        properties = with(properties, "Role", role);
        self.make(sam, sam.id, "AWS::Lambda::Function", properties);
        self.note_source(sam);
        let alias = self.alias(sam, &text);
        let alias = alias.as_ref().map(|(id, name)| (id.as_str(), name.as_str()));
        let target = reference(sam.at, alias.map_or(sam.id, |(id, _)| id));
        let managed = self.events(sam, &target);
        if sam.get("Role").is_none() {
            self.role(sam, managed);
        }
        self.url(sam, alias.map(|(id, _)| id));
        self.event_invoke_config(sam, alias);
    }

    /// Where the code is: what `sam build` made, else what the template names.
    fn code(&mut self, sam: &Sam<'_>) -> Node {
        let one =
            |name: &str, node: &Node| Node::map(node.at, vec![(name.to_owned(), node.clone())]);
        if let Some(text) = sam.get("InlineCode") {
            return one("ZipFile", text);
        }
        if let Some(image) = sam.get("ImageUri") {
            return one("ImageUri", image);
        }
        if sam.get("PackageType").and_then(Node::as_text) == Some("Image") {
            return sam.json(&json!({ "ImageUri": "a Dockerfile beside the template" }));
        }
        if let Some(built) = self.built(sam.id) {
            return built;
        }
        let metadata = sam.node.get("Metadata");
        let method =
            metadata.and_then(|metadata| metadata.get("BuildMethod")).and_then(Node::as_text);
        if let Some(method) = method {
            let at = metadata.map_or(sam.at, |node| node.at);
            let text = format!(
                "this function is built by {method}: run `sam build`, and again after a change"
            );
            self.warn(sam, "CodeUri", at, text);
        }
        // Source: SAM CLI; without a `CodeUri` it is the template's own folder.
        sam.get("CodeUri").map_or_else(|| Node::text(sam.at, "."), package)
    }

    /// Notes the folder that an author edits beside what `sam build` made of it.
    fn note_source(&mut self, sam: &Sam<'_>) {
        let source = sam.get("CodeUri").and_then(Node::as_text).unwrap_or(".");
        let is_built = sam.get("InlineCode").is_none() && self.built(sam.id).is_some();
        // A bundler's files are not the author's, whatever they are called.
        let is_bundled = build_method(sam)
            .is_some_and(|method| !method.starts_with("python") && !method.starts_with("nodejs"));
        if !is_built || is_bundled || source.contains("://") {
            return;
        }
        let Some(made) = self.made.last_mut() else { return };
        let Value::Map(map) = &mut made.node.value else { return };
        let note = ("stillwire:source".to_owned(), Node::text(sam.at, source));
        match map.0.iter_mut().find(|member| member.name == "Metadata") {
            Some(Member { node: Node { value: Value::Map(metadata), .. }, .. }) => {
                metadata.0.push(Member { name: note.0, at: sam.at, node: note.1 });
            }
            _ => map.0.push(Member {
                name: "Metadata".to_owned(),
                at: sam.at,
                node: Node::map(sam.at, vec![note]),
            }),
        }
    }

    fn role(&mut self, sam: &Sam<'_>, managed: Vec<&'static str>) {
        let id = format!("{}Role", sam.id);
        let assume = sam.get("AssumeRolePolicyDocument").cloned();
        let assume = assume.unwrap_or_else(|| trust(sam, "lambda"));
        let mut arns = vec!["service-role/AWSLambdaBasicExecutionRole"];
        if sam.get("VpcConfig").is_some() {
            arns.push("service-role/AWSLambdaVPCAccessExecutionRole");
        }
        if sam.get("Tracing").is_some() {
            arns.push("AWSXRayDaemonWriteAccess");
        }
        arns.extend(managed);
        let mut arns: Vec<Node> =
            arns.into_iter().map(|name| super::policies::managed(sam.at, name)).collect();
        let (more, documents) = self.policies(sam, &id);
        arns.extend(more);
        let mut properties = with(Vec::new(), "AssumeRolePolicyDocument", assume);
        properties = with(properties, "ManagedPolicyArns", Node::list(sam.at, arns));
        if !documents.is_empty() {
            properties = with(properties, "Policies", Node::list(sam.at, documents));
        }
        for (ours, theirs) in [("RolePath", "Path"), ("PermissionsBoundary", "PermissionsBoundary")]
        {
            properties.extend(sam.get(ours).map(|node| (theirs.to_owned(), node.clone())));
        }
        properties = with(properties, "Tags", tags(sam.at, sam.get("Tags")));
        self.make(sam, &id, "AWS::IAM::Role", properties);
        self.roles.insert(sam.id.to_owned(), id);
    }

    /// The version and alias of `AutoPublishAlias`; gives the alias's logical id and name.
    fn alias(&mut self, sam: &Sam<'_>, code: &str) -> Option<(String, String)> {
        let node = sam.get("AutoPublishAlias")?;
        let name = self.parameter_or(sam, node);
        let name = name.as_text().unwrap_or_default().to_owned();
        let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if name.is_empty() || !fits || name.chars().all(|c| c.is_ascii_digit()) {
            let message =
                format!("{name:?} is not the name of an alias: letters, digits, `-` and `_`");
            self.fail(sam, "AutoPublishAlias", node.at, message);
            return None;
        }
        let version = format!("{}Version{}", sam.id, fingerprint(code));
        let mut properties = with(Vec::new(), "FunctionName", reference(sam.at, sam.id));
        let more = [("VersionDescription", "Description"), ("AutoPublishCodeSha256", "CodeSha256")];
        for (ours, theirs) in more {
            properties.extend(sam.get(ours).map(|node| (theirs.to_owned(), node.clone())));
        }
        self.make(sam, &version, "AWS::Lambda::Version", properties);
        let id = format!("{}Alias{}", sam.id, name.replace('-', "D").replace('_', "U"));
        let number = sam.json(&json!({ "Fn::GetAtt": [version, "Version"] }));
        let mut properties = vec![
            ("FunctionName".to_owned(), reference(sam.at, sam.id)),
            ("FunctionVersion".to_owned(), number),
            ("Name".to_owned(), Node::text(node.at, name.as_str())),
        ];
        let concurrency = sam.get("ProvisionedConcurrencyConfig");
        properties.extend(
            concurrency.map(|node| ("ProvisionedConcurrencyConfig".to_owned(), node.clone())),
        );
        self.make(sam, &id, "AWS::Lambda::Alias", properties);
        self.renamed.insert(format!("{}.Alias", sam.id), id.clone());
        self.renamed.insert(format!("{}.Version", sam.id), version);
        Some((id, name))
    }

    fn url(&mut self, sam: &Sam<'_>, alias: Option<&str>) {
        let Some(config) = sam.get("FunctionUrlConfig") else { return };
        let mut properties =
            with(Vec::new(), "TargetFunctionArn", reference(sam.at, alias.unwrap_or(sam.id)));
        for name in ["AuthType", "Cors", "InvokeMode"] {
            properties.extend(config.get(name).map(|node| (name.to_owned(), node.clone())));
        }
        self.make(sam, &format!("{}Url", sam.id), "AWS::Lambda::Url", properties);
        // Everybody may call a URL that asks for nothing: two permissions, as AWS wants them since 2025.
        if config.get("AuthType").and_then(Node::as_text) == Some("NONE") {
            let target = reference(sam.at, alias.unwrap_or(sam.id));
            for (id, action) in [
                ("UrlPublicPermissions", "lambda:InvokeFunctionUrl"),
                ("URLInvokeAllowPublicAccess", "lambda:InvokeFunction"),
            ] {
                let properties = vec![
                    ("Action".to_owned(), Node::text(sam.at, action)),
                    ("FunctionName".to_owned(), target.clone()),
                    ("Principal".to_owned(), Node::text(sam.at, "*")),
                ];
                self.make(sam, &format!("{}{id}", sam.id), "AWS::Lambda::Permission", properties);
            }
        }
    }

    /// How events are tried again, and where records of them go; a queue or topic that is not named is made.
    fn event_invoke_config(&mut self, sam: &Sam<'_>, alias: Option<(&str, &str)>) {
        let Some(config) = sam.get("EventInvokeConfig") else { return };
        let id = format!("{}EventInvokeConfig", sam.id);
        let qualifier = alias.map_or("$LATEST", |(_, name)| name);
        let mut properties = with(Vec::new(), "FunctionName", reference(sam.at, sam.id));
        properties = with(properties, "Qualifier", Node::text(sam.at, qualifier));
        for name in ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"] {
            properties.extend(config.get(name).map(|node| (name.to_owned(), node.clone())));
        }
        let mut destinations = Vec::new();
        for side in ["OnSuccess", "OnFailure"] {
            let destination = config.get("DestinationConfig").and_then(|config| config.get(side));
            let Some(destination) = destination else { continue };
            let arn = match (
                destination.get("Destination"),
                destination.get("Type").and_then(Node::as_text),
            ) {
                (Some(arn), _) => arn.clone(),
                (None, Some("SQS")) => {
                    let queue = format!("{id}{side}Queue");
                    self.make(sam, &queue, "AWS::SQS::Queue", Vec::new());
                    sam.json(&json!({ "Fn::GetAtt": [queue, "Arn"] }))
                }
                (None, Some("SNS")) => {
                    let topic = format!("{id}{side}Topic");
                    self.make(sam, &topic, "AWS::SNS::Topic", Vec::new());
                    reference(sam.at, &topic)
                }
                _ => {
                    let message = format!("{side} has a `Destination`, or the `Type` SQS or SNS");
                    self.fail(sam, "EventInvokeConfig", destination.at, message);
                    continue;
                }
            };
            let arn = Node::map(sam.at, vec![("Destination".to_owned(), arn)]);
            destinations.push((side.to_owned(), arn));
        }
        if !destinations.is_empty() {
            properties = with(properties, "DestinationConfig", Node::map(sam.at, destinations));
        }
        self.make(sam, &id, "AWS::Lambda::EventInvokeConfig", properties);
    }
}

/// What `sam build` makes the code with, where it is not told by the runtime.
fn build_method<'s>(sam: &'s Sam<'_>) -> Option<&'s str> {
    sam.node.get("Metadata")?.get("BuildMethod")?.as_text()
}
