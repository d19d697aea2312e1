//! Attributes that are blocks, and what a template says in another way.

use serde_json::{Map, Value, json};

use super::Writer;
use super::document::Instance;

/// Resources that mean nothing at run time: they are listed nowhere.
pub(super) fn is_silent(kind: &str) -> bool {
    [
        "null_resource",
        "terraform_data",
        "aws_iam_role_policy_attachment",
        "aws_iam_policy_attachment",
        "aws_secretsmanager_secret_version",
    ]
    .contains(&kind)
        || ["random_", "local_", "time_", "archive_"].iter().any(|prefix| kind.starts_with(prefix))
}

/// Members of a block, and the properties that they are.
fn taken(block: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
    let members = names.iter().filter_map(|(ours, theirs)| {
        let value = block.get(ours).filter(|value| !value.is_null())?;
        Some(((*theirs).to_owned(), value.clone()))
    });
    members.collect()
}

/// Limits of a stage or route; the provider writes 0 for what is not set.
const SETTINGS: [(&str, &str); 5] = [
    ("throttling_rate_limit", "ThrottlingRateLimit"),
    ("throttling_burst_limit", "ThrottlingBurstLimit"),
    ("detailed_metrics_enabled", "DetailedMetricsEnabled"),
    ("data_trace_enabled", "DataTraceEnabled"),
    ("logging_level", "LoggingLevel"),
];

fn settings(block: &Value) -> Value {
    let mut settings = taken(block, &SETTINGS);
    settings.retain(|name, value| !(name.starts_with("Throttling") && value.as_f64() == Some(0.0)));
    settings.into()
}

impl Writer<'_> {
    /// Adds the properties of a resource that are no attributes of their own.
    pub(super) fn special(&mut self, instance: &Instance, properties: &mut Map<String, Value>) {
        let mut set = |name: &str, value: Value| {
            properties.insert(name.to_owned(), value);
        };
        match instance.kind.as_str() {
            "aws_apigatewayv2_stage" => self.stage(instance, &mut set),
            "aws_apigatewayv2_route" => {
                let parameters = instance.get("request_parameter").and_then(Value::as_array);
                let parameters: Map<String, Value> = parameters
                    .into_iter()
                    .flatten()
                    .filter_map(|block| {
                        let key = block.get("request_parameter_key")?.as_str()?.to_owned();
                        Some((key, json!({ "Required": block.get("required") })))
                    })
                    .collect();
                if !parameters.is_empty() {
                    set("RequestParameters", parameters.into());
                }
            }
            "aws_lambda_function" => self.function(instance, &mut set),
            "aws_lambda_layer_version" => {
                if let Some(content) = self.package(instance) {
                    set("Content", content);
                }
            }
            "aws_lambda_permission" => {
                // A source that is not known yet may be any of the API's: nobody is refused by it here.
                if let Some(source) = instance.get("source_arn") {
                    set("SourceArn", self.document.literal(source));
                }
            }
            "aws_lambda_event_source_mapping" => {
                if let Some(criteria) = instance.block("filter_criteria") {
                    let filters =
                        criteria.get("filter").and_then(Value::as_array).into_iter().flatten();
                    let filters = filters.map(|filter| json!({ "Pattern": filter.get("pattern") }));
                    set("FilterCriteria", json!({ "Filters": filters.collect::<Vec<_>>() }));
                }
            }
            "aws_dynamodb_table" => table(instance, &mut set),
            "aws_dynamodb_table_item" => {
                let item =
                    instance.text("item").and_then(|text| serde_json::from_str::<Value>(text).ok());
                let table = self.value(instance, "table_name").unwrap_or_default();
                let (before, after) = (
                    r#"{"service":"dynamodb","action":"PutItem","parameters":{"TableName":""#,
                    format!(r#"","Item":{}}}}}"#, item.unwrap_or_default()),
                );
                set("Create", json!({ "Fn::Join": ["", [before, table, after]] }));
            }
            "aws_iam_role" => {
                if let Some(arns) = instance.get("managed_policy_arns") {
                    set("ManagedPolicyArns", arns.clone());
                }
                let blocks =
                    instance.get("inline_policy").and_then(Value::as_array).into_iter().flatten();
                let policies = blocks.filter_map(|block| {
                    let document = document(block.get("policy")?)?;
                    Some(json!({ "PolicyName": block.get("name"), "PolicyDocument": document }))
                });
                set("Policies", policies.collect::<Vec<_>>().into());
            }
            "aws_iam_role_policy" | "aws_iam_policy" => {
                if let Some(document) = self.policy(instance) {
                    set("PolicyDocument", document);
                }
            }
            "aws_secretsmanager_secret" => {
                if let Some(text) = self.secret(instance) {
                    set("SecretString", text);
                }
            }
            _ => {}
        }
    }

    fn stage(&mut self, instance: &Instance, set: &mut dyn FnMut(&str, Value)) {
        if let Some(block) = instance.block("default_route_settings") {
            set("DefaultRouteSettings", settings(block));
        }
        let routes = instance.get("route_settings").and_then(Value::as_array).into_iter().flatten();
        let routes: Map<String, Value> = routes
            .filter_map(|block| {
                Some((block.get("route_key")?.as_str()?.to_owned(), settings(block)))
            })
            .collect();
        if !routes.is_empty() {
            set("RouteSettings", routes.into());
        }
        if let Some(block) = instance.block("access_log_settings") {
            let known = block.get("destination_arn").filter(|arn| !arn.is_null()).cloned();
            let document = self.document;
            let destination = known.or_else(|| {
                let blocks =
                    document.expressions(instance)?.get("access_log_settings")?.as_array()?;
                let expression = blocks.first()?.get("destination_arn")?;
                document.referenced(expression, &instance.module, instance.index.as_deref())
            });
            let format = block.get("format").cloned().unwrap_or_default();
            set("AccessLogSettings", json!({ "DestinationArn": destination, "Format": format }));
        }
    }

    fn function(&mut self, instance: &Instance, set: &mut dyn FnMut(&str, Value)) {
        if let Some(code) = self.package(instance) {
            set("Code", code);
        }
        let reserved = instance.get("reserved_concurrent_executions").and_then(Value::as_i64);
        if let Some(reserved) = reserved.filter(|number| *number >= 0) {
            set("ReservedConcurrentExecutions", reserved.into());
        }
        if let Some(block) = instance.block("snap_start") {
            set("SnapStart", taken(block, &[("apply_on", "ApplyOn")]).into());
        }
        if let Some(block) = instance.block("dead_letter_config") {
            set("DeadLetterConfig", taken(block, &[("target_arn", "TargetArn")]).into());
        }
        if let Some(block) = instance.block("logging_config") {
            let names = [
                ("log_format", "LogFormat"),
                ("log_group", "LogGroup"),
                ("application_log_level", "ApplicationLogLevel"),
            ];
            set("LoggingConfig", taken(block, &names).into());
        }
        let variables = instance.block("environment").and_then(|block| block.get("variables"));
        let mut variables = match variables.map(|variables| self.document.literal(variables)) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        variables.retain(|_, value| !value.is_null());
        self.unknown_variables(instance, &mut variables);
        if !variables.is_empty() {
            set("Environment", json!({ "Variables": variables }));
        }
    }

    /// Variables that a plan does not know yet. It says what all of them refer to, but not which refers to what, and
    /// not what a text is around it: one variable that refers to one thing is that thing; others are told.
    fn unknown_variables(&mut self, instance: &Instance, variables: &mut Map<String, Value>) {
        let unknown = instance.unknown_members("environment", "variables");
        if unknown.is_empty() {
            return;
        }
        let document = self.document;
        let expression = document
            .expressions(instance)
            .and_then(|all| all.get("environment")?.as_array()?.first()?.get("variables"));
        let references = expression.and_then(|one| one.get("references")?.as_array());
        let mut candidates: Vec<Value> = Vec::new();
        for reference in references.into_iter().flatten() {
            let one = json!({ "references": [reference] });
            let value = document.referenced(&one, &instance.module, instance.index.as_deref());
            // What is known already is no candidate for what is not; the name alone of a resource is none either.
            if let Some(value) = value.filter(Value::is_object)
                && !candidates.contains(&value)
            {
                candidates.push(value);
            }
        }
        match (unknown.as_slice(), candidates.as_slice()) {
            ([name], [value]) => _ = variables.insert(name.clone(), value.clone()),
            _ => {
                for name in unknown {
                    let text = format!(
                        "the environment variable {name} is not set: its value is not known before it is applied"
                    );
                    self.warn(instance, "environment", text);
                }
            }
        }
    }

    /// The code of a function or layer: the folder that is zipped, else the zip, else where it is uploaded to.
    fn package(&mut self, instance: &Instance) -> Option<Value> {
        if let Some(image) = instance.get("image_uri") {
            return Some(json!({ "ImageUri": image }));
        }
        if let Some(file) = instance.text("filename") {
            let mut archives =
                self.document.instances.iter().filter(|other| other.kind == "archive_file");
            let archive = archives.find(|archive| archive.text("output_path") == Some(file));
            let folder = archive.and_then(|archive| archive.text("source_dir"));
            return Some(folder.unwrap_or(file).into());
        }
        let key = self.value(instance, "s3_key")?;
        Some(json!({ "S3Bucket": self.value(instance, "s3_bucket"), "S3Key": key }))
    }

    /// The document of a policy: known, or put together of what the data source's configuration says.
    fn policy(&mut self, instance: &Instance) -> Option<Value> {
        if let Some(policy) = instance.get("policy") {
            return document(policy);
        }
        let whole = self.document;
        let references =
            whole.expressions(instance)?.get("policy")?.get("references")?.as_array()?;
        let mut parts = references.iter().filter_map(|reference| {
            let mut parts = reference.as_str()?.split('.');
            match (parts.next()?, parts.next()?, parts.next()?) {
                ("data", "aws_iam_policy_document", name) => {
                    Some(name.split('[').next().unwrap_or(name).to_owned())
                }
                _ => None,
            }
        });
        let name = parts.next()?;
        let resources = whole.module(&instance.module)?.get("resources")?.as_array()?;
        let data = resources.iter().find(|resource| {
            resource.get("name").and_then(Value::as_str) == Some(&name)
                && resource.get("type").and_then(Value::as_str) == Some("aws_iam_policy_document")
        })?;
        let blocks = data.get("expressions")?.get("statement")?.as_array()?;
        let statements = blocks.iter().map(|block| {
            let constant =
                |name: &str| block.get(name).and_then(|one| one.get("constant_value")).cloned();
            let mut resources: Vec<Value> =
                constant("resources").and_then(|all| all.as_array().cloned()).unwrap_or_default();
            let references =
                block.get("resources").and_then(|one| one.get("references")?.as_array());
            for reference in references.into_iter().flatten() {
                let one = json!({ "references": [reference] });
                let Some(arn) = whole.referenced(&one, &instance.module, None) else { continue };
                if arn.is_object() {
                    // What is written around the ARN (`/index/*`) is not in a plan.
                    resources.push(json!({ "Fn::Join": ["", [arn, "/*"]] }));
                    resources.push(arn);
                }
            }
            json!({ "Effect": constant("effect").unwrap_or_else(|| "Allow".into()),
                "Action": constant("actions").unwrap_or_default(), "Resource": resources })
        });
        Some(json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() }))
    }

    /// The value that a version gives a secret.
    fn secret(&mut self, instance: &Instance) -> Option<Value> {
        let document = self.document;
        let versions = document
            .instances
            .iter()
            .filter(|other| other.kind == "aws_secretsmanager_secret_version");
        for version in versions {
            let names = self.value(version, "secret_id");
            let same = names.is_some_and(|names| {
                names.get("Ref").and_then(Value::as_str) == Some(&instance.id)
                    || names.as_str().is_some_and(|id| Some(id) == instance.text("id"))
            });
            if same {
                return version.get("secret_string").cloned();
            }
        }
        None
    }

    /// Attaches policies to roles, which a template does at the role.
    pub(super) fn attach(&mut self) {
        let document = self.document;
        for instance in
            document.instances.iter().filter(|one| one.kind == "aws_iam_role_policy_attachment")
        {
            let (Some(role), Some(policy)) =
                (self.value(instance, "role"), self.value(instance, "policy_arn"))
            else {
                continue;
            };
            let id = role.get("Ref").and_then(Value::as_str).map(str::to_owned);
            let named = || {
                let roles = document.instances.iter().filter(|one| one.kind == "aws_iam_role");
                let mut roles = roles
                    .filter(|one| one.text("name").is_some() && one.text("name") == role.as_str());
                roles.next().map(|one| one.id.clone())
            };
            let Some(id) = id.or_else(named) else { continue };
            let properties = self.made.get_mut(&id).and_then(|role| role.get_mut("Properties"));
            let Some(properties) = properties.and_then(Value::as_object_mut) else { continue };
            let arns = properties.entry("ManagedPolicyArns").or_insert_with(|| json!([]));
            if let Some(arns) = arns.as_array_mut() {
                arns.push(policy);
            }
        }
    }
}

/// A policy's document, which the provider has as a text.
fn document(policy: &Value) -> Option<Value> {
    serde_json::from_str(policy.as_str()?).ok()
}

fn table(instance: &Instance, set: &mut dyn FnMut(&str, Value)) {
    let keys = |block: &Value| {
        let key = |name: &str, kind: &str| {
            let name = block.get(name)?.as_str().filter(|name| !name.is_empty())?;
            Some(json!({ "AttributeName": name, "KeyType": kind }))
        };
        [key("hash_key", "HASH"), key("range_key", "RANGE")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let blocks = |name: &str| {
        instance.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().to_vec()
    };
    let attributes = blocks("attribute");
    let attributes = attributes
        .iter()
        .map(|block| taken(block, &[("name", "AttributeName"), ("type", "AttributeType")]));
    set("AttributeDefinitions", attributes.collect::<Vec<_>>().into());
    set("KeySchema", keys(&instance.values).into());
    let provisioned = instance.text("billing_mode") != Some("PAY_PER_REQUEST");
    let throughput = |block: &Value| {
        let names =
            [("read_capacity", "ReadCapacityUnits"), ("write_capacity", "WriteCapacityUnits")];
        Value::from(taken(block, &names))
    };
    if provisioned {
        set("ProvisionedThroughput", throughput(&instance.values));
    }
    for (ours, theirs) in [
        ("global_secondary_index", "GlobalSecondaryIndexes"),
        ("local_secondary_index", "LocalSecondaryIndexes"),
    ] {
        let declared = blocks(ours);
        let indexes = declared.iter().map(|block| {
            let mut key = keys(block);
            if ours.starts_with("local") {
                // A local index has the table's hash key.
                key.splice(0..0, keys(&instance.values).into_iter().take(1));
            }
            let mut index = taken(block, &[("name", "IndexName")]);
            let names =
                [("projection_type", "ProjectionType"), ("non_key_attributes", "NonKeyAttributes")];
            let mut projection = taken(block, &names);
            projection.retain(|_, value| value.as_array().is_none_or(|all| !all.is_empty()));
            index.insert("KeySchema".to_owned(), key.into());
            index.insert("Projection".to_owned(), projection.into());
            if provisioned && ours.starts_with("global") {
                index.insert("ProvisionedThroughput".to_owned(), throughput(block));
            }
            Value::from(index)
        });
        let indexes: Vec<Value> = indexes.collect();
        if !indexes.is_empty() {
            set(theirs, indexes.into());
        }
    }
    if instance.get("stream_enabled") == Some(&Value::Bool(true)) {
        set("StreamSpecification", json!({ "StreamViewType": instance.get("stream_view_type") }));
    }
    if let Some(ttl) = instance.block("ttl")
        && ttl.get("enabled") == Some(&Value::Bool(true))
    {
        set(
            "TimeToLiveSpecification",
            json!({ "Enabled": true, "AttributeName": ttl.get("attribute_name") }),
        );
    }
}
