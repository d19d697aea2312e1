"""Calls functions, makes and changes them through the Lambda API, as boto3 does.

Usage: lambda.py READY_FILE_CONTENT CASE. Prints one line of JSON: what each step gave.
"""

import base64
import io
import json
import sys
import time
import zipfile

import boto3
from botocore.config import Config

import outcomes

ready, case = json.loads(sys.argv[1]), sys.argv[2]
client = boto3.client(
    "lambda",
    endpoint_url=ready["aws_endpoint"],
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    config=Config(retries={"total_max_attempts": 1}),
)
arns = {function["logical_id"]: function["arn"] for function in ready["functions"]}
names = {function["logical_id"]: function["name"] for function in ready["functions"]}
ROLE = "arn:aws:iam::123456789012:role/any"
seen = {}


def outcome(call, **arguments):
    """The same without the functions' ARNs, which differ from run to run."""
    said = outcomes.outcome(call, **arguments)
    if isinstance(said, list):
        for arn in arns.values():
            said[2] = said[2].replace(arn, "ARN")
    return said


def invoke(function, event=None, **more):
    payload = {} if event is None else {"Payload": json.dumps(event)}
    answer = client.invoke(FunctionName=function, **payload, **more)
    text = answer["Payload"].read().decode()
    return answer, json.loads(text) if text else None


def read(function, event):
    """What a function has kept. It runs alone, so it may be busy."""

    def ask():
        try:
            return [invoke(function, event)[1]]
        except client.exceptions.TooManyRequestsException:
            return None

    return until(ask)[0]


def told(text):
    """The records that the destination was told with this text in them."""

    def look():
        found = [record for record in read(names["told"], {"read": True}) if text in json.dumps(record)]
        return found or None

    return until(look)


def archive(code, name="app.py"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(name), code)
    return buffer.getvalue()


def answers(text):
    return archive("def handler(event, context):\n    return [%r, context.function_version]\n" % text)


def until(what):
    """Waits for a state."""
    for _ in range(1000):
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise RuntimeError("waited in vain")


def case_invoke():
    echo = names["echo"]
    answer, result = invoke(echo, {"a": 1})
    seen["answer"] = [answer["StatusCode"], answer["ExecutedVersion"], answer.get("FunctionError"), result]
    seen["no payload"] = invoke(echo)[1]
    for form in (arns["echo"], arns["echo"].split(":", 4)[4], echo + ":$LATEST"):
        seen.setdefault("names", []).append(invoke(form, 1)[1])
    seen["event"] = client.invoke(FunctionName=echo, InvocationType="Event", Payload="{}")["StatusCode"]
    seen["dry run"] = client.invoke(FunctionName=echo, InvocationType="DryRun")["StatusCode"]
    seen["async"] = client.invoke_async(FunctionName=echo, InvokeArgs=b"{}")["Status"]
    answer, result = invoke(names["fails"], {"say": "boom é"})
    trace = result.pop("stackTrace")
    same = result.pop("requestId") == answer["ResponseMetadata"]["RequestId"]
    seen["error"] = [answer["StatusCode"], answer["FunctionError"], result, len(trace), same]
    context = base64.b64encode(json.dumps({"custom": {"k": "é"}, "env": {}}).encode()).decode()
    answer, result = invoke(names["about"], {}, ClientContext=context, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    seen["client context"] = result[:2]
    traces = [(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"], result[2])]
    given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    add = lambda params, **_: params["headers"].update({"X-Amzn-Trace-Id": given})
    client.meta.events.register("before-call.lambda.Invoke", add)
    answer, result = invoke(names["about"], {})
    client.meta.events.unregister("before-call.lambda.Invoke", add)
    traces.append((answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"], result[2]))
    own, told = traces
    seen["trace"] = [told[0], told[0] == told[1], own[0] == own[1] and own[0].startswith("Root=1-") and own != told]
    seen["tail"] = [line.split(" ")[0] for line in log.splitlines()]
    answer, _ = invoke(names["chatty"], {}, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    seen["long tail"] = [len(log), log.splitlines()[-1].split(" ")[0]]


def case_stream():
    def events(**arguments):
        answer = client.invoke_with_response_stream(**arguments)
        return [answer["StatusCode"], answer["ExecutedVersion"], list(answer["EventStream"])]

    status, version, parts = events(FunctionName=names["echo"], Payload=b'{"a": 1}', LogType="Tail")
    chunk = parts[0]["PayloadChunk"]["Payload"].decode()
    complete = parts[1]["InvokeComplete"]
    log = base64.b64decode(complete["LogResult"]).decode()
    seen["answer"] = [status, version, len(parts), chunk, sorted(complete), "REPORT" in log]
    _, _, parts = events(FunctionName=names["fails"], Payload=b'{"say": "boom"}')
    complete = parts[-1]["InvokeComplete"]
    seen["error"] = [len(parts), complete["ErrorCode"], json.loads(complete["ErrorDetails"])["errorMessage"]]


def case_refusals():
    echo = names["echo"]
    seen["unknown"] = outcome(client.invoke, FunctionName="nobody")
    seen["unknown version"] = outcome(client.invoke, FunctionName=echo, Qualifier="7")
    seen["two qualifiers"] = outcome(client.invoke, FunctionName=echo + ":1", Qualifier="2")
    seen["not json"] = outcome(client.invoke, FunctionName=echo, Payload=b"{")[:2]
    seen["too large"] = outcome(client.invoke, FunctionName=echo, Payload=b'"' + b"x" * 6291456 + b'"')
    seen["event too large"] = outcome(
        client.invoke, FunctionName=echo, InvocationType="Event", Payload=b'"' + b"x" * 1048575 + b'"'
    )
    seen["context"] = outcome(client.invoke, FunctionName=echo, ClientContext="no")
    seen["layers"] = outcome(client.publish_layer_version, LayerName="layer", Content={"ZipFile": b""})
    try:
        client.invoke(FunctionName="nobody")
    except client.exceptions.ResourceNotFoundException as error:
        seen["class"] = [error.response["Type"], error.response["Message"]]
    try:
        client.invoke(FunctionName=names["none"])
    except client.exceptions.TooManyRequestsException as error:
        seen["throttled"] = [error.response["Reason"], error.response["retryAfterSeconds"]]


def case_events():
    """Events of a function that fails: how often it runs, and who is told."""
    client.invoke(FunctionName=names["flaky"], InvocationType="Event", Payload=b'{"id": "bad", "fail": true}')
    [record] = told('"bad"')
    context = record["requestContext"]
    seen["failure"] = [
        record["version"], context["condition"], context["approximateInvokeCount"],
        context["functionArn"] == arns["flaky"] + ":$LATEST", record["requestPayload"],
        record["responseContext"], record["responsePayload"]["errorMessage"],
    ]
    runs = read(names["flaky"], {"read": "bad"})
    seen["runs"] = [len(runs), len(set(runs)), runs[0] == context["requestId"]]
    client.invoke(FunctionName=names["flaky"], InvocationType="Event", Payload=b'{"id": "good"}')
    [record] = told('"good"')
    seen["success"] = [record["requestContext"]["condition"], record["responseContext"], record["responsePayload"]]
    client.put_function_event_invoke_config(
        FunctionName=names["flaky"], MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arns["told"]}},
    )
    client.invoke(FunctionName=names["flaky"], InvocationType="Event", Payload=b'{"id": "once", "fail": true}')
    [record] = told('"once"')
    seen["once"] = record["requestContext"]["approximateInvokeCount"]
    settings = client.get_function_event_invoke_config(FunctionName=names["flaky"])
    seen["settings"] = settings["MaximumRetryAttempts"]
    client.delete_function_event_invoke_config(FunctionName=names["flaky"])
    seen["no settings"] = outcome(client.get_function_event_invoke_config, FunctionName=names["flaky"])[:2]


def case_later():
    [record] = told('"later"')
    context = record["requestContext"]
    seen["failure"] = [context["condition"], context["approximateInvokeCount"]]


def case_call():
    seen["called"] = invoke(names["caller"], {"a": 1})[1]


def case_read():
    everything = [function["FunctionName"] for function in client.list_functions()["Functions"]]
    seen["all"] = sorted(everything) == sorted(names.values())
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    paged = [function["FunctionName"] for page in pages for function in page["Functions"]]
    seen["pages"] = paged == everything
    answer = client.get_function(FunctionName=names["versioned"])
    configuration = answer["Configuration"]
    seen["function"] = {
        name: configuration[name]
        for name in ("Runtime", "Handler", "Timeout", "MemorySize", "Version", "State", "LastUpdateStatus", "Environment", "Description")
    }
    seen["arn"] = configuration["FunctionArn"] == arns["versioned"]
    seen["sha"] = [len(configuration["CodeSha256"]), configuration["CodeSize"] > 0]
    seen["tags"] = [answer["Tags"], client.list_tags(Resource=arns["versioned"])["Tags"]]
    client.get_waiter("function_active_v2").wait(FunctionName=names["versioned"])
    client.get_waiter("function_updated_v2").wait(FunctionName=names["versioned"])
    versions = client.list_versions_by_function(FunctionName=names["versioned"])["Versions"]
    seen["versions"] = [version["Version"] for version in versions]
    aliases = client.list_aliases(FunctionName=names["versioned"])["Aliases"]
    seen["aliases"] = [[alias["Name"], alias["FunctionVersion"]] for alias in aliases]
    seen["alias"] = client.get_alias(FunctionName=names["versioned"], Name="live")["AliasArn"] == arns["versioned"] + ":live"
    policy = json.loads(client.get_policy(FunctionName=names["versioned"])["Policy"])
    [statement] = policy["Statement"]
    seen["policy"] = [statement["Effect"], statement["Principal"], statement["Action"]]
    seen["no policy"] = outcome(client.get_policy, FunctionName=names["echo"])
    seen["concurrency"] = client.get_function_concurrency(FunctionName=names["none"])["ReservedConcurrentExecutions"]
    seen["by alias"] = []
    for qualifier in (None, "live", "1"):
        more = {"Qualifier": qualifier} if qualifier else {}
        answer, result = invoke(names["versioned"], {}, **more)
        seen["by alias"].append([answer["ExecutedVersion"], result])
    seen["nothing"] = [
        client.list_layers()["Layers"],
        client.list_event_source_mappings()["EventSourceMappings"],
        client.list_function_url_configs(FunctionName=names["echo"])["FunctionUrlConfigs"],
        outcome(client.get_function_url_config, FunctionName=names["echo"])[:2],
        client.get_function_code_signing_config(FunctionName=names["echo"])["FunctionName"] == names["echo"],
        client.get_function_recursion_config(FunctionName=names["echo"])["RecursiveLoop"],
    ]
    limits = client.get_account_settings()
    seen["account"] = [limits["AccountLimit"]["ConcurrentExecutions"], limits["AccountUsage"]["FunctionCount"] >= len(arns)]


def make(name, code, **more):
    return client.create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": code}, **more
    )


def case_make():
    made = make("made", answers("one"), Description="a test", Environment={"Variables": {"KEY": "value"}}, Tags={"a": "b"})
    seen["made"] = [made["ResponseMetadata"]["HTTPStatusCode"], made["State"], made["Version"], made["Description"], made["FunctionArn"].split(":")[-1]]
    client.get_waiter("function_active_v2").wait(FunctionName="made")
    seen["one"] = invoke("made")[1]
    seen["again"] = outcome(make, name="made", code=answers("one"))
    version = client.publish_version(FunctionName="made", CodeSha256=made["CodeSha256"])
    seen["published"] = [version["Version"], version["FunctionArn"].split(":")[-1]]
    seen["published again"] = client.publish_version(FunctionName="made")["Version"]
    updated = client.update_function_code(FunctionName="made", ZipFile=answers("two"))
    seen["updated"] = [updated["LastUpdateStatus"], updated["CodeSha256"] != made["CodeSha256"]]
    client.get_waiter("function_updated_v2").wait(FunctionName="made")
    seen["two"] = [invoke("made")[1], invoke("made", Qualifier="1")[1]]
    client.create_alias(FunctionName="made", Name="live", FunctionVersion="1")
    seen["live"] = invoke("made:live")[1]
    second = client.publish_version(FunctionName="made")["Version"]
    client.update_alias(FunctionName="made", Name="live", FunctionVersion=second)
    seen["live moved"] = invoke("made:live")[1]
    client.update_alias(
        FunctionName="made", Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {second: 1.0}},
    )
    seen["live shifted"] = invoke("made:live")[1]
    seen["version in use"] = outcome(client.delete_function, FunctionName="made", Qualifier="1")[:2]
    changed = client.update_function_configuration(FunctionName="made", Timeout=7, MemorySize=256, Description="changed")
    seen["changed"] = [changed["Timeout"], changed["MemorySize"], changed["Description"], changed["Environment"]["Variables"]]
    seen["outdated"] = outcome(client.update_function_configuration, FunctionName="made", Timeout=8, RevisionId="other")[:2]
    client.add_permission(FunctionName="made", StatementId="gate", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com")
    seen["twice"] = outcome(
        client.add_permission, FunctionName="made", StatementId="gate", Action="lambda:InvokeFunction", Principal="*"
    )[:2]
    client.remove_permission(FunctionName="made", StatementId="gate")
    seen["no statement"] = outcome(client.remove_permission, FunctionName="made", StatementId="gate")[:2]
    client.tag_resource(Resource=made["FunctionArn"], Tags={"c": "d"})
    client.untag_resource(Resource=made["FunctionArn"], TagKeys=["a"])
    seen["tags"] = client.list_tags(Resource=made["FunctionArn"])["Tags"]
    client.put_function_concurrency(FunctionName="made", ReservedConcurrentExecutions=0)
    seen["throttled"] = outcome(client.invoke, FunctionName="made")[:2]
    client.delete_function_concurrency(FunctionName="made")
    seen["not throttled"] = outcome(client.invoke, FunctionName="made")
    client.delete_alias(FunctionName="made", Name="live")
    client.delete_function(FunctionName="made")
    seen["gone"] = outcome(client.invoke, FunctionName="made")[:2]
    bad = dict(FunctionName="bad", Runtime="python3.12", Role=ROLE, Handler="app.handler", Code={"ZipFile": answers("x")})
    seen["runtime"] = outcome(client.create_function, **{**bad, "Runtime": "cobol85"})[:2]
    seen["node"] = outcome(client.create_function, **{**bad, "FunctionName": "script", "Runtime": "nodejs22.x"})
    seen["no zip"] = outcome(client.create_function, **{**bad, "Code": {"ZipFile": b"no archive"}})
    seen["s3"] = outcome(client.create_function, **{**bad, "Code": {"S3Bucket": "bucket", "S3Key": "key"}})[:2]
    seen["reserved"] = outcome(client.create_function, **bad, Environment={"Variables": {"AWS_REGION": "x"}})[:2]
    seen["memory"] = outcome(client.create_function, **bad, MemorySize=99999)[:2]


def case_keep():
    """Makes what is to survive a restart."""
    make("kept", answers("kept"), Publish=True)
    client.create_alias(FunctionName="kept", Name="live", FunctionVersion="1")
    client.update_function_configuration(FunctionName=names["echo"], Description="for now")
    seen["description"] = client.get_function_configuration(FunctionName=names["echo"])["Description"]


def case_kept():
    seen["kept"] = [invoke("kept")[1], invoke("kept:live")[1]]
    seen["description"] = client.get_function_configuration(FunctionName=names["echo"])["Description"]


globals()["case_" + case]()
print(json.dumps(seen))
