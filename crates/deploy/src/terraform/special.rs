//! Attributes that are blocks, and what a template says in another way.

use serde_json::{Map, Value, json};

use super::document::Instance;
use super::{Writer, policy, table};

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
pub(super) fn taken(block: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
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
                if let Some(sides) = self.destinations(instance, &["on_failure"], "destination_arn")
                {
                    set("DestinationConfig", sides);
                }
            }
            "aws_lambda_function_event_invoke_config" => {
                let names = ["on_success", "on_failure"];
                if let Some(sides) = self.destinations(instance, &names, "destination") {
                    set("DestinationConfig", sides);
                }
            }
            "aws_dynamodb_table" => table::properties(instance, &mut set),
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
                    let document = policy::document(block.get("policy")?)?;
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

    /// Where records go: known ARNs, and those of what the configuration refers to.
    fn destinations(&self, instance: &Instance, names: &[&str], arn: &str) -> Option<Value> {
        let blocks = instance.block("destination_config")?;
        let document = self.document;
        let expressions = document
            .expressions(instance)
            .and_then(|all| all.get("destination_config")?.as_array()?.first());
        let mut sides = Map::new();
        for name in names {
            let first = |block: &Value| block.get(name)?.as_array()?.first()?.get(arn).cloned();
            let known = first(blocks).filter(|value| !value.is_null());
            let referenced = || {
                let expression = expressions.and_then(first)?;
                document.referenced(&expression, &instance.module, instance.index.as_deref())
            };
            let Some(target) = known.or_else(referenced) else { continue };
            let side = if *name == "on_success" { "OnSuccess" } else { "OnFailure" };
            sides.insert(side.to_owned(), json!({ "Destination": target }));
        }
        (!sides.is_empty()).then(|| sides.into())
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
}
