"""The management API as boto3 uses it, over https with the local authority and over http.

Usage: management.py READY_FILE_CONTENT ID CASE. Prints one line of JSON: what each call gave.
"""

import datetime
import json
import sys

import boto3
from botocore.exceptions import ClientError

ready, connection_id, case = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
[api] = ready["apis"]


def client(url, **more):
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        verify=ready["ca"],
        **more,
    )


def outcome(call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [type(error).__name__, status, error.response["Error"]["Message"]]
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def post(gateway, id_=connection_id, data=b"x"):
    return outcome(gateway.post_to_connection, ConnectionId=id_, Data=data)


if case == "live":
    seen = {}
    for scheme in ("https", "http"):
        gateway = client(api[scheme])
        seen[scheme] = post(gateway, data=f"by {scheme} é".encode())
    seen["slash"] = post(client(api["https"] + "/"), data="a str")
    seen["empty"] = post(gateway, data=b"")
    seen["most"] = post(gateway, data=b"x" * 131_072)
    seen["too much"] = post(gateway, data=b"x" * 131_073)
    seen["no text"] = post(gateway, data=b"\xff")
    seen["unknown"] = post(gateway, "AAAAAAAAAAAAAAA=")
    seen["malformed"] = post(gateway, "abc")
    wrong = client(api["http"].rsplit("/", 1)[0] + "/nope")
    seen["wrong stage"] = post(wrong)
    got = gateway.get_connection(ConnectionId=connection_id)
    seen["datetimes"] = [
        isinstance(got[name], datetime.datetime) for name in ("ConnectedAt", "LastActiveAt")
    ]
    seen["order"] = got["ConnectedAt"] <= got["LastActiveAt"]
    seen["identity"] = got["Identity"]
else:
    gateway = client(api["https"])
    seen = {
        "delete": outcome(gateway.delete_connection, ConnectionId=connection_id),
        "again": outcome(gateway.delete_connection, ConnectionId=connection_id),
        "get": outcome(gateway.get_connection, ConnectionId=connection_id),
        "post": post(gateway),
    }
print(json.dumps(seen))
