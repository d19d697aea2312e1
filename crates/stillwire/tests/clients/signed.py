"""Signs as botocore does: signed.py presign URL KEY SECRET REGION, or signed.py delete ENDPOINT KEY SECRET REGION ID."""

import sys

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

what, url, key, secret, region, *rest = sys.argv[1:]
if what == "delete":
    client = boto3.client("apigatewaymanagementapi", endpoint_url=url, region_name=region,
                          aws_access_key_id=key, aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}))
    client.delete_connection(ConnectionId=rest[0])
    print("deleted")
else:
    request = AWSRequest("GET", url)
    SigV4QueryAuth(Credentials(key, secret), "execute-api", region, expires=60).add_auth(request)
    print(request.url)
