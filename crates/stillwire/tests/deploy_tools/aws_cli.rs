//! The AWS CLI.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, tools};

use crate::support::{House, run};

const TABLE: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Description: a table
Parameters:
  Name: { Type: String, Default: plain }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${Name}-table"
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
Outputs:
  Arn:
    Value: !GetAtt Table.Arn
    Export: { Name: table-arn }
"#;

const IMPORTER: &str = r"
Resources:
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: { Type: String, Value: !ImportValue table-arn }
";

fn deploy(house: &House, file: &str, stack: &str, more: &[&str]) -> crate::support::Done {
    let arguments = ["cloudformation", "deploy", "--template-file", file, "--stack-name", stack];
    let all: Vec<&str> = arguments.iter().chain(more).copied().collect();
    house.aws(house.home(), &all)
}

fn tables(house: &House) -> Value {
    house.ask(&["dynamodb", "list-tables", "--query", "TableNames"])
}

fn status(house: &House, stack: &str) -> Value {
    house.ask(&["cloudformation", "describe-stacks", "--stack-name", stack])["Stacks"][0].clone()
}

#[test]
fn a_plain_template_makes_its_table() {
    let house = House::new();
    fs::write(house.home().join("t.yaml"), TABLE).unwrap();
    fs::write(house.home().join("i.yaml"), IMPORTER).unwrap();
    deploy(&house, "t.yaml", "plain", &["--tags", "team=chat"])
        .well()
        .wrote("Successfully created");
    assert_eq!(tables(&house), json!(["plain-table"]));
    let stack = status(&house, "plain");
    assert_eq!(stack["StackStatus"], "CREATE_COMPLETE");
    assert_eq!(stack["Description"], "a table");
    assert_eq!(stack["Parameters"], json!([{ "ParameterKey": "Name", "ParameterValue": "plain" }]));
    assert_eq!(stack["Tags"], json!([{ "Key": "team", "Value": "chat" }]));
    // Tags that are not said again would be taken away.
    let again = ["--tags", "team=chat", "--no-fail-on-empty-changeset"];
    deploy(&house, "t.yaml", "plain", &again).well().wrote("No changes to deploy");

    // What somebody imports is neither changed nor deleted under them.
    deploy(&house, "i.yaml", "user", &[]).well();
    let imports = house.ask(&["cloudformation", "list-imports", "--export-name", "table-arn"]);
    assert_eq!(imports["Imports"], json!(["user"]));
    let refused = deploy(&house, "t.yaml", "plain", &["--parameter-overrides", "Name=other"]);
    assert_ne!(refused.code, Some(0), "{}", refused.text);
    assert_eq!(status(&house, "plain")["StackStatus"], "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(tables(&house), json!(["plain-table"]));
    house.ask(&["cloudformation", "delete-stack", "--stack-name", "user"]);
    house.ask(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", "user"]);

    deploy(&house, "t.yaml", "plain", &["--parameter-overrides", "Name=other"]).well();
    assert_eq!(status(&house, "plain")["Tags"], json!([]));
    assert_eq!(tables(&house), json!(["other-table"]));
    house.ask(&["cloudformation", "delete-stack", "--stack-name", "plain"]);
    house.ask(&["cloudformation", "wait", "stack-delete-complete", "--stack-name", "plain"]);
    assert_eq!(tables(&house), json!([]));
}

#[test]
fn change_sets_are_made_shown_and_thrown_away() {
    let house = House::new();
    fs::write(house.home().join("t.yaml"), TABLE).unwrap();
    let create = [
        "cloudformation",
        "create-change-set",
        "--stack-name",
        "s",
        "--change-set-name",
        "c",
        "--change-set-type",
        "CREATE",
        "--template-body",
        "file://t.yaml",
    ];
    let made = house.ask(&create);
    let describe =
        ["cloudformation", "describe-change-set", "--stack-name", "s", "--change-set-name", "c"];
    let shown = house.ask(&describe);
    assert_eq!(shown["ChangeSetId"], made["Id"]);
    let change = &shown["Changes"][0]["ResourceChange"];
    assert_eq!((&change["Action"], &change["LogicalResourceId"]), (&json!("Add"), &json!("Table")));
    assert_eq!(status(&house, "s")["StackStatus"], "REVIEW_IN_PROGRESS");
    assert_eq!(tables(&house), json!([]));
    house.ask(&[
        "cloudformation",
        "delete-change-set",
        "--stack-name",
        "s",
        "--change-set-name",
        "c",
    ]);
    let gone = house.aws(house.home(), &describe);
    assert!(gone.text.contains("(ChangeSetNotFound)"), "{}", gone.text);
    house.ask(&["cloudformation", "delete-stack", "--stack-name", "s"]);
    let gone = house.aws(house.home(), &["cloudformation", "describe-stacks", "--stack-name", "s"]);
    assert!(gone.text.contains("does not exist"), "{}", gone.text);
}

#[test]
fn an_app_that_is_run_from_its_source_takes_deployments_beside_it() {
    let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "own-table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] } });
    let code = "def handler(event, context):\n    return {\"statusCode\": 200, \"body\": \"hi\"}\n";
    let app =
        App::new().function("all", code).two_way_route("$default", "all").resource("Own", table);
    let house = House::beside(&app.template());
    let mut client = Client::open(&house.url("test"), &[]).unwrap();
    // The app is at home in an account of its own, which the deployment goes to as well.
    let account = &house.stillwire().ready()["tables"][0]["arn"];
    let account = account.as_str().unwrap().split(':').nth(4).unwrap().to_owned();
    let in_account = |arguments: &[&str]| {
        let mut command = house.tool(tools::aws_command(), house.home());
        command.env("AWS_ACCESS_KEY_ID", &account).args(arguments);
        run(command)
    };
    fs::write(house.home().join("t.yaml"), TABLE).unwrap();
    let deploy = ["cloudformation", "deploy", "--template-file", "t.yaml", "--stack-name", "plain"];
    in_account(&deploy).well();
    client.send("{}");
    assert_eq!(client.text(), "hi", "the app's own clients stay");
    let tables = in_account(&["dynamodb", "list-tables"]).well();
    assert!(
        tables.stdout.contains("own-table") && tables.stdout.contains("plain-table"),
        "{}",
        tables.text
    );
    // What the app has already is not taken from it.
    let taken: Vec<&str> =
        deploy.iter().chain(&["--parameter-overrides", "Name=own"]).copied().collect();
    let refused = in_account(&taken);
    assert_ne!(refused.code, Some(0), "{}", refused.text);
    let tables = in_account(&["dynamodb", "list-tables"]).well();
    assert!(tables.stdout.contains("plain-table"), "it is as it was: {}", tables.text);
}

/// A function that is called by the Lambda API, of code in a bucket.
const CODE_IN_A_BUCKET: &str = "
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: { AssumeRolePolicyDocument: {} }
  Says:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: says
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Code: { S3Bucket: code, S3Key: code.zip }
";

#[test]
fn a_stack_stays_what_it_was_made_of_when_its_code_is_written_over() {
    let mut house = House::new();
    let folder = house.home().to_owned();
    let upload = |house: &House, said: &str| {
        let code = format!("def handler(event, context):\n    return '{said}'\n");
        fs::write(folder.join("index.py"), code).unwrap();
        let mut zip = Command::new("python3");
        zip.current_dir(&folder).args(["-m", "zipfile", "-c", "code.zip", "index.py"]);
        run(zip).well();
        let put = ["s3api", "put-object", "--bucket", "code", "--key", "code.zip", "--body"];
        house.ask(&[put.as_slice(), &[folder.join("code.zip").to_str().unwrap()]].concat());
    };
    let says = |house: &House, function: &str| {
        house.ask(&["lambda", "invoke", "--function-name", function, "said.json"]);
        fs::read_to_string(folder.join("said.json")).unwrap()
    };
    fs::write(folder.join("says.yaml"), CODE_IN_A_BUCKET).unwrap();
    fs::write(folder.join("other.yaml"), CODE_IN_A_BUCKET.replace("says", "other")).unwrap();
    house.ask(&["s3api", "create-bucket", "--bucket", "code"]);
    upload(&house, "one");
    deploy(&house, "says.yaml", "says", &["--capabilities", "CAPABILITY_IAM"]).well();
    assert_eq!(says(&house, "says"), "\"one\"");
    // Written over, it is of no stack that was there before, whatever else is deployed or begins again.
    upload(&house, "two");
    deploy(&house, "other.yaml", "other", &["--capabilities", "CAPABILITY_IAM"]).well();
    assert_eq!(says(&house, "says"), "\"one\"");
    house.restart();
    assert_eq!(says(&house, "says"), "\"one\"");
    assert_eq!(says(&house, "other"), "\"two\"");
}
