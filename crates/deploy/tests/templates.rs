//! The template language, by small templates: what values become, and how mistakes are told.

mod support;

use std::collections::BTreeMap;

use serde_json::json;

use support::{environment, environment_of, error, loaded, row, table, try_load, with_environment};

#[test]
fn references_give_what_each_type_is_known_by() {
    let more = json!({
        "Table": table(),
        "Queue": { "Type": "AWS::SQS::Queue", "Properties": { "QueueName": "q" } },
        "Role": { "Type": "AWS::IAM::Role", "Properties": { "RoleName": "r", "Path": "/p/" } },
        "Bucket": { "Type": "AWS::S3::Bucket" },
        "Api": { "Type": "AWS::ApiGatewayV2::Api", "Properties": { "ProtocolType": "WEBSOCKET" } },
        "Stage": { "Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": { "Ref": "Api" }, "StageName": "live", "AutoDeploy": true } },
        "Secret": { "Type": "AWS::SecretsManager::Secret" },
        "Alias": { "Type": "AWS::Lambda::Alias", "Properties": {
            "FunctionName": "other", "FunctionVersion": "1", "Name": "blue" } },
        "Domain": { "Type": "AWS::ApiGatewayV2::DomainName", "Properties": { "DomainName": "ws.example.com" } }
    });
    let names = ["Table", "Queue", "Role", "Bucket", "Api", "Stage", "Secret", "Alias", "Domain"];
    let mut variables: serde_json::Map<String, serde_json::Value> =
        names.iter().map(|name| (format!("V_{name}"), json!({ "Ref": name }))).collect();
    variables.insert("A_Role".to_owned(), json!({ "Fn::GetAtt": ["Role", "Arn"] }));
    variables.insert("A_Table".to_owned(), json!({ "Fn::GetAtt": "Table.Arn" }));
    variables.insert("A_Api".to_owned(), json!({ "Fn::GetAtt": ["Api", "ApiEndpoint"] }));
    let env = environment(&with_environment(&serde_json::Value::Object(variables), &more));
    assert_eq!(env["V_Table"], "t");
    assert_eq!(env["V_Queue"], "https://sqs.us-east-1.amazonaws.com/000000000000/q");
    assert_eq!(env["V_Role"], "r");
    assert!(env["V_Bucket"].starts_with("app-bucket-"), "{}", env["V_Bucket"]);
    assert_eq!(env["V_Api"].len(), 10);
    assert_eq!(env["V_Stage"], "live");
    assert!(
        env["V_Secret"]
            .starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:app-Secret-")
    );
    assert_eq!(env["V_Alias"], "arn:aws:lambda:us-east-1:000000000000:function:other:blue");
    assert_eq!(env["V_Domain"], "ws.example.com");
    assert_eq!(env["A_Role"], "arn:aws:iam::000000000000:role/p/r");
    assert_eq!(env["A_Table"], "arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!(env["A_Api"], format!("wss://{}.execute-api.us-east-1.amazonaws.com", env["V_Api"]));
}

#[test]
fn each_type_has_the_attributes_that_its_documentation_lists() {
    let fn_arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let api = |more: serde_json::Value| {
        let mut properties = json!({ "ApiId": { "Ref": "Api" } });
        properties
            .as_object_mut()
            .expect("a map")
            .extend(more.as_object().cloned().unwrap_or_default());
        properties
    };
    let mut resources = serde_json::Map::new();
    let mut add = |id: &str, kind: &str, properties: serde_json::Value| {
        resources.insert(id.to_owned(), json!({ "Type": kind, "Properties": properties }));
    };
    add("Api", "AWS::ApiGatewayV2::Api", json!({ "ProtocolType": "WEBSOCKET", "Name": "a" }));
    add("Route", "AWS::ApiGatewayV2::Route", api(json!({ "RouteKey": "x" })));
    add(
        "Stage",
        "AWS::ApiGatewayV2::Stage",
        api(json!({ "StageName": "live", "AutoDeploy": true })),
    );
    add("Link", "AWS::ApiGatewayV2::VpcLink", json!({ "Name": "l" }));
    add("Domain", "AWS::ApiGatewayV2::DomainName", json!({ "DomainName": "ws.example.com" }));
    add("Version", "AWS::Lambda::Version", json!({ "FunctionName": "f" }));
    add(
        "Alias",
        "AWS::Lambda::Alias",
        json!({ "FunctionName": fn_arn, "Name": "live", "FunctionVersion": "1" }),
    );
    add("Url", "AWS::Lambda::Url", json!({ "TargetFunctionArn": "f", "AuthType": "NONE" }));
    add("Table", "AWS::DynamoDB::Table", table()["Properties"].clone());
    add("Role", "AWS::IAM::Role", json!({ "RoleName": "r", "Path": "/p/" }));
    add("User", "AWS::IAM::User", json!({ "UserName": "u" }));
    add(
        "Policy",
        "AWS::IAM::ManagedPolicy",
        json!({ "ManagedPolicyName": "p", "PolicyDocument": {} }),
    );
    add("Group", "AWS::Logs::LogGroup", json!({ "LogGroupName": "/g" }));
    add("Bucket", "AWS::S3::Bucket", json!({ "BucketName": "b" }));
    add("Queue", "AWS::SQS::Queue", json!({ "QueueName": "q" }));
    add("Topic", "AWS::SNS::Topic", json!({ "TopicName": "t" }));
    add("Rule", "AWS::Events::Rule", json!({ "Name": "e" }));
    add("Stream", "AWS::Kinesis::Stream", json!({ "Name": "k" }));
    add("Key", "AWS::KMS::Key", json!({}));
    add("Machine", "AWS::StepFunctions::StateMachine", json!({ "StateMachineName": "m" }));
    add("Stored", "AWS::SSM::Parameter", json!({ "Name": "/p", "Type": "String", "Value": "v" }));
    add("Secret", "AWS::SecretsManager::Secret", json!({ "Name": "s", "SecretString": "x" }));
    add("Pool", "AWS::Cognito::UserPool", json!({}));
    add("Made", "Custom::Mine", json!({ "ServiceToken": "x" }));
    let aws =
        |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:000000000000:{rest}");
    let expected: Vec<(&str, &str, String)> = vec![
        ("Stage", "", "live".to_owned()),
        ("Domain", "", "ws.example.com".to_owned()),
        ("Version", "", format!("{fn_arn}:1")),
        ("Version", "Version", "1".to_owned()),
        ("Version", "FunctionArn", format!("{fn_arn}:1")),
        ("Alias", "", format!("{fn_arn}:live")),
        ("Alias", "AliasArn", format!("{fn_arn}:live")),
        ("Url", "FunctionArn", fn_arn.to_owned()),
        ("Table", "Arn", aws("dynamodb", "table/t")),
        ("Role", "Arn", "arn:aws:iam::000000000000:role/p/r".to_owned()),
        ("User", "Arn", "arn:aws:iam::000000000000:user/u".to_owned()),
        ("Policy", "", "arn:aws:iam::000000000000:policy/p".to_owned()),
        ("Policy", "PolicyArn", "arn:aws:iam::000000000000:policy/p".to_owned()),
        ("Group", "Arn", aws("logs", "log-group:/g:*")),
        ("Bucket", "Arn", "arn:aws:s3:::b".to_owned()),
        ("Bucket", "DomainName", "b.s3.amazonaws.com".to_owned()),
        ("Bucket", "RegionalDomainName", "b.s3.us-east-1.amazonaws.com".to_owned()),
        ("Bucket", "DualStackDomainName", "b.s3.dualstack.us-east-1.amazonaws.com".to_owned()),
        ("Bucket", "WebsiteURL", "http://b.s3-website-us-east-1.amazonaws.com".to_owned()),
        ("Queue", "Arn", aws("sqs", "q")),
        ("Queue", "QueueName", "q".to_owned()),
        ("Queue", "QueueUrl", "https://sqs.us-east-1.amazonaws.com/000000000000/q".to_owned()),
        ("Topic", "", aws("sns", "t")),
        ("Topic", "TopicName", "t".to_owned()),
        ("Rule", "Arn", aws("events", "rule/e")),
        ("Stream", "Arn", aws("kinesis", "stream/k")),
        ("Machine", "", aws("states", "stateMachine:m")),
        ("Stored", "", "/p".to_owned()),
        ("Stored", "Value", "v".to_owned()),
        ("Stored", "Type", "String".to_owned()),
        ("Secret", "Id", aws("secretsmanager", "secret:s")),
        ("Made", "Anything", "Made.Anything".to_owned()),
    ];
    let outputs: serde_json::Map<String, serde_json::Value> = expected
        .iter()
        .map(|(id, attribute, _)| {
            let value = match *attribute {
                "" => json!({ "Ref": id }),
                attribute => json!({ "Fn::GetAtt": [id, attribute] }),
            };
            (format!("{id}{attribute}Of"), json!({ "Value": value }))
        })
        .collect();
    let mut outputs = outputs;
    for (name, id, attribute) in [
        ("Key", "Key", "Arn"),
        ("Api", "Api", "ApiEndpoint"),
        ("Route", "Route", "RouteId"),
        ("Link", "Link", "VpcLinkId"),
        ("Url", "Url", "FunctionUrl"),
        ("Regional", "Domain", "RegionalDomainName"),
    ] {
        outputs.insert(name.to_owned(), json!({ "Value": { "Fn::GetAtt": [id, attribute] } }));
    }
    let loaded = loaded(&json!({ "Resources": resources, "Outputs": outputs }));
    let value = |key: &str| {
        let outputs = loaded.app.stacks.iter().flat_map(|stack| &stack.outputs);
        outputs
            .filter(|output| output.key == key)
            .map(|output| output.value.clone())
            .next()
            .expect("an output")
    };
    for (id, attribute, expected) in expected {
        assert_eq!(value(&format!("{id}{attribute}Of")), expected, "{id}.{attribute}");
    }
    assert!(
        value("Key").starts_with("arn:aws:kms:us-east-1:000000000000:key/")
            && value("Key").len() == 75
    );
    assert!(
        value("Api").starts_with("wss://")
            && value("Api").ends_with(".execute-api.us-east-1.amazonaws.com")
    );
    assert_eq!((value("Route").len(), value("Link").len()), (7, 7));
    assert!(value("Url").ends_with(".lambda-url.us-east-1.on.aws/"));
    assert!(
        value("Regional").starts_with("d-")
            && value("Regional").ends_with(".execute-api.us-east-1.amazonaws.com")
    );
    // A type that is not known gives the same made-up value at every start.
    assert_eq!(row(&loaded, "Pool").action, stillwire_deploy::Action::NotRun);
}

#[test]
fn texts_are_joined_split_selected_substituted_and_encoded() {
    let env = environment(&with_environment(
        &json!({
            "JOIN": { "Fn::Join": ["-", ["a", 1, true, { "Ref": "AWS::Region" }]] },
            "SUB": { "Fn::Sub": ["${AWS::StackName}:${!literal}:${Arn}", { "Arn": { "Fn::GetAtt": ["Table", "Arn"] } }] },
            "SUB2": { "Fn::Sub": "${Table}/${Table.Arn}" },
            "PART": { "Fn::Select": ["1", { "Fn::Split": [",", "a,b,,c"] }] },
            "EMPTY": { "Fn::Select": [2, { "Fn::Split": [",", "a,b,,c"] }] },
            "BASE64": { "Fn::Base64": "hello" },
            "ZONE": { "Fn::Select": [0, { "Fn::GetAZs": "" }] },
            "CIDR": { "Fn::Join": [" ", { "Fn::Cidr": ["10.0.0.0/16", 2, 8] }] },
            "JSON": { "Fn::ToJsonString": { "a": [1, { "Ref": "Table" }] } },
            "LENGTH": { "Fn::Length": ["a", "b"] },
        }),
        &json!({ "Table": table() }),
    ));
    assert_eq!(env["JOIN"], "a-1-true-us-east-1");
    assert_eq!(env["SUB"], "app:${literal}:arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!(env["SUB2"], "t/arn:aws:dynamodb:us-east-1:000000000000:table/t");
    assert_eq!((env["PART"].as_str(), env["EMPTY"].as_str()), ("b", ""));
    assert_eq!(env["BASE64"], "aGVsbG8=");
    assert_eq!(env["ZONE"], "us-east-1a");
    assert_eq!(env["CIDR"], "10.0.0.0/24 10.0.1.0/24");
    assert_eq!(env["JSON"], r#"{"a":[1,"t"]}"#);
    assert_eq!(env["LENGTH"], "2");
}

#[test]
fn conditions_and_parameters_decide_what_there_is() {
    let mut template = with_environment(
        &json!({ "LEVEL": { "Fn::If": ["Verbose", "debug", "info"] },
            "GONE": { "Fn::If": ["Verbose", "x", { "Ref": "AWS::NoValue" }] } }),
        &json!({ "Extra": { "Type": "AWS::Foo::Bar", "Condition": "Verbose" } }),
    );
    template["Parameters"] = json!({ "LogLevel": {
        "Type": "String", "Default": "INFO", "AllowedValues": ["INFO", "DEBUG"] } });
    template["Conditions"] = json!({
        "Verbose": { "Fn::Or": [{ "Condition": "Debug" }, { "Fn::Equals": ["a", "b"] }] },
        "Debug": { "Fn::Equals": [{ "Ref": "LogLevel" }, "DEBUG"] } });
    template["Outputs"] = json!({ "OnlyVerbose": { "Value": "yes", "Condition": "Verbose" } });
    let quiet = loaded(&template);
    assert_eq!(environment_of(&quiet), BTreeMap::from([("LEVEL".to_owned(), "info".to_owned())]));
    assert!(quiet.app.stacks[0].outputs.is_empty());
    assert_eq!(row(&quiet, "Extra").note, "its condition does not hold");
    let verbose = try_load(&template, &[("LogLevel", "DEBUG")]).expect("it loads");
    assert_eq!(environment_of(&verbose)["LEVEL"], "debug");
    assert_eq!(verbose.app.stacks[0].outputs[0].key, "OnlyVerbose");
    let loud = try_load(&template, &[("LogLevel", "LOUD")]).expect_err("refused").to_string();
    assert!(loud.contains("the parameter LogLevel is LOUD; it may be INFO, DEBUG"), "{loud}");
    let typo = try_load(&template, &[("LogLvl", "x")]).expect_err("refused").to_string();
    assert!(typo.contains("no template has a parameter LogLvl"), "{typo}");
}

#[test]
fn the_bootstrap_version_needs_no_value_and_rules_are_not_evaluated() {
    let mut template =
        with_environment(&json!({ "V1": { "Ref": "BootstrapVersion" } }), &json!({}));
    template["Parameters"] = json!({ "BootstrapVersion": { "Type": "AWS::SSM::Parameter::Value<String>",
        "Default": "/cdk-bootstrap/hnb659fds/version", "Description": "[cdk:skip]" } });
    template["Rules"] =
        json!({ "Check": { "Assertions": [{ "Assert": { "Fn::Contains": [["1"], "x"] } }] } });
    let loaded = loaded(&template);
    assert!(environment_of(&loaded)["V1"].parse::<u32>().expect("a number") > 100);
    assert_eq!(loaded.notices, []);
}

#[test]
fn parameters_from_the_parameter_store_read_what_the_app_declares() {
    let mut template = with_environment(
        &json!({ "MOTD": { "Ref": "Motd" }, "LIST": { "Fn::Select": [1, { "Ref": "Names" }] } }),
        &json!({ "Entry": { "Type": "AWS::SSM::Parameter", "Properties": {
            "Name": "/app/motd", "Type": "String", "Value": { "Fn::Join": [" ", ["be", "kind"]] } } } }),
    );
    template["Parameters"] = json!({
        "Motd": { "Type": "AWS::SSM::Parameter::Value<String>", "Default": "/app/motd" },
        "Names": { "Type": "CommaDelimitedList", "Default": "a, b" } });
    let env = environment(&template);
    assert_eq!((env["MOTD"].as_str(), env["LIST"].as_str()), ("be kind", "b"));
}

#[test]
fn mappings_are_looked_up_and_a_missing_key_is_named() {
    let mut template = with_environment(
        &json!({ "RATE": { "Fn::FindInMap": ["Limits", { "Ref": "AWS::Region" }, "rate"] } }),
        &json!({}),
    );
    template["Mappings"] = json!({ "Limits": { "us-east-1": { "rate": "50" } } });
    assert_eq!(environment(&template)["RATE"], "50");
    template["Mappings"] = json!({ "Limits": { "eu-west-1": { "rate": "5" } } });
    let text = error(&template);
    assert!(text.contains("the mapping Limits has no value for us-east-1 and rate"), "{text}");
}

#[test]
fn no_value_removes_a_property_a_list_element_and_a_whole_map() {
    let mut template = with_environment(
        &json!({ "N1": { "Fn::Join": [",", ["a", { "Ref": "AWS::NoValue" }, "b"]] } }),
        &json!({}),
    );
    assert_eq!(environment(&template)["N1"], "a,b");
    template["Resources"]["Fn"]["Properties"]["Environment"] = json!({ "Ref": "AWS::NoValue" });
    template["Resources"]["Fn"]["Properties"]["MemorySize"] = json!({ "Ref": "AWS::NoValue" });
    let loaded = loaded(&template);
    let function = loaded.app.functions().next().expect("a function");
    assert_eq!((function.environment.len(), function.memory_mb), (0, 128));
}

#[test]
fn a_secret_that_is_not_here_is_empty_and_named() {
    let loaded = loaded(&with_environment(
        &json!({ "PASSWORD": "{{resolve:secretsmanager:sink/password:SecretString:::}}" }),
        &json!({}),
    ));
    assert_eq!(environment_of(&loaded)["PASSWORD"], "");
    let [notice] = loaded.notices.as_slice() else { panic!("one notice: {:?}", loaded.notices) };
    assert!(notice.text.contains("secretsmanager:sink/password"), "{}", notice.text);
}

#[test]
fn an_unknown_name_is_told_with_file_place_property_and_the_likely_one() {
    let text = error(&with_environment(
        &json!({ "TABLE": { "Ref": "Tabel" } }),
        &json!({ "Table": table() }),
    ));
    assert!(text.starts_with("error: no resource or parameter is named Tabel\n  --> "), "{text}");
    assert!(text.contains("app.json:"), "{text}");
    assert!(text.contains("(app / Fn, Properties.Environment.Variables.TABLE)"), "{text}");
    assert!(text.ends_with("hint: did you mean Table?"), "{text}");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = error(&with_environment(
        &json!({ "A1": { "Ref": "Nope" }, "B1": { "Fn::GetAtt": ["Nada", "Arn"] }, "C1": { "Fn::Frob": 1 },
            "D1": { "Fn::Select": [9, ["a"]] }, "E1": { "Fn::Sub": "${Nix}" } }),
        &json!({ "Other": { "Type": "AWS::Foo::Bar", "DependsOn": "Missing" } }),
    ));
    for part in [
        "named Nope",
        "named Nada",
        "Fn::Frob",
        "element 9 of 1",
        "named Nix",
        "Missing, which is not",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("error: ").count(), 6, "{text}");
}

#[test]
fn values_that_need_each_other_are_told_with_their_path() {
    let entry = |other: &str| {
        json!({ "Type": "AWS::SSM::Parameter", "Properties": {
        "Type": "String", "Value": { "Fn::GetAtt": [other, "Value"] } } })
    };
    let text = error(&json!({ "Resources": { "A": entry("B"), "B": entry("A") } }));
    assert!(text.contains("need each other: B.Value -> A.Value -> B.Value"), "{text}");
    let text = error(&json!({ "Resources": {
        "A": { "Type": "AWS::Foo::Bar", "DependsOn": "B" }, "B": { "Type": "AWS::Foo::Bar", "DependsOn": ["A"] } } }));
    assert!(text.contains("depend on each other: A -> B -> A"), "{text}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn splitting_undoes_joining(pieces in prop::collection::vec("[a-z0-9 ]{0,6}", 1..6)) {
            let template = with_environment(&json!({ "N1": { "Fn::Join": ["|", { "Fn::Split": [
                ",", { "Fn::Join": [",", pieces] }] }] } }), &json!({}));
            prop_assert_eq!(&environment(&template)["N1"], &pieces.join("|"));
        }

        #[test]
        fn any_function_call_gives_a_value_or_a_problem(name in "(Ref|Fn::[A-Z][a-zA-Z]{1,12}|Fn::(Join|Sub|Select|If|GetAtt|Cidr|Split))",
            argument in "\\PC{0,12}", nested in any::<bool>()) {
            let argument = if nested { json!([argument, [argument]]) } else { json!(argument) };
            let template = with_environment(&json!({ "N1": { name: argument } }), &json!({}));
            match try_load(&template, &[]) {
                Ok(_) => {}
                Err(problems) => prop_assert!(problems.iter().all(|one| one.location.logical_id.is_some())),
            }
        }
    }
}

#[test]
fn tags_and_protection_of_tables_are_read_where_each_type_has_them() {
    let table = |kind: &str, more: serde_json::Value| {
        let mut properties = json!({
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] });
        for (name, value) in more.as_object().expect("members") {
            properties[name] = value.clone();
        }
        json!({ "Type": kind, "Properties": properties })
    };
    let own = json!({ "DeletionProtectionEnabled": true,
        "Tags": [{ "Key": "team", "Value": { "Ref": "AWS::StackName" } }, { "Key": "level", "Value": 3 }] });
    let mut here = own.clone();
    here["Region"] = json!({ "Ref": "AWS::Region" });
    let there = json!({ "Region": "ap-south-1", "Tags": [{ "Key": "team", "Value": "far" }] });
    let loaded = loaded(&with_environment(
        &json!({}),
        &json!({
            "One": table("AWS::DynamoDB::Table", own),
            "Global": table("AWS::DynamoDB::GlobalTable", json!({ "Replicas": [there, here] })),
            "Plain": table("AWS::DynamoDB::Table", json!({})),
        }),
    ));
    let expected = json!([{ "Key": "team", "Value": "app" }, { "Key": "level", "Value": "3" }]);
    for table in loaded.app.tables() {
        let is_plain = &*table.logical_id == "Plain";
        let tags = table.definition.get("Tags");
        assert_eq!(tags, (!is_plain).then_some(&expected), "{}", table.logical_id);
        let protected = table.definition.get("DeletionProtectionEnabled");
        assert_eq!(protected.is_some(), !is_plain, "{}", table.logical_id);
    }
    assert_eq!(loaded.app.tables().count(), 3);
}
