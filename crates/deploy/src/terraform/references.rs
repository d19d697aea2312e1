//! From what a configuration refers to, to what a template refers to.

use serde_json::{Value as Json, json};

use super::Writer;
use super::document::{Document, Instance, parent};

/// How many variables and outputs of modules may lead on to each other.
const STEPS_MAX: usize = 16;

/// Attributes that name another resource by its id.
const BY_ID: [&str; 7] =
    ["api_id", "authorizer_id", "integration_id", "route_id", "deployment_id", "target", "stage"];

impl Writer<'_> {
    /// The value of an attribute: as it is, or, while that is not known, of what it refers to.
    pub(super) fn value(&self, instance: &Instance, name: &str) -> Option<Json> {
        let document = self.document;
        if let Some(value) = instance.get(name) {
            if BY_ID.contains(&name)
                && let Some(named) = value.as_str().and_then(|text| document.by_id(text, name))
            {
                return Some(named);
            }
            return Some(document.literal(value));
        }
        if !instance.is_unknown(name) {
            return None;
        }
        let expression = document.expressions(instance)?.get(name)?;
        let value = document.referenced(expression, &instance.module, instance.index.as_deref())?;
        Some(match name {
            // The configuration writes `integrations/${….id}`; a plan keeps only what it refers to.
            "target" => json!({ "Fn::Join": ["/", ["integrations", value]] }),
            _ => value,
        })
    }
}

impl Document {
    /// What an expression refers to, in a module; of resources that are there several times, the one of this index.
    pub(super) fn referenced(
        &self,
        expression: &Json,
        module: &str,
        index: Option<&str>,
    ) -> Option<Json> {
        self.follow(expression, module, index, 0)
    }

    fn follow(
        &self,
        expression: &Json,
        module: &str,
        index: Option<&str>,
        steps: usize,
    ) -> Option<Json> {
        if let Some(constant) = expression.get("constant_value") {
            return Some(self.literal(constant));
        }
        if steps == STEPS_MAX {
            return None;
        }
        let references = expression.get("references")?.as_array()?.iter().filter_map(Json::as_str);
        references.into_iter().find_map(|reference| self.reference(reference, module, index, steps))
    }

    fn reference(
        &self,
        reference: &str,
        module: &str,
        index: Option<&str>,
        steps: usize,
    ) -> Option<Json> {
        let (path, own_index) = without_index(reference);
        let parts: Vec<&str> = path.split('.').collect();
        let index = own_index.as_deref().or(index);
        match parts.as_slice() {
            ["var", name, ..] => {
                let expression = self.call(module)?.get(name)?;
                self.follow(expression, parent(module), index, steps + 1)
            }
            ["module", name, output, ..] => {
                let inner = if module.is_empty() {
                    format!("module.{name}")
                } else {
                    format!("{module}.module.{name}")
                };
                let outputs = self.module(&inner)?.get("outputs")?;
                let expression = outputs.get(output)?.get("expression")?;
                self.follow(expression, &inner, index, steps + 1)
            }
            ["data", kind, name, attribute, ..] => {
                let found = one(&self.named(module, kind, name, false), index)?;
                Some(self.literal(found.get(attribute)?))
            }
            ["each" | "count" | "local" | "path" | "terraform" | "self", ..] => None,
            [kind, name, attribute, ..] => {
                let found = one(&self.named(module, kind, name, true), index)?;
                match found.get(attribute) {
                    Some(value)
                        if !matches!(*attribute, "id" | "arn" | "invoke_arn" | "execution_arn") =>
                    {
                        Some(self.literal(value))
                    }
                    _ => Some(self.attribute(found, attribute)),
                }
            }
            _ => None,
        }
    }

    /// An attribute that is only known once a resource exists, as a template refers to it.
    pub(super) fn attribute(&self, instance: &Instance, attribute: &str) -> Json {
        let id = &instance.id;
        let reference = json!({ "Ref": id });
        let get = |name: &str| json!({ "Fn::GetAtt": [id, name] });
        let uri = |arn: Json| {
            json!({ "Fn::Join": ["", ["arn:", { "Ref": "AWS::Partition" }, ":apigateway:", { "Ref": "AWS::Region" },
                ":lambda:path/2015-03-31/functions/", arn, "/invocations"]] })
        };
        let execute = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:";
        match (instance.kind.as_str(), attribute) {
            ("aws_lambda_function", "invoke_arn" | "qualified_invoke_arn") => uri(get("Arn")),
            ("aws_lambda_alias", "invoke_arn") => uri(reference),
            ("aws_dynamodb_table", "stream_arn") => get("StreamArn"),
            ("aws_apigatewayv2_api", "api_endpoint") => get("ApiEndpoint"),
            ("aws_apigatewayv2_api", "execution_arn") => {
                json!({ "Fn::Sub": format!("{execute}${{{id}}}") })
            }
            ("aws_apigatewayv2_stage", "invoke_url" | "execution_arn") => {
                let api = self.api_of(instance);
                let api = api.map_or_else(|| "unknown".to_owned(), |api| format!("${{{api}}}"));
                let text = if attribute == "invoke_url" {
                    format!(
                        "wss://{api}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/${{{id}}}"
                    )
                } else {
                    format!("{execute}{api}/${{{id}}}")
                };
                json!({ "Fn::Sub": text })
            }
            ("aws_ssm_parameter", "value") => get("Value"),
            (_, "id" | "name" | "function_name" | "bucket")
            | ("aws_sqs_queue", "url")
            | (
                "aws_lambda_alias"
                | "aws_lambda_layer_version"
                | "aws_sns_topic"
                | "aws_secretsmanager_secret"
                | "aws_iam_policy",
                "arn",
            ) => reference,
            (_, "arn") | ("aws_lambda_function", "qualified_arn") => get("Arn"),
            (_, other) => get(other),
        }
    }

    /// The API of a stage, by its logical id.
    fn api_of(&self, stage: &Instance) -> Option<&str> {
        let apis =
            || self.instances.iter().filter(|instance| instance.kind == "aws_apigatewayv2_api");
        if let Some(known) = stage.text("api_id") {
            return apis().find(|api| api.text("id") == Some(known)).map(|api| api.id.as_str());
        }
        let expression = self.expressions(stage)?.get("api_id")?;
        let found = self.referenced(expression, &stage.module, stage.index.as_deref())?;
        let id = found.get("Ref")?.as_str()?;
        apis().find(|api| api.id == id).map(|api| api.id.as_str())
    }

    /// The resource whose id an attribute has, where it is known already.
    fn by_id(&self, text: &str, name: &str) -> Option<Json> {
        let (prefix, id) = match text.split_once('/') {
            Some(("integrations", id)) if name == "target" => ("integrations", id),
            _ => ("", text),
        };
        let mut instances = self.instances.iter().filter(|instance| {
            instance.managed
                && instance.kind.starts_with("aws_apigatewayv2_")
                && instance.kind != "aws_apigatewayv2_stage"
        });
        let found = instances.find(|instance| instance.text("id") == Some(id))?;
        let reference = json!({ "Ref": found.id });
        Some(if prefix.is_empty() {
            reference
        } else {
            json!({ "Fn::Join": ["/", [prefix, reference]] })
        })
    }

    /// A value as it is, but for the ids of APIs in it: those are others here.
    pub(super) fn literal(&self, value: &Json) -> Json {
        match value {
            Json::String(text) => self.text(text),
            Json::Array(items) => {
                items.iter().map(|item| self.literal(item)).collect::<Vec<_>>().into()
            }
            Json::Object(members) => Json::Object(
                members.iter().map(|(name, value)| (name.clone(), self.literal(value))).collect(),
            ),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> Json {
        for api in self.instances.iter().filter(|instance| instance.kind == "aws_apigatewayv2_api")
        {
            let known = api.text("id").filter(|id| id.len() >= 8);
            if let Some((before, after)) = known.and_then(|id| text.split_once(id)) {
                return json!({ "Fn::Join": ["", [before, { "Ref": api.id }, self.text(after)]] });
            }
        }
        text.into()
    }
}

/// A reference without its index, and the index: `a.b["x"].c`.
fn without_index(reference: &str) -> (String, Option<String>) {
    let Some((before, rest)) = reference.split_once('[') else {
        return (reference.to_owned(), None);
    };
    let Some((index, after)) = rest.split_once(']') else { return (reference.to_owned(), None) };
    let index = index.trim_matches('"').to_owned();
    let known = !index.contains('.') && !index.contains("each") && !index.contains("count");
    (format!("{before}{after}"), known.then_some(index))
}

/// The only instance, or the one of an index.
fn one<'d>(found: &[&'d Instance], index: Option<&str>) -> Option<&'d Instance> {
    match found {
        [one] => Some(one),
        several => several.iter().find(|instance| instance.index.as_deref() == index).copied(),
    }
}
