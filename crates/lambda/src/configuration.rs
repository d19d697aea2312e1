//! The configuration of a version: read from requests, shown in answers.
//!
//! Source: service model `lambda`, `CreateFunctionRequest`, `UpdateFunctionConfigurationRequest`, `FunctionConfiguration`.

use serde_json::{Map, Value, json};
use stillwire_model::{FunctionArn, InvalidVariable, LATEST, Runtime, check_variable_name, limits};

use crate::code;
use crate::error::{Answered, Refused};
use crate::members::{self, put};
use crate::name::qualified;
use crate::request::Members;
use crate::room::Room;
use crate::state::{Configuration, Function};

/// Members that are kept and shown as they were given.
const KEPT: [&str; 13] = [
    "Role",
    "Description",
    "DeadLetterConfig",
    "KMSKeyArn",
    "TracingConfig",
    "VpcConfig",
    "Architectures",
    "EphemeralStorage",
    "LoggingConfig",
    "SnapStart",
    "FileSystemConfigs",
    "Layers",
    "PackageType",
];

/// Characters of a description. Source: service model, `Description`.
const DESCRIPTION_CHARS_MAX: usize = 256;

/// Puts the members of a request into a configuration; what a request does not have stays.
pub(crate) fn apply(configuration: &mut Configuration, members: &Members) -> Answered<()> {
    let longest = u32::try_from(limits::FUNCTION_TIMEOUT_MAX.as_secs()).unwrap_or(u32::MAX);
    if let Some(runtime) = members::text(members, "Runtime")? {
        read_runtime(runtime)?;
        runtime.clone_into(&mut configuration.runtime);
    }
    if let Some(handler) = members::text(members, "Handler")? {
        if handler.is_empty() || handler.len() > 128 || handler.contains(char::is_whitespace) {
            let constraint = "Member must satisfy regular expression pattern: [^\\s]+";
            return Err(Refused::invalid_member(handler, "handler", constraint));
        }
        handler.clone_into(&mut configuration.handler);
    }
    if let Some(memory) = members::number(members, "MemorySize", limits::FUNCTION_MEMORY_MB_RANGE)?
    {
        configuration.memory_mb = memory;
    }
    if let Some(timeout) = members::number(members, "Timeout", 1..=longest)? {
        configuration.timeout_seconds = timeout;
    }
    if let Some(environment) = members::object(members, "Environment")? {
        let variables = members::texts(environment, "Variables")?.unwrap_or_default();
        check_variables(&variables)?;
        configuration.environment = variables.into_iter().collect();
    }
    if members::text(members, "Description")?
        .is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX)
    {
        let constraint = "Member must have length less than or equal to 256";
        return Err(Refused::invalid_member("…", "description", constraint));
    }
    if members.get("Layers").and_then(Value::as_array).is_some_and(|layers| !layers.is_empty()) {
        return Err(Refused::not_here("this adds a layer"));
    }
    for name in KEPT {
        if let Some(value) = members.get(name).filter(|value| !value.is_null()) {
            configuration.members.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

fn read_runtime(text: &str) -> Answered<()> {
    match Runtime::parse(text) {
        Ok(runtime) if runtime.is_run_here() => Ok(()),
        Ok(_) => Err(Refused::not_here(&format!("this asks for the runtime {text}"))),
        Err(_) => {
            let constraint = "Member must satisfy enum value set: [python3.9, python3.10, python3.11, \
                python3.12, python3.13, python3.14, nodejs18.x, nodejs20.x, nodejs22.x, nodejs24.x, \
                provided.al2, provided.al2023]";
            Err(Refused::invalid_member(text, "runtime", constraint))
        }
    }
}

fn check_variables(variables: &[(String, String)]) -> Answered<()> {
    let unable = "Lambda was unable to configure your environment variables because the environment \
                  variables you have provided";
    let mut reserved = Vec::new();
    for (name, _) in variables {
        match check_variable_name(name) {
            Ok(()) => {}
            Err(InvalidVariable::Reserved(name)) => reserved.push(name),
            Err(InvalidVariable::Shape(name)) => {
                let constraint = "Map keys must satisfy constraint: [Member must satisfy regular expression \
                                  pattern: [a-zA-Z]([a-zA-Z0-9_])+]";
                return Err(Refused::invalid_member(&name, "environment.variables", constraint));
            }
        }
    }
    if !reserved.is_empty() {
        return Err(Refused::invalid(format!(
            "{unable} contains reserved keys that are currently not supported for modification. \
             Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let size: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > limits::FUNCTION_ENVIRONMENT_BYTES_MAX {
        return Err(Refused::invalid(format!("{unable} exceeded the 4KB limit.")));
    }
    Ok(())
}

/// A configuration as answers have it; its ARN has the qualifier that it was asked for by.
pub(crate) fn shown(
    room: &Room,
    function: &Function,
    configuration: &Configuration,
    qualifier: Option<&str>,
) -> Value {
    let (sha256, size) = code::identity(&configuration.code);
    let mut shown = json!({
        "FunctionName": function.arn.name(),
        "FunctionArn": qualified(function.arn.as_str(), qualifier),
        "Runtime": configuration.runtime,
        "Handler": configuration.handler,
        "CodeSize": size,
        "CodeSha256": sha256,
        "Timeout": configuration.timeout_seconds,
        "MemorySize": configuration.memory_mb,
        "LastModified": configuration.modified,
        "Version": configuration.version,
        "RevisionId": configuration.revision,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Description": "",
        "Architectures": ["x86_64"],
        "EphemeralStorage": { "Size": 512 },
        "TracingConfig": { "Mode": "PassThrough" },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": log_group(&function.arn),
    });
    if !configuration.environment.is_empty() {
        put(&mut shown, "Environment", json!({ "Variables": configuration.environment }));
    }
    for (name, value) in &configuration.members {
        match (shown.get_mut(name), value) {
            (Some(Value::Object(defaults)), Value::Object(given)) => {
                defaults.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => put(&mut shown, name, value.clone()),
        }
    }
    if configuration.version != LATEST {
        put(&mut shown, "MasterArn", function.arn.as_str());
    }
    if let Some(obstacle) = function.released(configuration, room.store.code()).obstacle() {
        put(&mut shown, "State", "Failed");
        put(&mut shown, "StateReason", obstacle);
        put(&mut shown, "StateReasonCode", "InvalidRuntime");
    }
    shown
}

fn log_group(arn: &FunctionArn) -> Map<String, Value> {
    let group = format!("/aws/lambda/{}", arn.name());
    [("LogFormat".to_owned(), "Text".into()), ("LogGroup".to_owned(), group.into())]
        .into_iter()
        .collect()
}
