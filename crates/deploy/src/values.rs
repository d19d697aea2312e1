//! What `Ref` and `Fn::GetAtt` of a resource give, by its type.
//!
//! Source: CloudFormation Template Reference, "Return values" of each type.

use crate::node::{Node, Position};
use crate::physical;
use crate::resolver::{Failed, Resolved, Resolver};

/// What `Ref` gives.
enum Identity {
    /// The name in this property, else a generated one of at most so many characters.
    Named(&'static str, usize),
    /// An ARN: service, prefix of the resource part; the name as above.
    Arn(&'static str, &'static str, &'static str),
    /// A seven-character id.
    Part,
    /// A UUID.
    Uuid,
}

/// The identity of the types that need no rule of their own.
fn identity(kind: &str) -> Identity {
    use Identity::{Arn, Named, Part, Uuid};
    match kind {
        "AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable" => Named("TableName", 255),
        "AWS::Lambda::Function" => Named("FunctionName", 64),
        "AWS::IAM::Role" => Named("RoleName", 64),
        "AWS::IAM::User" => Named("UserName", 64),
        "AWS::IAM::Group" => Named("GroupName", 128),
        "AWS::IAM::InstanceProfile" => Named("InstanceProfileName", 128),
        "AWS::IAM::ManagedPolicy" => Arn("iam", "policy/", "ManagedPolicyName"),
        "AWS::Logs::LogGroup" => Named("LogGroupName", 512),
        "AWS::S3::Bucket" => Named("BucketName", 63),
        "AWS::SSM::Parameter" => Named("Name", 1011),
        "AWS::Events::Rule" | "AWS::Kinesis::Stream" | "AWS::Events::EventBus" => Named("Name", 64),
        "AWS::SNS::Topic" => Arn("sns", "", "TopicName"),
        "AWS::SecretsManager::Secret" => Arn("secretsmanager", "secret:", "Name"),
        "AWS::StepFunctions::StateMachine" => Arn("states", "stateMachine:", "StateMachineName"),
        "AWS::CertificateManager::Certificate" => Arn("acm", "certificate/", ""),
        "AWS::ApiGatewayV2::DomainName" => Named("DomainName", 255),
        "AWS::KMS::Key" | "AWS::Lambda::EventSourceMapping" => Uuid,
        "AWS::ApiGateway::UsagePlan" => Part,
        kind if kind.starts_with("AWS::ApiGatewayV2::") => Part,
        _ => Named("", 255),
    }
}

impl Resolver<'_> {
    /// What `Ref` of a resource gives.
    pub(crate) fn reference(
        &mut self,
        unit: usize,
        at: Position,
        id: &str,
    ) -> Result<String, Failed> {
        let Some(resource) = self.resource(unit, id) else {
            return self.fail(at, format!("no resource is named {id}"));
        };
        if !self.is_active(unit, &resource.node)? {
            return self.fail(at, format!("{id} is not created: its condition does not hold"));
        }
        let scope = &self.unit(unit).scope;
        Ok(match resource.kind.as_str() {
            "AWS::ApiGatewayV2::Api" => physical::api_id(scope, id),
            "AWS::ApiGateway::ApiKey" => physical::api_key_id(scope, id),
            "AWS::ApiGatewayV2::Stage" => {
                self.property_text(unit, id, "StageName")?.unwrap_or_else(|| "$default".to_owned())
            }
            "AWS::SQS::Queue" => {
                let name = self.queue_name(unit, id)?;
                let (region, suffix) = (&scope.region, scope.url_suffix());
                format!("https://sqs.{region}.{suffix}/{}/{name}", scope.account)
            }
            "AWS::Lambda::Version" => {
                let function = self.function_arn(unit, id, "FunctionName")?;
                format!("{function}:{}", self.version(unit, id, &function)?)
            }
            "AWS::Lambda::Alias" => {
                let name = self.property_text(unit, id, "Name")?.unwrap_or_default();
                format!("{}:{name}", self.function_arn(unit, id, "FunctionName")?)
            }
            "AWS::Lambda::Url" => self.function_arn(unit, id, "TargetFunctionArn")?,
            "AWS::Lambda::LayerVersion" => {
                let name = match self.property_text(unit, id, "LayerName")? {
                    Some(name) => name,
                    None => physical::name(scope, id, 140),
                };
                scope.arn("lambda", &format!("layer:{name}:1"))
            }
            "AWS::CloudFormation::Stack" => match self.unit(unit).children.get(id) {
                Some(child) => self.unit(*child).scope.stack_id(),
                None => physical::name(scope, id, 255),
            },
            "AWS::IAM::ManagedPolicy" => {
                let name = self.name_of(unit, id, "ManagedPolicyName", 128)?;
                format!("arn:{}:iam::{}:policy/{name}", scope.partition(), scope.account)
            }
            kind => match identity(kind) {
                Identity::Named("BucketName", max) => {
                    self.name_of(unit, id, "BucketName", max)?.to_lowercase()
                }
                Identity::Named(property, max) => self.name_of(unit, id, property, max)?,
                Identity::Arn(service, prefix, property) => {
                    let name = self.name_of(unit, id, property, 255)?;
                    scope.arn(service, &format!("{prefix}{name}"))
                }
                Identity::Part => physical::part_id(scope, id),
                Identity::Uuid => physical::uuid(scope, "id", id),
            },
        })
    }

    /// The explicit name of a resource, else the generated one.
    pub(crate) fn name_of(
        &mut self,
        unit: usize,
        id: &str,
        property: &str,
        max: usize,
    ) -> Result<String, Failed> {
        let explicit = self.property_text(unit, id, property)?.filter(|name| !name.is_empty());
        Ok(explicit.unwrap_or_else(|| physical::name(&self.unit(unit).scope, id, max)))
    }

    fn queue_name(&mut self, unit: usize, id: &str) -> Result<String, Failed> {
        let fifo = self.property_text(unit, id, "FifoQueue")?.as_deref() == Some("true");
        let explicit = self.property_text(unit, id, "QueueName")?;
        Ok(explicit.unwrap_or_else(|| {
            let name = physical::name(&self.unit(unit).scope, id, 75);
            if fifo { format!("{name}.fifo") } else { name }
        }))
    }

    /// The ARN of the function that a property names, whether by name, ARN or ARN with a qualifier.
    fn function_arn(&mut self, unit: usize, id: &str, property: &str) -> Result<String, Failed> {
        let text = self.property_text(unit, id, property)?.unwrap_or_default();
        Ok(self.unit(unit).scope.function_arn(&text))
    }

    /// The number of a version: the versions of a function are published as the template orders them.
    fn version(&mut self, unit: usize, id: &str, function: &str) -> Result<usize, Failed> {
        let world = self.world;
        let mut number = 0;
        for (other, resource) in crate::resources::in_template_order(world, unit) {
            if resource.kind == "AWS::Lambda::Version"
                && self.is_active(unit, &resource.node)?
                && self.function_arn(unit, other, "FunctionName")? == function
            {
                number += 1;
                if other == id {
                    break;
                }
            }
        }
        Ok(number)
    }

    /// What `Fn::GetAtt` of a resource gives.
    pub(crate) fn attribute(
        &mut self,
        unit: usize,
        at: Position,
        id: &str,
        attribute: &str,
    ) -> Resolved {
        let Some(resource) = self.resource(unit, id) else {
            return self.fail(at, format!("no resource is named {id}"));
        };
        let kind = resource.kind.as_str();
        if kind == "AWS::CloudFormation::Stack" {
            return self.nested_output(unit, at, id, attribute);
        }
        let reference = self.reference(unit, at, id)?;
        let scope = &self.unit(unit).scope;
        let text = match (kind, attribute) {
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => {
                let http = self.property_text(unit, id, "ProtocolType")?.as_deref() == Some("HTTP");
                let scheme = if http { "https" } else { "wss" };
                format!(
                    "{scheme}://{reference}.execute-api.{}.{}",
                    scope.region,
                    scope.url_suffix()
                )
            }
            (
                kind,
                "ApiId"
                | "RouteId"
                | "IntegrationId"
                | "AuthorizerId"
                | "DeploymentId"
                | "RouteResponseId"
                | "IntegrationResponseId"
                | "ModelId"
                | "ApiMappingId"
                | "VpcLinkId",
            ) if kind.starts_with("AWS::ApiGatewayV2::") => reference,
            ("AWS::Lambda::Function", "Arn") => {
                scope.arn("lambda", &format!("function:{reference}"))
            }
            ("AWS::Lambda::Version", "Version") => {
                reference.rsplit(':').next().unwrap_or_default().to_owned()
            }
            ("AWS::Lambda::Version" | "AWS::Lambda::Url", "FunctionArn")
            | ("AWS::Lambda::Alias", "AliasArn")
            | ("AWS::Lambda::LayerVersion", "LayerVersionArn")
            | ("AWS::SNS::Topic", "TopicArn" | "Arn")
            | ("AWS::SecretsManager::Secret", "Id" | "Arn")
            | ("AWS::IAM::ManagedPolicy", "PolicyArn")
            | ("AWS::KMS::Key", "KeyId")
            | ("AWS::Events::EventBus", "Name")
            | ("AWS::StepFunctions::StateMachine", "Arn")
            | ("AWS::SQS::Queue", "QueueUrl")
            | ("AWS::ApiGateway::ApiKey", "APIKeyId")
            | (
                "AWS::ApiGateway::UsagePlan"
                | "AWS::ApiGateway::UsagePlanKey"
                | "AWS::Lambda::EventSourceMapping",
                "Id",
            ) => reference,
            ("AWS::ApiGatewayV2::Stage", "Id") => physical::part_id(scope, id),
            ("AWS::Lambda::Function", "SnapStartResponse.ApplyOn") => "None".to_owned(),
            ("AWS::Lambda::Function", "SnapStartResponse.OptimizationStatus") => "Off".to_owned(),
            ("AWS::Lambda::EventSourceMapping", "EventSourceMappingArn") => {
                scope.arn("lambda", &format!("event-source-mapping:{reference}"))
            }
            ("AWS::Lambda::Url", "FunctionUrl") => {
                let name = physical::part_id(scope, id);
                format!("https://{name}.lambda-url.{}.on.aws/", scope.region)
            }
            ("AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable", "Arn") => {
                scope.arn("dynamodb", &format!("table/{reference}"))
            }
            ("AWS::DynamoDB::Table" | "AWS::DynamoDB::GlobalTable", "StreamArn") => {
                physical::stream_arn(scope, &reference)
            }
            ("AWS::DynamoDB::GlobalTable", "TableId") => physical::uuid(scope, "table", id),
            ("AWS::IAM::Role", "Arn") => {
                let path = self.property_text(unit, id, "Path")?.unwrap_or_else(|| "/".to_owned());
                let (partition, account) = (scope.partition(), &scope.account);
                format!("arn:{partition}:iam::{account}:role{path}{reference}")
            }
            ("AWS::IAM::User" | "AWS::IAM::Group" | "AWS::IAM::InstanceProfile", "Arn") => {
                let word = match kind {
                    "AWS::IAM::User" => "user",
                    "AWS::IAM::Group" => "group",
                    _ => "instance-profile",
                };
                let path = self.property_text(unit, id, "Path")?.unwrap_or_else(|| "/".to_owned());
                let (partition, account) = (scope.partition(), &scope.account);
                format!("arn:{partition}:iam::{account}:{word}{path}{reference}")
            }
            ("AWS::KMS::Key", "Arn") => scope.arn("kms", &format!("key/{reference}")),
            ("AWS::Kinesis::Stream", "Arn") => scope.arn("kinesis", &format!("stream/{reference}")),
            ("AWS::Events::Rule", "Arn") => scope.arn("events", &format!("rule/{reference}")),
            ("AWS::Events::EventBus", "Arn") => {
                scope.arn("events", &format!("event-bus/{reference}"))
            }
            ("AWS::IAM::Role", "RoleId") => {
                format!("AROA{}", physical::part_id(scope, id).to_uppercase())
            }
            ("AWS::Logs::LogGroup", "Arn") => {
                scope.arn("logs", &format!("log-group:{reference}:*"))
            }
            ("AWS::S3::Bucket", "Arn") => format!("arn:{}:s3:::{reference}", scope.partition()),
            ("AWS::S3::Bucket", "DomainName") => format!("{reference}.s3.{}", scope.url_suffix()),
            ("AWS::S3::Bucket", "RegionalDomainName") => {
                format!("{reference}.s3.{}.{}", scope.region, scope.url_suffix())
            }
            ("AWS::S3::Bucket", "DualStackDomainName") => {
                format!("{reference}.s3.dualstack.{}.{}", scope.region, scope.url_suffix())
            }
            ("AWS::S3::Bucket", "WebsiteURL") => {
                format!("http://{reference}.s3-website-{}.{}", scope.region, scope.url_suffix())
            }
            ("AWS::SQS::Queue", "Arn" | "QueueName") => {
                let name = self.queue_name(unit, id)?;
                if attribute == "Arn" { scope.arn("sqs", &name) } else { name }
            }
            ("AWS::SNS::Topic", "TopicName") => self.name_of(unit, id, "TopicName", 255)?,
            ("AWS::SSM::Parameter", "Value" | "Type") => {
                return self.property(unit, id, attribute);
            }
            ("AWS::ApiGatewayV2::DomainName", "RegionalDomainName") => format!(
                "d-{}.execute-api.{}.{}",
                physical::api_id(scope, id),
                scope.region,
                scope.url_suffix()
            ),
            // What records in Route 53 ask for, which is not here: the shape of an id, the same every time.
            ("AWS::ApiGatewayV2::DomainName", "RegionalHostedZoneId") => {
                format!("Z{}", physical::api_id(scope, id).to_uppercase())
            }
            ("AWS::ApiGatewayV2::DomainName", "DomainNameArn") => {
                let (partition, region) = (scope.partition(), &scope.region);
                format!("arn:{partition}:apigateway:{region}::/domainnames/{reference}")
            }
            // What a call of an SDK gave: of those that are made nowhere, only this can be known.
            ("Custom::AWS", "Parameter.Value") => {
                let call = self.property_text(unit, id, "Create")?.unwrap_or_default();
                match crate::resources::parameter_of(&call) {
                    Some(name) => self.stored_parameter(&name)?.unwrap_or_default(),
                    None => format!("{id}.{attribute}"),
                }
            }
            (kind, _) if has_fixed_attributes(kind) => {
                return self.fail(at, format!("{kind} has no attribute {attribute}"));
            }
            (kind, "Arn") => {
                let service = kind.split("::").nth(1).unwrap_or("unknown").to_lowercase();
                scope.arn(&service, &reference)
            }
            // Something, and the same every time; the row of the resource says that it does not run here.
            _ => format!("{id}.{attribute}"),
        };
        Ok(Some(Node::text(at, text)))
    }

    fn nested_output(&mut self, unit: usize, at: Position, id: &str, attribute: &str) -> Resolved {
        let Some(output) = attribute.strip_prefix("Outputs.") else {
            return self
                .fail(at, format!("a nested stack has outputs (Outputs.NAME), not {attribute}"));
        };
        match self.unit(unit).children.get(id) {
            Some(child) => self.output(*child, at, output),
            // Its template was not found, which is reported where the stacks are read.
            None => Err(Failed),
        }
    }
}

/// The types that run here: an attribute they do not have is a mistake, not something to make up.
fn has_fixed_attributes(kind: &str) -> bool {
    matches!(
        kind,
        "AWS::ApiGatewayV2::Api"
            | "AWS::ApiGatewayV2::Route"
            | "AWS::ApiGatewayV2::Integration"
            | "AWS::ApiGatewayV2::Authorizer"
            | "AWS::ApiGatewayV2::DomainName"
            | "AWS::DynamoDB::Table"
            | "AWS::DynamoDB::GlobalTable"
            | "AWS::IAM::Role"
    )
}

impl crate::template::Scope {
    /// The ARN of a function given by name, partial ARN or ARN, without a qualifier.
    pub(crate) fn function_arn(&self, text: &str) -> String {
        if text.starts_with("arn:") {
            return text.split(':').take(7).collect::<Vec<_>>().join(":");
        }
        let name = match text.split_once(":function:") {
            Some((_, rest)) => rest,
            None => text,
        };
        let name = name.split(':').next().unwrap_or_default();
        self.arn("lambda", &format!("function:{name}"))
    }
}
