"""What the services beside CloudFormation say to tools. Prints all as JSON."""

import json
import sys
from datetime import datetime, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, WHAT = sys.argv[1:3]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}
)


def client(service, key="999999999999", secret="x", token=None):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"max_attempts": 1}),
    )


def refusal(operation, **arguments):
    try:
        operation(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return [code, error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return "ok"


def make():
    seen = {}
    sts = client("sts")
    who = sts.get_caller_identity()
    seen["identity"] = [who["Account"], ":assumed-role/stillwire/" in who["Arn"]]
    role = "arn:aws:iam::111111111111:role/cdk-hnb659fds-deploy-role-111111111111-us-east-1"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="deploy")["Credentials"]
    later = keys["Expiration"] > datetime.now(timezone.utc)
    seen["assumed"] = [keys["AccessKeyId"][4:16], len(keys["AccessKeyId"]), later]
    other = client("sts", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    seen["assumed identity"] = other.get_caller_identity()["Account"]
    bad = "arn:aws:iam::x:role/some-long-enough-name"
    seen["bad role"] = refusal(sts.assume_role, RoleArn=bad, RoleSessionName="deploy")

    ssm = client("ssm")
    version = lambda name: ssm.get_parameter(Name=name)["Parameter"]["Value"]
    seen["bootstrap"] = [version("/cdk-bootstrap/hnb659fds/version"), version("/cdk-bootstrap/mine/version")]
    ssm.put_parameter(Name="/app/a", Value="one", Type="String")
    ssm.put_parameter(Name="/app/a", Value="two", Overwrite=True)
    ssm.put_parameter(Name="/app/b", Value="b", Type="String")
    found = ssm.get_parameter(Name="/app/a")["Parameter"]
    seen["parameter"] = [found["Value"], found["Version"]]
    seen["first"] = ssm.get_parameter(Name="/app/a:1")["Parameter"]["Value"]
    below = ssm.get_parameters_by_path(Path="/app")["Parameters"]
    seen["by path"] = [one["Name"] for one in below]
    seen["no parameter"] = refusal(ssm.get_parameter, Name="/none")
    seen["exists"] = refusal(ssm.put_parameter, Name="/app/a", Value="x", Type="String")
    elsewhere = client("ssm", "111111111111")
    seen["other account"] = refusal(elsewhere.get_parameter, Name="/app/a")

    iam = client("iam")
    iam.create_role(RoleName="runner", Path="/app/", AssumeRolePolicyDocument=TRUST)
    role = iam.get_role(RoleName="runner")["Role"]
    trusted = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
    seen["role"] = [role["Arn"], trusted, role["MaxSessionDuration"]]
    iam.put_role_policy(RoleName="runner", PolicyName="p", PolicyDocument=POLICY)
    inline = iam.get_role_policy(RoleName="runner", PolicyName="p")["PolicyDocument"]
    seen["inline"] = [one["Action"] for one in inline["Statement"]]
    own = iam.create_policy(PolicyName="own", PolicyDocument=POLICY)["Policy"]["Arn"]
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    for arn in (managed, own):
        iam.attach_role_policy(RoleName="runner", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="runner")["AttachedPolicies"]
    seen["attached"] = [one["PolicyName"] for one in attached]
    seen["conflict"] = refusal(iam.delete_role, RoleName="runner")
    seen["gone"] = refusal(iam.get_role, RoleName="nobody")

    logs = client("logs")
    logs.create_log_group(logGroupName="/aws/own", tags={"k": "v"})
    logs.put_retention_policy(logGroupName="/aws/own", retentionInDays=7)
    group = logs.describe_log_groups(logGroupNamePrefix="/aws/own")["logGroups"][0]
    tags = logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"]
    seen["group"] = [group["logGroupName"], group["retentionInDays"], tags]
    seen["twice"] = refusal(logs.create_log_group, logGroupName="/aws/own")
    seen["no group"] = refusal(logs.filter_log_events, logGroupName="/none")

    ecr = client("ecr")
    seen["repositories"] = ecr.describe_repositories()["repositories"]
    seen["image"] = refusal(ecr.describe_repositories, repositoryNames=["cdk-x"])
    return seen


def look():
    groups = client("logs").describe_log_groups()["logGroups"]
    return {
        "parameter": client("ssm").get_parameter(Name="/app/a")["Parameter"]["Value"],
        "role": client("iam").get_role(RoleName="runner")["Role"]["RoleName"],
        "group": groups[0]["logGroupName"],
    }


print(json.dumps({"make": make, "look": look}[WHAT]()))
