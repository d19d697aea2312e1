//! Policies: their documents, and the roles that they are attached to.

use serde_json::{Value, json};

use super::Writer;
use super::document::Instance;

impl Writer<'_> {
    /// The document of a policy: known, or put together of what the data source's configuration says.
    pub(super) fn policy(&mut self, instance: &Instance) -> Option<Value> {
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
pub(super) fn document(policy: &Value) -> Option<Value> {
    serde_json::from_str(policy.as_str()?).ok()
}
