//! Roles of templates, with the policies that are attached to them in each way.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod support;

use serde_json::{Value, json};

use support::{function, loaded, table};

/// A policy document that allows one action on the table `Table`.
fn document(action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": action,
        "Resource": [{ "Fn::GetAtt": ["Table", "Arn"] }, { "Ref": "AWS::NoValue" }] }] })
}

fn policy(kind: &str, action: &str, more: Value) -> Value {
    let mut properties = more;
    properties["PolicyDocument"] = document(action);
    json!({ "Type": format!("AWS::IAM::{kind}"), "Properties": properties })
}

#[test]
fn a_role_has_its_own_policies_and_those_attached_to_it() {
    let mut worker = function(&json!({}));
    worker["Properties"]["Role"] = json!({ "Fn::GetAtt": ["Role", "Arn"] });
    let loaded = loaded(&json!({ "Resources": {
        "Fn": worker,
        "Table": table(),
        "Role": { "Type": "AWS::IAM::Role", "Properties": {
            "Path": "/service/",
            "Policies": [{ "PolicyName": "own", "PolicyDocument": document("own") }],
            "ManagedPolicyArns": [
                { "Ref": "Managed" },
                { "Fn::Join": ["", ["arn:", { "Ref": "AWS::Partition" },
                    ":iam::aws:policy/AmazonDynamoDBReadOnlyAccess"]] },
                "arn:aws:iam::123456789012:policy/ours" ] } },
        "Other": { "Type": "AWS::IAM::Role", "Properties": { "RoleName": "other" } },
        "Managed": policy("ManagedPolicy", "managed", json!({})),
        "Attached": policy("Policy", "attached", json!({ "PolicyName": "a", "Roles": [{ "Ref": "Role" }] })),
        "AlsoManaged": policy("ManagedPolicy", "also", json!({ "Roles": [{ "Ref": "Role" }] })),
        "Single": policy("RolePolicy", "single", json!({ "PolicyName": "s", "RoleName": { "Ref": "Role" } })),
        "Foreign": policy("Policy", "foreign", json!({ "PolicyName": "f", "Roles": ["other"] })),
    } }));
    let roles: Vec<_> = loaded.app.roles().collect();
    let function = loaded.app.functions().next().unwrap();
    let role = roles.iter().find(|role| role.arn == function.role).unwrap();
    assert!(role.arn.contains(":role/service/"), "{}", role.arn);
    let actions = |role: &stillwire_model::Role| {
        let mut actions: Vec<_> = role
            .policies
            .iter()
            .map(|policy| policy["Statement"][0]["Action"].clone())
            .filter_map(|action| action.as_str().map(str::to_owned))
            .collect();
        actions.sort();
        actions
    };
    assert_eq!(actions(role), ["also", "attached", "managed", "own", "single"]);
    let resource = &role.policies[0]["Statement"][0]["Resource"];
    assert_eq!(resource, &json!(["arn:aws:dynamodb:us-east-1:000000000000:table/t"]));
    let read = role.policies.iter().any(|policy| {
        let actions = policy["Statement"][0]["Action"].as_array();
        actions.is_some_and(|actions| actions.contains(&json!("dynamodb:Query")))
    });
    assert!(read, "AWS's own policy is known");
    assert_eq!(role.unknown_policies, ["arn:aws:iam::123456789012:policy/ours"]);
    let other = roles.iter().find(|role| role.arn.ends_with("/other")).unwrap();
    assert_eq!(actions(other), ["foreign"]);
}
