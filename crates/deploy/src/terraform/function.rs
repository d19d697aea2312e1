//! `aws_lambda_function`: its code, its settings, and variables that a plan does not know.

use serde_json::{Map, Value, json};

use super::Writer;
use super::document::Instance;
use super::special::taken;

impl Writer<'_> {
    /// Adds the properties of a function that are no attributes of their own.
    pub(super) fn function(&mut self, instance: &Instance, set: &mut dyn FnMut(&str, Value)) {
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
                ("system_log_level", "SystemLogLevel"),
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
    pub(super) fn package(&mut self, instance: &Instance) -> Option<Value> {
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
}
