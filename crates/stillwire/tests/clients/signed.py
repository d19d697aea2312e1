"""Signs as botocore does: signed.py presign|header URL KEY SECRET REGION, or signed.py post|delete ENDPOINT KEY SECRET REGION ID."""

import sys

import boto3
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

what, url, key, secret, region, *rest = sys.argv[1:]
credentials = Credentials(key, secret)
if what in ("post", "delete"):
    client = boto3.client("apigatewaymanagementapi", endpoint_url=url, region_name=region,
                          aws_access_key_id=key, aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}))
    try:
        if what == "post":
            client.post_to_connection(ConnectionId=rest[0], Data=b"signed")
        else:
            client.delete_connection(ConnectionId=rest[0])
        print(what)
    except Exception as error:
        print(error.response["Error"]["Code"])
else:
    request = AWSRequest("GET", url)
    if what == "presign":
        SigV4QueryAuth(credentials, "execute-api", region, expires=60).add_auth(request)
        print(request.url)
    else:
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        for name, value in request.headers.items():
            print(f"{name}: {value}")
