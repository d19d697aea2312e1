//! Resource-based policies: who may invoke a function on AWS. They are kept and shown; nobody is refused by them here.
//!
//! Source: AWS Lambda API, `AddPermission`, `RemovePermission`, `GetPolicy`.

use serde_json::{Value, json};
use stillwire_model::LambdaReply;

use crate::error::{Answered, Refused};
use crate::members::{self, put};
use crate::name::{Named, qualified};
use crate::request::{Request, empty, reply};
use crate::room::{Room, revision};

/// Bytes of a policy. Source: AWS Lambda quotas, "Function resource-based policy" (20 KB).
const POLICY_BYTES_MAX: usize = 20 * 1024;

/// What is granted.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) action: &'a str,
    pub(crate) principal: &'a str,
    pub(crate) source_arn: Option<&'a str>,
    pub(crate) source_account: Option<&'a str>,
}

pub(crate) fn operate(
    room: &Room,
    function: &str,
    (method, rest): (&str, &[&str]),
    request: &Request,
) -> Answered<LambdaReply> {
    let named = Named::parse(function, request.queried("Qualifier"))?;
    let qualifier = named.qualifier.clone();
    let key = qualifier.clone().unwrap_or_default();
    match (method, rest) {
        ("GET", []) => {
            let state = room.state();
            let function = state.find(&named, &room.home)?;
            function.configuration(qualifier.as_deref())?;
            let policy = function.policies.get(&key).filter(|policy| !policy.statements.is_empty());
            let policy = policy
                .ok_or_else(|| Refused::not_found("The resource you requested does not exist."))?;
            let text = document(&policy.statements).to_string();
            let body = json!({ "Policy": text, "RevisionId": policy.revision });
            Ok(reply(200, body.to_string()))
        }
        ("POST", []) => {
            let members = request.members()?;
            let id = members::required(&members, "StatementId")?;
            let statement = room.change_function(&named, |function| {
                function.configuration(qualifier.as_deref())?;
                let statement = statement(&Grant {
                    id,
                    resource: &qualified(function.arn.as_str(), qualifier.as_deref()),
                    action: members::required(&members, "Action")?,
                    principal: members::required(&members, "Principal")?,
                    source_arn: members::text(&members, "SourceArn")?,
                    source_account: members::text(&members, "SourceAccount")?,
                });
                let policy = function.policies.entry(key).or_default();
                if policy.statements.iter().any(|statement| is(statement, id)) {
                    return Err(Refused::conflict(format!(
                        "The statement id ({id}) provided already exists. Please provide a new statement \
                         id, or remove the existing statement."
                    )));
                }
                policy.statements.push(statement.clone());
                if document(&policy.statements).to_string().len() > POLICY_BYTES_MAX {
                    return Err(Refused::invalid("The final policy size is bigger than the limit (20480)."));
                }
                policy.revision = revision();
                Ok(statement)
            })?;
            let body = json!({ "Statement": statement.to_string() });
            Ok(reply(201, body.to_string()))
        }
        ("DELETE", [id]) => {
            room.change_function(&named, |function| {
                let policy = function.policies.entry(key).or_default();
                let before = policy.statements.len();
                policy.statements.retain(|statement| !is(statement, id));
                if policy.statements.len() == before {
                    return Err(Refused::not_found(format!(
                        "Statement {id} is not found in resource policy."
                    )));
                }
                policy.revision = revision();
                Ok(())
            })?;
            Ok(empty(204))
        }
        _ => Err(Refused::unknown_path()),
    }
}

/// Whether this is the statement of an id.
fn is(statement: &Value, id: &str) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(id)
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements })
}

/// A grant as a policy writes it.
pub(crate) fn statement(grant: &Grant<'_>) -> Value {
    let Grant { id, resource, action, principal, source_arn, source_account } = grant;
    let principal = match *principal {
        "*" => json!("*"),
        account if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) => {
            json!({ "AWS": format!("arn:aws:iam::{account}:root") })
        }
        arn if arn.starts_with("arn:") => json!({ "AWS": arn }),
        service => json!({ "Service": service }),
    };
    let mut statement = json!({
        "Sid": id, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource,
    });
    let mut conditions = json!({});
    if let Some(account) = source_account {
        put(&mut conditions, "StringEquals", json!({ "AWS:SourceAccount": account }));
    }
    if let Some(arn) = source_arn {
        put(&mut conditions, "ArnLike", json!({ "AWS:SourceArn": arn }));
    }
    if conditions != json!({}) {
        put(&mut statement, "Condition", conditions);
    }
    statement
}
