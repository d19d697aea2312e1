"""Calls what Terraform's AWS provider calls for the resources of `examples/terraform-chat`, in its order: to make them, to read
them again, to change them, and to destroy them. Talks to what was made in between.

Usage: terraform.py ENDPOINT FOLDER. Prints one line of JSON: what was seen.

Source: operations of terraform-provider-aws 5, by resource: aws_dynamodb_table, aws_iam_role, aws_iam_role_policy,
aws_iam_role_policy_attachment, aws_cloudwatch_log_group, aws_lambda_function, aws_lambda_permission, aws_apigatewayv2_*.
"""

import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import boto3
from websockets.sync.client import connect

from outcomes import outcome

FOLDER, NAME = Path(sys.argv[2]), "terraform-chat-dev"
services = ["dynamodb", "iam", "logs", "lambda", "apigatewayv2", "sts"]
dynamodb, iam, logs, functions, gateway, sts = (
    boto3.client(service, endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="999999999999",
                 aws_secret_access_key="x")
    for service in services
)
seen = {}


def archive(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo("chat.py", (1980, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


# The provider asks who it is, once.
account = sts.get_caller_identity()["Account"]

# aws_dynamodb_table
dynamodb.create_table(
    TableName=f"{NAME}-connections", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": "connection_id", "AttributeType": "S"}],
    KeySchema=[{"AttributeName": "connection_id", "KeyType": "HASH"}])
dynamodb.get_waiter("table_exists").wait(TableName=f"{NAME}-connections", WaiterConfig={"Delay": 1})
dynamodb.update_time_to_live(
    TableName=f"{NAME}-connections", TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": True})


def read_table():
    table = dynamodb.describe_table(TableName=f"{NAME}-connections")["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=table["TableName"])["ContinuousBackupsDescription"]
    expiry = dynamodb.describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return table["TableStatus"], recovery, expiry["AttributeName"], tags


# aws_iam_role, aws_iam_role_policy, aws_iam_role_policy_attachment
trust = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})
role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust, MaxSessionDuration=3600, Path="/")["Role"]
allowed = document({"Effect": "Allow", "Action": ["dynamodb:*", "execute-api:ManageConnections"], "Resource": "*"})
iam.put_role_policy(RoleName=NAME, PolicyName="terraform-1", PolicyDocument=allowed)
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
iam.attach_role_policy(RoleName=NAME, PolicyArn=BASIC)


def read_role():
    found = iam.get_role(RoleName=NAME)["Role"]
    inline = iam.list_role_policies(RoleName=NAME)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=NAME, PolicyName=name)["PolicyDocument"] for name in inline]
    attached = [policy["PolicyArn"] for policy in iam.list_attached_role_policies(RoleName=NAME)["AttachedPolicies"]]
    return found["Arn"], len(policies), attached


# aws_cloudwatch_log_group
logs.create_log_group(logGroupName=f"/aws/lambda/{NAME}")
logs.put_retention_policy(logGroupName=f"/aws/lambda/{NAME}", retentionInDays=7)


def read_group():
    [group] = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}")["logGroups"]
    arn = group["arn"].removesuffix(":*")
    return group["retentionInDays"], logs.list_tags_for_resource(resourceArn=arn)["tags"]


# aws_lambda_function
code = archive((FOLDER / "src/chat.py").read_text())
function = functions.create_function(
    FunctionName=NAME, Role=role["Arn"], Runtime="python3.12", Handler="chat.handler", Code={"ZipFile": code},
    MemorySize=256, Timeout=10, Publish=False, PackageType="Zip", Architectures=["x86_64"],
    EphemeralStorage={"Size": 512}, TracingConfig={"Mode": "PassThrough"},
    Environment={"Variables": {"CONNECTIONS_TABLE": f"{NAME}-connections"}})
functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})


def read_function():
    found = functions.get_function(FunctionName=NAME)
    versions = functions.list_versions_by_function(FunctionName=NAME)["Versions"]
    signing = functions.get_function_code_signing_config(FunctionName=NAME).get("CodeSigningConfigArn", "")
    reserved = functions.get_function_concurrency(FunctionName=NAME).get("ReservedConcurrentExecutions")
    configuration = found["Configuration"]
    digest = base64.b64encode(hashlib.sha256(code).digest()).decode()
    return configuration["MemorySize"], configuration["CodeSha256"] == digest, len(versions), signing, reserved


# aws_apigatewayv2_api, _integration, _route, _stage; aws_lambda_permission
api = gateway.create_api(
    Name=NAME, ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action",
    ApiKeySelectionExpression="$request.header.x-api-key", Tags={"made-by": "terraform"})
uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function['FunctionArn']}/invocations"
integration = gateway.create_integration(
    ApiId=api["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=uri, ContentHandlingStrategy="CONVERT_TO_TEXT",
    ConnectionType="INTERNET", PassthroughBehavior="WHEN_NO_MATCH", IntegrationMethod="POST")
routes = {
    key: gateway.create_route(
        ApiId=api["ApiId"], RouteKey=key, Target=f"integrations/{integration['IntegrationId']}",
        ApiKeyRequired=False, AuthorizationType="NONE")["RouteId"]
    for key in ["$connect", "$disconnect", "chat"]
}
gateway.create_stage(
    ApiId=api["ApiId"], StageName="dev", AutoDeploy=True,
    DefaultRouteSettings={"ThrottlingBurstLimit": 200, "ThrottlingRateLimit": 100.0})
source = f"arn:aws:execute-api:us-east-1:{account}:{api['ApiId']}/*/*"
functions.add_permission(
    FunctionName=NAME, StatementId="AllowExecutionFromApiGateway", Action="lambda:InvokeFunction",
    Principal="apigateway.amazonaws.com", SourceArn=source)


def read_api():
    found = gateway.get_api(ApiId=api["ApiId"])
    tags = gateway.get_tags(ResourceArn=f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}")["Tags"]
    kept = gateway.get_integration(ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"])
    keys = sorted(gateway.get_route(ApiId=api["ApiId"], RouteId=id)["RouteKey"] for id in routes.values())
    stage = gateway.get_stage(ApiId=api["ApiId"], StageName="dev")
    [statement] = json.loads(functions.get_policy(FunctionName=NAME)["Policy"])["Statement"]
    return found["Name"], tags, kept["IntegrationType"], keys, stage["AutoDeploy"], statement["Sid"]


def read():
    return [read_table(), read_role(), read_group(), read_function(), read_api()]


seen["made"] = read()
# A second plan reads the same, and so changes nothing.
seen["drift"] = read() != seen["made"]

url = gateway.get_api(ApiId=api["ApiId"])["ApiEndpoint"] + "/dev"
with connect(url) as socket:
    socket.send(json.dumps({"action": "chat", "message": "hi"}))
    seen["message"] = json.loads(socket.recv(60))
    # A change of code and settings, as `apply` makes it; who is connected stays.
    code = archive((FOLDER / "src/chat.py").read_text().replace('{"message": message}', '{"changed": message}'))
    functions.update_function_code(FunctionName=NAME, ZipFile=code, Publish=False, Architectures=["x86_64"])
    functions.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    functions.update_function_configuration(FunctionName=NAME, MemorySize=512)
    functions.get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    socket.send(json.dumps({"action": "chat", "message": "hi"}))
    seen["changed"] = json.loads(socket.recv(60))
seen["after"] = read_function()[:2]

# destroy
functions.remove_permission(FunctionName=NAME, StatementId="AllowExecutionFromApiGateway")
gateway.delete_stage(ApiId=api["ApiId"], StageName="dev")
for route in routes.values():
    gateway.delete_route(ApiId=api["ApiId"], RouteId=route)
gateway.delete_integration(ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"])
gateway.delete_api(ApiId=api["ApiId"])
functions.delete_function(FunctionName=NAME)
logs.delete_log_group(logGroupName=f"/aws/lambda/{NAME}")
iam.detach_role_policy(RoleName=NAME, PolicyArn=BASIC)
iam.delete_role_policy(RoleName=NAME, PolicyName="terraform-1")
seen["profiles"] = iam.list_instance_profiles_for_role(RoleName=NAME)["InstanceProfiles"]
iam.delete_role(RoleName=NAME)
dynamodb.delete_table(TableName=f"{NAME}-connections")
dynamodb.get_waiter("table_not_exists").wait(TableName=f"{NAME}-connections", WaiterConfig={"Delay": 1})
gone = [
    outcome(lambda: gateway.get_api(ApiId=api["ApiId"])),
    outcome(lambda: functions.get_function(FunctionName=NAME)),
    outcome(lambda: iam.get_role(RoleName=NAME)),
    outcome(lambda: dynamodb.describe_table(TableName=f"{NAME}-connections")),
]
seen["gone"] = [found[0] if isinstance(found, (list, tuple)) else found for found in gone]
print(json.dumps(seen))
