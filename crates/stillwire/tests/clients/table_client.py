"""What the cases about tables share: a client against a running program, tables of their own, and what is to be refused.

The first argument of the script is READY_FILE_CONTENT, the second its CASE.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ready, case = json.loads(sys.argv[1]), sys.argv[2]
ENDPOINT = ready["aws_endpoint"]
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
CONFIG = Config(retries={"total_max_attempts": 1})


def client(service="dynamodb", region="us-east-1", connections=10, unchecked=False, **keys):
    """One that may send what the SDK itself would not, where it is `unchecked`."""
    config = CONFIG.merge(Config(max_pool_connections=connections, parameter_validation=not unchecked))
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=region, config=config, **(keys or KEYS))


db = client()


def create(name, sort=None, **more):
    attributes = [{"AttributeName": "id", "AttributeType": "S"}]
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    if sort:
        attributes.append({"AttributeName": "sort", "AttributeType": sort})
        keys.append({"AttributeName": "sort", "KeyType": "RANGE"})
    attributes += more.pop("attributes", [])
    db.create_table(
        TableName=name,
        AttributeDefinitions=attributes,
        KeySchema=keys,
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    return boto3.resource("dynamodb", endpoint_url=ENDPOINT, region_name="us-east-1", config=CONFIG, **KEYS).Table(name)


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"not refused with {code}")
