"""An authorizer that decides what its client asks for, and records what it got.

The wish is JSON in the header `X-Gate`: `{"raise": "text"}`, `{"exit": 3}`, or members of the result. `effect` and `resource` are those
of its one statement; in `resource`, `API` stands for the API's ARN.
"""

import json
import os

from recorder import record


def handler(event, context):
    record(event)
    wish = json.loads(event["headers"].get("X-Gate", "{}"))
    if "raise" in wish:
        raise Exception(wish["raise"])
    if "exit" in wish:
        os._exit(wish["exit"])
    api = event["methodArn"].split("/")[0]
    resource = wish.pop("resource", event["methodArn"]).replace("API", api)
    statements = [{"Action": "execute-api:Invoke", "Effect": wish.pop("effect", "Allow"), "Resource": resource}]
    if "deny" in wish:
        denied = wish.pop("deny").replace("API", api)
        statements.append({"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": denied})
    result = {"principalId": "ada", "policyDocument": {"Version": "2012-10-17", "Statement": statements}, **wish}
    return {name: value for name, value in result.items() if value is not None}
