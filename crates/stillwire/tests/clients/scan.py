"""Prints the items of a table as JSON: ENDPOINT TABLE."""

import json
import sys

import boto3

endpoint, table = sys.argv[1:]
resource = boto3.resource(
    "dynamodb", endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id="test", aws_secret_access_key="test",
)
print(json.dumps(resource.Table(table).scan()["Items"], default=str))
