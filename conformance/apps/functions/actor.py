"""Does what its client asks for, and records what it got.

The wish is JSON: in the header `X-Do` of a handshake, under `do` in a message, or in the reason of a close frame.

    {"sleep": 1}            sleeps so many seconds
    {"calls": ["post", …]}  calls @connections for its own connection, and records the outcomes
    {"record": …}           records this, after it has slept
    {"raise": "text"}       fails
    {"return": …}           returns this; otherwise a proxy response with the event's own body
"""

import json
import os
import time

from recorder import record


def handler(event, context):
    record(event)
    wish = wish_of(event)
    time.sleep(wish.get("sleep", 0))
    if "calls" in wish:
        outcomes = [call(name, event["requestContext"]) for name in wish["calls"]]
        record({"outcomes": outcomes, "connectionId": event["requestContext"]["connectionId"]})
    if "record" in wish:
        record(wish["record"])
    if "raise" in wish:
        raise Exception(wish["raise"])
    return wish.get("return", {"statusCode": 200, "body": event.get("body", "")})


def wish_of(event):
    context = event.get("requestContext", {})
    if context.get("eventType") == "CONNECT":
        return json.loads(event["headers"].get("X-Do", "{}"))
    try:
        text = event["body"] if "body" in event else context["disconnectReason"]
        wish = json.loads(text)
        return wish["do"] if "body" in event else wish
    except (ValueError, KeyError, TypeError):
        return {}


def call(name, request):
    """Calls @connections: `post`, `get`, `delete`, or `post` in one of the ways in which handlers find it."""
    import boto3

    name, _, way = name.partition(" ")
    url = {
        "": f"https://{request['domainName']}/{request['stage']}",
        "mapped": f"https://{request['domainName']}/v1",
        "variable": os.environ.get("API_URL", "").replace("wss://", "https://", 1),
        "nowhere": None,
    }[way]
    gateway = boto3.client("apigatewaymanagementapi", endpoint_url=url)
    data = {"Data": f"by {way}"} if name == "post" else {}
    try:
        answer = getattr(gateway, f"{name}_connection" if name != "post" else "post_to_connection")(
            ConnectionId=request["connectionId"], **data)
        return answer["ResponseMetadata"]["HTTPStatusCode"]
    except gateway.exceptions.ClientError as error:
        return type(error).__name__
