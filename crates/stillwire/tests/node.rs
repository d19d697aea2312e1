//! A chat in JavaScript with the AWS SDK that Lambda carries: tables, `@connections` and an authorizer, in both kinds of
//! modules.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use serde_json::{Value, json};
use stillwire_testkit::{App, Client, Stillwire};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stillwire");

const AUTHORIZER: &str = "
exports.handler = async (event) => {
  const [name, secret] = (event.headers.Authorization || '').replace(/^Bearer /, '').split(':');
  if (secret !== 'sesame') throw new Error('Unauthorized');
  const statement = { Action: 'execute-api:Invoke', Effect: 'Allow', Resource: event.methodArn };
  return { principalId: name, policyDocument: { Version: '2012-10-17', Statement: [statement] }, context: { name } };
};
";

const PEOPLE: &str = "
const { DeleteItemCommand, DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb');
const TableName = process.env.TABLE;
const db = new DynamoDBClient({});
exports.handler = async ({ requestContext: { connectionId, eventType, authorizer } }) => {
  const connection = { connection: { S: connectionId } };
  await db.send(
    eventType === 'CONNECT'
      ? new PutItemCommand({ TableName, Item: { ...connection, name: { S: authorizer.name } } })
      : new DeleteItemCommand({ TableName, Key: connection }),
  );
  return { statusCode: 200 };
};
";

const CHAT: &str = "
import { ApiGatewayManagementApiClient, GoneException, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
const TableName = process.env.TABLE;
const db = new DynamoDBClient({});
const endpoints = {
  variable: () => undefined,
  domain: ({ domainName, stage }) => `https://${domainName}/${stage}`,
  literal: ({ apiId, stage }) => `https://${apiId}.execute-api.${process.env.AWS_REGION}.amazonaws.com/${stage}`,
};
export const handler = async (event) => {
  const { requestContext } = event;
  const { message, way } = JSON.parse(event.body);
  const gateway = new ApiGatewayManagementApiClient({ endpoint: endpoints[way](requestContext) });
  const { Items } = await db.send(new ScanCommand({ TableName }));
  const Data = JSON.stringify({ from: requestContext.authorizer.name, message });
  await Promise.all(Items.map(async (item) => {
    try {
      await gateway.send(new PostToConnectionCommand({ ConnectionId: item.connection.S, Data }));
    } catch (error) {
      if (!(error instanceof GoneException)) throw error;
    }
  }));
  return { statusCode: 200 };
};
";

const REACH: &str = "
exports.handler = async (event) => {
  const response = await fetch('https://s3.us-east-1.amazonaws.com/bucket');
  return { statusCode: 200, body: JSON.stringify({ status: response.status, text: await response.text() }) };
};
";

fn app() -> App {
    let properties = json!({
        "Runtime": "nodejs22.x", "MemorySize": 512,
        "Environment": { "Variables": { "TABLE": { "Ref": "Table" } } },
    });
    let table = json!({ "Type": "AWS::DynamoDB::Table", "Properties": {
        "AttributeDefinitions": [{ "AttributeName": "connection", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "connection", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST" } });
    App::new()
        .resource("Table", table)
        .function_with("authorizer", AUTHORIZER, &properties)
        .function_with("people", PEOPLE, &properties)
        .function_with("chat", CHAT, &properties)
        .function_with("reach", REACH, &properties)
        .authorized_connect("people", "authorizer")
        .route("$disconnect", "people")
        .route("chat", "chat")
        .two_way_route("reach", "reach")
}

fn join(stillwire: &Stillwire, who: &str) -> Client {
    stillwire.try_connect("test", &[("Authorization", &format!("Bearer {who}"))]).expect("accepted")
}

#[test]
fn a_chat_in_javascript_runs_unchanged_and_is_live_after_a_save() {
    let app = app();
    let stillwire = Stillwire::dev(PROGRAM, &app.template());
    let refused = stillwire.try_connect("test", &[("Authorization", "Bearer eve:guess")]);
    assert!(refused.is_err());
    let (mut ada, mut bob) = (join(&stillwire, "ada:sesame"), join(&stillwire, "bob:sesame"));
    for way in ["variable", "domain", "literal"] {
        ada.send(&json!({ "action": "chat", "message": "hi", "way": way }).to_string());
        for client in [&mut ada, &mut bob] {
            assert_eq!(client.json(), json!({ "from": "ada", "message": "hi" }), "{way}");
        }
    }
    let file = app.file("chat", "chat.mjs");
    let edited = CHAT.replace("name, message }", "name, message: message.toUpperCase() }");
    assert_ne!(edited, CHAT);
    std::fs::write(file, edited).expect("saved");
    bob.send(&json!({ "action": "chat", "message": "hi", "way": "variable" }).to_string());
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.json(), json!({ "from": "bob", "message": "HI" }));
    }
    let reached: Value = ada.ask(r#"{"action":"reach"}"#);
    assert!(reached["status"].as_u64().is_some_and(|status| status >= 400), "{reached}");
    assert!(
        reached["text"]
            .as_str()
            .is_some_and(|text| text.contains("Stillwire") || text.contains("stillwire")),
        "{reached}"
    );
}
