//! What the roles of functions allow them to do to tables, where that is enforced.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

/// Calls DynamoDB as its message says, and tells the client by `@connections` that it did.
const CODE: &str = r#"
import boto3, json
from botocore.exceptions import ClientError
db = boto3.client("dynamodb")

def handler(event, context):
    asked = json.loads(event["body"])
    try:
        if asked["call"] == "who":
            said = boto3.client("sts").get_caller_identity()["Arn"]
        else:
            getattr(db, asked["call"])(**asked["with"])
            said = "done"
    except ClientError as error:
        said = [error.response["Error"]["Code"], error.response["Error"]["Message"]]
    about = event["requestContext"]
    url = "https://" + about["domainName"] + "/" + about["stage"]
    boto3.client("apigatewaymanagementapi", endpoint_url=url).post_to_connection(
        ConnectionId=about["connectionId"], Data=json.dumps(said))
    return {"statusCode": 200}
"#;

const SETTINGS: &str = "
[management]
signatures = \"verify\"
[tables]
signatures = \"verify\"
enforce-iam = true
";

const ROOMS: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/rooms";
const OTHER: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/other";

/// What the CDK makes of `grant_read_data`.
const READ: [&str; 8] = [
    "dynamodb:BatchGetItem",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:Query",
    "dynamodb:GetItem",
    "dynamodb:Scan",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DescribeTable",
];

fn role(more: &Value) -> Value {
    let mut properties = json!({ "AssumeRolePolicyDocument": { "Statement": [{ "Effect": "Allow",
        "Action": "sts:AssumeRole", "Principal": { "Service": "lambda.amazonaws.com" } }] } });
    for (name, value) in more.as_object().into_iter().flatten() {
        properties[name] = value.clone();
    }
    json!({ "Type": "AWS::IAM::Role", "Properties": properties })
}

fn app() -> App {
    let with_role = |role: &str| json!({ "Role": { "Fn::GetAtt": [role, "Arn"] } });
    let mut reader = with_role("ReaderRole");
    reader["FunctionName"] = json!("reads");
    let table = json!({ "Fn::GetAtt": ["Rooms", "Arn"] });
    let index = json!({ "Fn::Join": ["", [table, "/index/*"]] });
    App::new()
        .function_with("reader", CODE, &reader)
        .function_with("owner", CODE, &with_role("OwnerRole"))
        .function("stranger", CODE)
        .route("read", "reader")
        .route("own", "owner")
        .route("stranger", "stranger")
        .resource(
            "ReaderRole",
            role(&json!({ "RoleName": "reader-role", "ManagedPolicyArns": [
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"] })),
        )
        .resource(
            "ReaderPolicy",
            json!({ "Type": "AWS::IAM::Policy", "Properties": {
            "PolicyName": "read", "Roles": [{ "Ref": "ReaderRole" }],
            "PolicyDocument": { "Version": "2012-10-17", "Statement": [
                { "Effect": "Allow", "Action": READ, "Resource": [table, index] }] } } }),
        )
        .resource(
            "OwnerRole",
            role(&json!({
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess"],
            "Policies": [{ "PolicyName": "no", "PolicyDocument": { "Statement": {
                "Effect": "Deny", "Action": "dynamodb:DeleteTable", "Resource": "*" } } }] })),
        )
        .resource(
            "Rooms",
            json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "rooms", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } }),
        )
}

fn start(app: &App, settings: &str) -> Stillwire {
    let template = app.template();
    std::fs::write(template.with_file_name("stillwire.toml"), settings).expect("a file");
    Stillwire::dev(PROGRAM, &template)
}

/// What a call by the function behind a route comes to.
fn call(client: &mut Client, route: &str, name: &str, arguments: &Value) -> Value {
    client.ask(&json!({ "action": route, "call": name, "with": arguments }).to_string())
}

#[test]
fn a_function_may_do_to_tables_what_its_role_allows_and_no_more() {
    let app = app();
    let stillwire = start(&app, SETTINGS);
    let mut client = stillwire.connect();
    let (key, item) = (json!({ "id": { "S": "a" } }), json!({ "id": { "S": "a" } }));
    let put = json!({ "TableName": "rooms", "Item": item });
    assert_eq!(call(&mut client, "own", "put_item", &put), "done");
    for (name, arguments) in [
        ("get_item", json!({ "TableName": "rooms", "Key": key })),
        ("scan", json!({ "TableName": "rooms" })),
        ("batch_get_item", json!({ "RequestItems": { "rooms": { "Keys": [key] } } })),
        ("describe_table", json!({ "TableName": "rooms" })),
    ] {
        assert_eq!(call(&mut client, "read", name, &arguments), "done", "{name}");
    }

    for (name, action, resource, arguments) in [
        ("put_item", "PutItem", ROOMS, put.clone()),
        ("get_item", "GetItem", OTHER, json!({ "TableName": "other", "Key": key })),
        (
            "transact_write_items",
            "PutItem",
            ROOMS,
            json!({ "TransactItems": [{ "Put": { "TableName": "rooms", "Item": item } }] }),
        ),
        (
            "execute_statement",
            "PartiQLSelect",
            ROOMS,
            json!({ "Statement": "SELECT * FROM \"rooms\"" }),
        ),
    ] {
        let message = format!(
            "User: arn:aws:sts::000000000000:assumed-role/reader-role/reads is not authorized to perform: \
             dynamodb:{action} on resource: {resource} because no identity-based policy allows the \
             dynamodb:{action} action"
        );
        let said = call(&mut client, "read", name, &arguments);
        assert_eq!(said, json!(["AccessDeniedException", message]), "{name}");
    }

    let denied = call(&mut client, "own", "delete_table", &json!({ "TableName": "rooms" }));
    let message = denied[1].as_str().unwrap_or_default();
    assert!(message.ends_with("with an explicit deny in an identity-based policy"), "{denied}");

    let arn = call(&mut client, "read", "who", &json!({}));
    assert_eq!(arn, "arn:aws:sts::000000000000:assumed-role/reader-role/reads");

    // A role that the app does not declare says nothing that could be enforced.
    stillwire.wait_for_log("its role is not part of the app");
    assert_eq!(call(&mut client, "stranger", "put_item", &put), "done");
}

#[test]
fn a_role_may_be_for_the_items_and_attributes_that_its_conditions_name() {
    let own = json!({ "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
        "Resource": { "Fn::GetAtt": ["Rooms", "Arn"] }, "Condition": {
            "ForAllValues:StringEquals": {
                "dynamodb:LeadingKeys": ["lobby"], "dynamodb:Attributes": ["id", "topic"] },
            "StringEqualsIfExists": { "dynamodb:Select": "SPECIFIC_ATTRIBUTES" } } });
    let unknown = json!({ "Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "*",
        "Condition": { "IpAddress": { "aws:SourceIp": "127.0.0.1/32" } } });
    let mut app = app();
    for (name, statement) in [("Own", own), ("Unknown", unknown)] {
        app = app.resource(
            &format!("{name}Policy"),
            json!({ "Type": "AWS::IAM::Policy", "Properties": {
                "PolicyName": name, "Roles": [{ "Ref": "StrangerRole" }],
                "PolicyDocument": { "Statement": statement } } }),
        );
    }
    let with_role = json!({ "Role": { "Fn::GetAtt": ["StrangerRole", "Arn"] } });
    let app = app
        .resource("StrangerRole", role(&json!({})))
        .function_with("narrow", CODE, &with_role)
        .route("narrow", "narrow");
    let stillwire = start(&app, SETTINGS);
    let mut client = stillwire.connect();
    let item = |id: &str, more: &str| json!({ "TableName": "rooms", "Item": { "id": { "S": id }, more: { "S": "x" } } });
    let get = |projection: &str| json!({ "TableName": "rooms", "Key": { "id": { "S": "lobby" } }, "ProjectionExpression": projection });
    let query = |id: &str| {
        json!({ "TableName": "rooms", "KeyConditionExpression": "id = :id", "ProjectionExpression": "topic",
            "ExpressionAttributeValues": { ":id": { "S": id } } })
    };
    for (name, arguments, allowed) in [
        ("put_item", item("lobby", "topic"), true),
        ("put_item", item("cellar", "topic"), false),
        ("put_item", item("lobby", "secret"), false),
        ("get_item", get("topic"), true),
        ("get_item", get("secret"), false),
        ("get_item", json!({ "TableName": "rooms", "Key": { "id": { "S": "lobby" } } }), false),
        ("query", query("lobby"), true),
        ("query", query("cellar"), false),
        ("scan", json!({ "TableName": "rooms" }), false),
    ] {
        let said = call(&mut client, "narrow", name, &arguments);
        assert_eq!(said == "done", allowed, "{name} {arguments}: {said}");
    }
    stillwire.wait_for_log("IpAddress aws:SourceIp");
    assert!(stillwire.log().contains("this condition is not evaluated here"));
}

#[test]
fn a_role_may_be_for_the_items_that_statements_name() {
    let own = json!({ "Effect": "Allow", "Action": "dynamodb:PartiQL*",
        "Resource": { "Fn::GetAtt": ["Rooms", "Arn"] },
        "Condition": { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["lobby", "attic"] } } });
    let policies = json!([{ "PolicyName": "own", "PolicyDocument": { "Statement": own } }]);
    let with_role = json!({ "Role": { "Fn::GetAtt": ["StatesRole", "Arn"] } });
    let app = app()
        .resource("StatesRole", role(&json!({ "Policies": policies })))
        .function_with("states", CODE, &with_role)
        .route("state", "states");
    let stillwire = start(&app, SETTINGS);
    let mut client = stillwire.connect();
    for id in ["lobby", "cellar"] {
        let item = json!({ "id": { "S": id }, "n": { "N": "1" } });
        let put = json!({ "TableName": "rooms", "Item": item });
        assert_eq!(call(&mut client, "own", "put_item", &put), "done");
    }
    for (statement, parameters, allowed) in [
        ("SELECT * FROM rooms WHERE id = 'lobby'", vec![], true),
        ("SELECT * FROM \"rooms\" WHERE n > 0 AND (id = ?)", vec!["lobby"], true),
        ("SELECT * FROM rooms WHERE id IN ['lobby', ?]", vec!["attic"], true),
        ("SELECT * FROM rooms WHERE id IN ['lobby', ?]", vec!["cellar"], false),
        ("SELECT * FROM rooms WHERE id = ?", vec!["cellar"], false),
        ("SELECT * FROM rooms WHERE id = 'lobby' OR n = 1", vec![], false),
        ("SELECT * FROM rooms /* WHERE id = 'lobby' */", vec![], false),
        ("SELECT * FROM rooms", vec![], false),
        ("INSERT INTO rooms VALUE {'id': 'attic', 'n': 1}", vec![], true),
        ("INSERT INTO rooms VALUE {'n': 'lobby', 'id': ?}", vec!["roof"], false),
        ("UPDATE rooms SET topic = ? WHERE id = ?", vec!["cellar", "lobby"], true),
        ("UPDATE rooms SET topic = ? WHERE id = ?", vec!["lobby", "cellar"], false),
        ("DELETE FROM rooms WHERE id = 'cellar'", vec![], false),
        ("DELETE FROM rooms WHERE id = 'attic'", vec![], true),
    ] {
        let mut asked = json!({ "Statement": statement });
        if !parameters.is_empty() {
            let typed = |text: &&str| json!({ "S": text });
            asked["Parameters"] = parameters.iter().map(typed).collect();
        }
        let batch = json!({ "Statements": [asked] });
        let said = call(&mut client, "state", "execute_statement", &asked);
        assert_eq!(said == "done", allowed, "{asked}: {said}");
        if !allowed {
            assert_eq!(said[0], "AccessDeniedException", "{asked}: {said}");
            let said = call(&mut client, "state", "batch_execute_statement", &batch);
            assert_eq!(said[0], "AccessDeniedException", "{batch}: {said}");
        }
    }
    let said = call(
        &mut client,
        "state",
        "execute_transaction",
        &json!({ "TransactStatements": [
        { "Statement": "UPDATE rooms SET n = 2 WHERE id = 'lobby'" },
        { "Statement": "UPDATE rooms SET n = 2 WHERE id = 'cellar'" }] }),
    );
    assert_eq!(said[0], "AccessDeniedException", "{said}");
}

/// States what nobody would, by chance, and tells what it was allowed to and which items it then got.
const STATES: &str = r#"
import boto3, json, random
from botocore.config import Config
from botocore.exceptions import ClientError
db = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
PARTS = ["id = 'lobby'", "id = 'cellar'", "'attic' = id", "id IN ['lobby', 'attic']", "id IN ('cellar', 'lobby')", "n > 0",
    "n BETWEEN 0 AND 5", "n BETWEEN 0 AND id", "id BETWEEN 'a' AND 'z'", "id <> 'x'", '"id" = \'lobby\'', 'id = "lobby"',
    "x.id = 'lobby'", "id IS NOT MISSING", "begins_with(id, 'c')", "contains(id, 'id = ''lobby')", "attribute_exists(id)",
    "id = id", "n = 1 -- AND id = 'lobby'\n", "n = 1 /* OR */", "id >= 'lobby'", "NOT id = 'lobby'", "size(id) > 1"]

def condition(dice, depth):
    what = dice.random()
    if depth == 0 or what < 0.3:
        return dice.choice(PARTS)
    if what < 0.4:
        return "NOT (" + condition(dice, depth - 1) + ")"
    one, other = condition(dice, depth - 1), condition(dice, depth - 1)
    both = one + dice.choice([" AND ", " and ", " AND ", " OR "]) + other
    return "(" + both + ")" if dice.random() < 0.4 else both

def handler(event, context):
    dice, allowed, got, refused = random.Random(int(event["body"].split()[1])), 0, {}, 0
    for _ in range(600):
        text = "SELECT * FROM rooms WHERE " + condition(dice, 3)
        try:
            found = db.execute_statement(Statement=text)["Items"]
        except ClientError as error:
            refused += error.response["Error"]["Code"] == "AccessDeniedException"
            continue
        allowed += 1
        for item in found:
            got[item["id"]["S"]] = text
    return {"statusCode": 200, "body": json.dumps({"allowed": allowed, "refused": refused, "got": got})}
"#;

#[test]
fn no_statement_gives_an_item_that_its_role_is_not_for() {
    let own = json!({ "Effect": "Allow", "Action": "dynamodb:PartiQLSelect",
        "Resource": { "Fn::GetAtt": ["Rooms", "Arn"] },
        "Condition": { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["lobby", "attic"] } } });
    let policies = json!([{ "PolicyName": "own", "PolicyDocument": { "Statement": own } }]);
    let more = json!({ "Role": { "Fn::GetAtt": ["StatesRole", "Arn"] }, "Timeout": 60 });
    let app = app()
        .resource("StatesRole", role(&json!({ "Policies": policies })))
        .function_with("states", STATES, &more)
        .two_way_route("$default", "states");
    let stillwire = start(&app, SETTINGS);
    let mut client = stillwire.connect();
    for id in ["lobby", "attic", "cellar", "roof"] {
        let item = json!({ "id": { "S": id }, "n": { "N": "1" } });
        let put = json!({ "TableName": "rooms", "Item": item });
        assert_eq!(call(&mut client, "own", "put_item", &put), "done");
    }
    for seed in 0..3 {
        let said = client.ask(&format!("seed {seed}"));
        let mut got: Vec<&String> = said["got"].as_object().expect("items").keys().collect();
        got.sort();
        assert_eq!(got, ["attic", "lobby"], "{said}");
        let many = |what: &str| said[what].as_u64() > Some(20);
        assert!(many("allowed") && many("refused"), "{said}");
    }
}

#[test]
fn without_a_word_roles_are_not_enforced() {
    let app = app();
    let stillwire = start(&app, "");
    let put = json!({ "TableName": "rooms", "Item": { "id": { "S": "a" } } });
    assert_eq!(call(&mut stillwire.connect(), "read", "put_item", &put), "done");
}

#[test]
fn who_keeps_the_tables_enforces_the_roles() {
    let app = app();
    let template = app.template();
    let settings =
        "[tables]\nmode = \"external\"\nendpoint = \"http://localhost:9\"\nenforce-iam = true\n";
    std::fs::write(template.with_file_name("stillwire.toml"), settings).expect("a file");
    let mut command = Stillwire::command(PROGRAM);
    command.args(["dev", "--in-memory", "--port", "0"]).arg(&template);
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("enforce-iam is for tables that are kept here"), "{said}");
}
