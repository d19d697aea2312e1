//! SAM's resources that are one plain resource each.

use serde_json::json;

use super::{Sam, Transform, reference, tags, trust, with};
use crate::node::{Node, Value};
use crate::physical::fingerprint;

impl Transform<'_> {
    pub(super) fn simple_table(&mut self, sam: &Sam<'_>) {
        self.check_properties(
            sam,
            &[
                "PointInTimeRecoverySpecification",
                "PrimaryKey",
                "ProvisionedThroughput",
                "TableName",
                "Tags",
                "SSESpecification",
            ],
        );
        let key = sam.get("PrimaryKey");
        let name = match key {
            None => Node::text(sam.at, "id"),
            Some(key) => match key.get("Name") {
                Some(name) => name.clone(),
                None => {
                    return self.fail(
                        sam,
                        "PrimaryKey",
                        key.at,
                        "the key has a `Name` and a `Type`",
                    );
                }
            },
        };
        let kind = match key.map(|key| key.get("Type").and_then(Node::as_text)) {
            None | Some(Some("String")) => "S",
            Some(Some("Number")) => "N",
            Some(Some("Binary")) => "B",
            Some(_) => {
                let message = "the key's `Type` is String, Number or Binary";
                return self.fail(sam, "PrimaryKey", sam.at, message);
            }
        };
        let entry = |more: &str, value: &str| {
            let members = vec![
                ("AttributeName".to_owned(), name.clone()),
                (more.to_owned(), Node::text(sam.at, value)),
            ];
            Node::list(sam.at, vec![Node::map(sam.at, members)])
        };
        let mut properties = sam.take(&[
            "PointInTimeRecoverySpecification",
            "ProvisionedThroughput",
            "TableName",
            "SSESpecification",
        ]);
        properties = with(properties, "AttributeDefinitions", entry("AttributeType", kind));
        properties = with(properties, "KeySchema", entry("KeyType", "HASH"));
        if sam.get("ProvisionedThroughput").is_none() {
            properties = with(properties, "BillingMode", Node::text(sam.at, "PAY_PER_REQUEST"));
        }
        self.make(sam, sam.id, "AWS::DynamoDB::Table", properties);
    }

    pub(super) fn layer(&mut self, sam: &Sam<'_>) {
        self.check_properties(
            sam,
            &[
                "LayerName",
                "Description",
                "PublishLambdaVersion",
                "ContentUri",
                "CompatibleArchitectures",
                "CompatibleRuntimes",
                "LicenseInfo",
                "RetentionPolicy",
            ],
        );
        let Some(content) = sam.get("ContentUri") else {
            return self.fail(sam, "ContentUri", sam.at, "a LayerVersion has a `ContentUri`");
        };
        let built = self.built(sam.id);
        let content = built.unwrap_or_else(|| package(content));
        let name = sam.get("LayerName").cloned().unwrap_or_else(|| Node::text(sam.at, sam.id));
        let mut properties = sam.take(&[
            "Description",
            "CompatibleArchitectures",
            "CompatibleRuntimes",
            "LicenseInfo",
        ]);
        properties = with(properties, "LayerName", name);
        properties = with(properties, "Content", content);
        self.make(sam, sam.id, "AWS::Lambda::LayerVersion", properties);
    }

    /// A template beside this one is a nested stack; one of the Serverless Application Repository is not here.
    pub(super) fn application(&mut self, sam: &Sam<'_>) {
        let location = sam.get("Location");
        let Some(location) = location.filter(|node| node.as_text().is_some()) else {
            let text = "applications of the Serverless Application Repository are not run here";
            self.warn(sam, "Location", sam.at, text);
            return self.make(sam, sam.id, "AWS::Serverless::Application", Vec::new());
        };
        let mut properties = sam.take(&["Parameters", "NotificationARNs", "TimeoutInMinutes"]);
        properties = with(properties, "TemplateURL", location.clone());
        properties = with(properties, "Tags", tags(sam.at, sam.get("Tags")));
        self.make(sam, sam.id, "AWS::CloudFormation::Stack", properties);
    }

    pub(super) fn state_machine(&mut self, sam: &Sam<'_>) {
        let mut properties = sam.take(&["Definition", "DefinitionSubstitutions", "Role"]);
        for (ours, theirs) in [("Name", "StateMachineName"), ("Type", "StateMachineType")] {
            properties.extend(sam.get(ours).map(|node| (theirs.to_owned(), node.clone())));
        }
        self.make(sam, sam.id, "AWS::StepFunctions::StateMachine", properties);
        if sam.get("Role").is_none() {
            let role = format!("{}Role", sam.id);
            let properties = with(Vec::new(), "AssumeRolePolicyDocument", trust(sam, "states"));
            self.make(sam, &role, "AWS::IAM::Role", properties);
        }
    }

    pub(super) fn rest_api(&mut self, sam: &Sam<'_>) {
        self.make(sam, sam.id, "AWS::ApiGateway::RestApi", sam.take(&["Name", "Description"]));
        let stage = sam.get("StageName").map(|node| self.parameter_or(sam, node));
        let word = stage.as_ref().and_then(Node::as_text).unwrap_or_default();
        let id = format!("{}{word}Stage", sam.id);
        let mut properties = with(Vec::new(), "RestApiId", reference(sam.at, sam.id));
        properties.extend(stage.map(|stage| ("StageName".to_owned(), stage)));
        self.make(sam, &id, "AWS::ApiGateway::Stage", properties);
        self.renamed.insert(format!("{}.Stage", sam.id), id);
        self.rest_deployment(sam, sam.id);
    }

    /// The deployment of a REST API; its id ends with a hash on AWS too.
    pub(super) fn rest_deployment(&mut self, sam: &Sam<'_>, api: &str) {
        let properties = with(Vec::new(), "RestApiId", reference(sam.at, api));
        let id = format!("{api}Deployment{}", fingerprint(&sam.node.to_json().to_string()));
        self.make(sam, &id, "AWS::ApiGateway::Deployment", properties);
    }

    pub(super) fn http_api(&mut self, sam: &Sam<'_>) {
        let protocol = Node::text(sam.at, "HTTP");
        let properties = with(sam.take(&["Name", "Description"]), "ProtocolType", protocol);
        self.make(sam, sam.id, "AWS::ApiGatewayV2::Api", properties);
        let stage = sam.get("StageName").map(|node| self.parameter_or(sam, node));
        let word = stage.as_ref().map(|node| node.as_text().unwrap_or_default());
        let id = format!("{}{}Stage", sam.id, word.unwrap_or("ApiGatewayDefault"));
        let mut properties = with(Vec::new(), "ApiId", reference(sam.at, sam.id));
        let name = stage.unwrap_or_else(|| Node::text(sam.at, "$default"));
        properties = with(properties, "StageName", name);
        properties = with(properties, "AutoDeploy", Node { at: sam.at, value: Value::Bool(true) });
        self.make(sam, &id, "AWS::ApiGatewayV2::Stage", properties);
        self.renamed.insert(format!("{}.Stage", sam.id), id);
    }

    /// The folder that `sam build` made of a function or layer, relative to the template.
    pub(super) fn built(&self, id: &str) -> Option<Node> {
        let below = format!(".aws-sam/build/{id}");
        let folder = self.context.file.parent()?.join(&below);
        folder.is_dir().then(|| Node::text(crate::node::Position::START, below))
    }
}

/// What a `CodeUri` or `ContentUri` names, as the plain resources have it: a path, or a bucket and key.
pub(super) fn package(node: &Node) -> Node {
    let at = node.at;
    if let Some(uri) = node.as_text().and_then(|text| text.strip_prefix("s3://")) {
        let (bucket, key) = uri.split_once('/').unwrap_or((uri, ""));
        return Node::from_json(at, &json!({ "S3Bucket": bucket, "S3Key": key }));
    }
    let members = [("Bucket", "S3Bucket"), ("Key", "S3Key"), ("Version", "S3ObjectVersion")];
    let members: Vec<(String, Node)> = members
        .iter()
        .filter_map(|(ours, theirs)| Some(((*theirs).to_owned(), node.get(ours)?.clone())))
        .collect();
    if members.is_empty() { node.clone() } else { Node::map(at, members) }
}
