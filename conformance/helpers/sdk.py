"""boto3 on demand: a line of JSON asks, a line of JSON answers.

A request names `service`, `endpoint`, `ca`, `keys` and `region`, and either `call` with its parameters `with`, or `sign`:
a URL whose handshake is signed in its query, and by headers. Times are answered as `time 2026-01-31T12:00:00+00:00`.
"""

import base64
import datetime
import functools
import json
import sys

import boto3
from botocore import xform_name
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


@functools.cache
def client(service, endpoint, ca, access_key, secret, region):
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, verify=ca,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
        aws_access_key_id=access_key, aws_secret_access_key=secret)


def call(ask):
    to = client(ask["service"], ask["endpoint"], ask["ca"], *ask["keys"], ask["region"])
    try:
        gives = getattr(to, xform_name(ask["call"]))(**given(ask["with"]))
    except ClientError as error:
        said = error.response
        return {"fails": {
            "name": type(error).__name__, "code": said["Error"]["Code"], "message": said["Error"]["Message"],
            "status": said["ResponseMetadata"]["HTTPStatusCode"]}}
    return {"gives": {**gives, "status": gives.pop("ResponseMetadata")["HTTPStatusCode"]}}


def given(parameters):
    """A text is given as one; `{"base64": "eA=="}` as bytes."""
    def value(written):
        is_bytes = isinstance(written, dict) and written.keys() == {"base64"}
        return base64.b64decode(written["base64"]) if is_bytes else written
    return {name: value(written) for name, written in parameters.items()}


def sign(ask):
    credentials = Credentials(*ask["keys"])
    query, headers = AWSRequest("GET", ask["sign"]), AWSRequest("GET", ask["sign"])
    SigV4QueryAuth(credentials, "execute-api", ask["region"], expires=60).add_auth(query)
    SigV4Auth(credentials, "execute-api", ask["region"]).add_auth(headers)
    return {"query": query.url.partition("?")[2], "headers": dict(headers.headers.items())}


def plain(value):
    return f"time {value.isoformat()}" if isinstance(value, datetime.datetime) else str(value)


for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = sign(ask) if "sign" in ask else call(ask)
    except Exception as error:
        answer = {"fails": {"name": type(error).__name__, "message": str(error)}}
    print(json.dumps(answer, default=plain), flush=True)
