//! A request from its path to its operation.
//!
//! Source: service model `lambda`, the operations' paths.

use std::sync::Arc;

use serde_json::json;
use stillwire_model::LambdaReply;

use crate::error::{Answered, Refused};
use crate::name::Named;
use crate::request::{Request, reply};
use crate::room::Room;
use crate::{aliases, functions, invoke, mappings, policy, settings, versions};

/// The first words of paths that are served on AWS only, and what they are for.
const ELSEWHERE: [(&str, &str); 6] = [
    ("layers", "a layer"),
    ("code-signing-configs", "code signing"),
    ("capacity-providers", "a capacity provider"),
    ("durable-executions", "a durable execution"),
    ("durable-execution-callbacks", "a durable execution"),
    ("resource-policy", "a resource policy"),
];

pub(crate) async fn answer(room: &Arc<Room>, request: Request) -> Answered<LambdaReply> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("POST", ["functions", name, "invocations"]) => invoke::invoke(room, name, &request).await,
        ("POST", ["functions", name, "response-streaming-invocations"]) => {
            invoke::invoke_as_stream(room, name, &request).await
        }
        ("POST", ["functions", name, "invoke-async"]) => invoke::invoke_async(room, name, &request),
        _ => {
            // Reading and keeping code waits for the disk, and so does every change.
            let room = Arc::clone(room);
            let answered = tokio::task::spawn_blocking(move || operate(&room, &request)).await;
            answered.unwrap_or_else(|error| {
                tracing::error!(%error, "an operation of the Lambda API panicked");
                Err(Refused::internal())
            })
        }
    }
}

fn operate(room: &Room, request: &Request) -> Answered<LambdaReply> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    match (method, path.as_slice()) {
        ("GET", ["functions"]) => functions::list(room, request),
        ("POST", ["functions"]) => functions::create(room, request),
        ("GET", ["functions", name]) => functions::get(room, name, request),
        ("DELETE", ["functions", name]) => functions::delete(room, name, request),
        ("GET", ["functions", name, "configuration"]) => {
            functions::configuration(room, name, request)
        }
        ("PUT", ["functions", name, "configuration"]) => {
            functions::update_configuration(room, name, request)
        }
        ("PUT", ["functions", name, "code"]) => functions::update_code(room, name, request),
        ("GET", ["functions", name, "versions"]) => versions::list(room, name, request),
        ("POST", ["functions", name, "versions"]) => versions::publish(room, name, request),
        (_, ["functions", name, "aliases", rest @ ..]) => {
            aliases::operate(room, name, (method, rest), request)
        }
        (_, ["functions", name, "policy", rest @ ..]) => {
            policy::operate(room, name, (method, rest), request)
        }
        (_, ["functions", name, "concurrency"]) => {
            settings::concurrency(room, name, method, request)
        }
        (_, ["functions", name, "event-invoke-config", rest @ ..]) => {
            settings::events(room, name, (method, rest), request)
        }
        (_, ["event-source-mappings", rest @ ..]) => {
            mappings::operate(room, (method, rest), request)
        }
        (_, ["tags", arn]) => settings::tags(room, arn, method, request),
        ("GET", ["account-settings"]) => Ok(settings::account(room)),
        ("GET", ["functions", name, rest @ ..]) => nothing_of(room, name, rest),
        ("GET", ["layers"]) => Ok(none("Layers")),
        (_, ["functions", _, operation, ..]) => {
            Err(Refused::not_here(&format!("this asks for {operation} of a function")))
        }
        (_, [first, ..]) => match ELSEWHERE.iter().find(|(word, _)| word == first) {
            Some((_, what)) => Err(Refused::not_here(&format!("this asks for {what}"))),
            None => Err(Refused::unknown_path()),
        },
        (_, []) => Err(Refused::unknown_path()),
    }
}

/// What tools ask every function for, and no function has here.
fn nothing_of(room: &Room, name: &str, rest: &[&str]) -> Answered<LambdaReply> {
    let named = Named::parse(name, None)?;
    let state = room.state();
    let function = state.find(&named, &room.home)?;
    let body = match rest {
        ["urls"] => return Ok(none("FunctionUrlConfigs")),
        ["provisioned-concurrency"] => return Ok(none("ProvisionedConcurrencyConfigs")),
        ["code-signing-config"] => json!({ "FunctionName": function.arn.name() }),
        ["recursion-config"] => json!({ "RecursiveLoop": "Terminate" }),
        ["runtime-management-config"] => {
            json!({ "UpdateRuntimeOn": "Auto", "FunctionArn": function.arn.as_str() })
        }
        ["url"] => {
            return Err(Refused::not_found("The resource you requested does not exist."));
        }
        _ => return Err(Refused::unknown_path()),
    };
    Ok(reply(200, body.to_string()))
}

/// A list of nothing.
fn none(name: &str) -> LambdaReply {
    reply(200, json!({ name: [] }).to_string())
}
