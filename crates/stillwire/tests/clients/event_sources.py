"""Makes, reads, changes and removes event source mappings, as boto3 does.

Usage: event_sources.py READY_FILE_CONTENT CASE. Prints one line of JSON: what each step gave.
"""

import json
import sys
import time

import boto3
from botocore.config import Config

from outcomes import outcome

ready, case = json.loads(sys.argv[1]), sys.argv[2]
settings = dict(
    endpoint_url=ready["aws_endpoint"],
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    # Ranges are for the service to refuse.
    config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
)
client = boto3.client("lambda", **settings)
dynamodb = boto3.client("dynamodb", **settings)
arns = {function["logical_id"]: function["arn"] for function in ready["functions"]}
seen = {}


def eventually(look):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(look)


def stream():
    return dynamodb.describe_table(TableName="items")["Table"]["LatestStreamArn"]


def put(*numbers):
    for number in numbers:
        dynamodb.put_item(TableName="items", Item={"id": {"S": "a"}, "n": {"N": str(number)}})


def items(function):
    """The numbers that a function got so far. It runs alone, so it may be busy."""

    def ask():
        try:
            return [json.load(client.invoke(FunctionName=function, Payload=b'{"read": true}')["Payload"])]
        except client.exceptions.TooManyRequestsException:
            return None

    return eventually(ask)[0]


def until_state(uuid, state):
    eventually(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == state)


def make(function="one", **more):
    arguments = dict(EventSourceArn=stream(), FunctionName=function, StartingPosition="TRIM_HORIZON")
    return client.create_event_source_mapping(**{**arguments, **more})


def case_tags():
    made = make("two", Tags={"team": "chat", "stage": "test"})
    arn = made["EventSourceMappingArn"]
    client.tag_resource(Resource=arn, Tags={"stage": "live", "cost": "low"})
    client.untag_resource(Resource=arn, TagKeys=["team"])
    seen["tags"] = client.list_tags(Resource=arn)["Tags"]
    [declared] = client.list_event_source_mappings(FunctionName="declared")["EventSourceMappings"]
    seen["declared"] = client.list_tags(Resource=declared["EventSourceMappingArn"])["Tags"]
    seen["shown"] = "Tags" in made
    client.delete_event_source_mapping(UUID=made["UUID"])
    seen["gone"] = outcome(lambda: client.list_tags(Resource=arn))[:2]


def case_life():
    put(1, 2)
    made = make(BatchSize=10, MaximumRetryAttempts=3, FilterCriteria={"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]})
    uuid = made["UUID"]
    seen["made"] = [made["ResponseMetadata"]["HTTPStatusCode"], made["State"], made["BatchSize"], made["FunctionArn"] == arns["one"]]
    seen["arn"] = made["EventSourceMappingArn"].endswith(":event-source-mapping:" + uuid) and len(uuid) == 36
    until_state(uuid, "Enabled")
    eventually(lambda: items("one") == [1, 2])
    got = client.get_event_source_mapping(UUID=uuid)
    seen["got"] = {
        name: got[name]
        for name in got
        if name not in ("UUID", "EventSourceMappingArn", "EventSourceArn", "FunctionArn", "LastModified", "ResponseMetadata")
    }
    seen["source"] = got["EventSourceArn"] == stream()
    seen["modified"] = abs(got["LastModified"].timestamp() - time.time()) < 600
    latest = make("two", StartingPosition="LATEST")["UUID"]
    until_state(latest, "Enabled")
    put(3)
    eventually(lambda: items("two"))
    seen["latest"] = items("two")
    # What is written while it is disabled comes later.
    changed = client.update_event_source_mapping(UUID=uuid, Enabled=False, BatchSize=5)
    seen["disabled"] = [changed["ResponseMetadata"]["HTTPStatusCode"], changed["State"], changed["BatchSize"]]
    until_state(uuid, "Disabled")
    put(4)
    eventually(lambda: items("two") == [3, 4])
    seen["while disabled"] = items("one")
    changed = client.update_event_source_mapping(UUID=uuid, Enabled=True)
    seen["enabled"] = [changed["State"], changed["BatchSize"], changed["MaximumRetryAttempts"]]
    eventually(lambda: items("one") == [1, 2, 3, 4])
    deleted = client.delete_event_source_mapping(UUID=uuid)
    seen["deleted"] = [deleted["ResponseMetadata"]["HTTPStatusCode"], deleted["State"]]
    seen["gone"] = outcome(client.get_event_source_mapping, UUID=uuid)
    client.delete_event_source_mapping(UUID=latest)
    put(5)
    time.sleep(0.5)
    seen["after the end"] = items("one")


def case_refusals():
    create = client.create_event_source_mapping
    arn = stream()
    base = dict(EventSourceArn=arn, FunctionName="one", StartingPosition="LATEST")
    queue = "arn:aws:sqs:us-east-1:000000000000:jobs"
    seen["no function"] = outcome(create, **{**base, "FunctionName": "nobody"})[:2]
    seen["no version"] = outcome(create, **{**base, "FunctionName": "one:7"})[:2]
    seen["no position"] = outcome(create, EventSourceArn=arn, FunctionName="one")
    seen["batch size"] = outcome(create, **base, BatchSize=10001)
    seen["window"] = outcome(create, **base, MaximumBatchingWindowInSeconds=301)[:2]
    seen["filter"] = outcome(create, **base, FilterCriteria={"Filters": [{"Pattern": '{"a": 1}'}]})
    seen["kinesis"] = outcome(create, **{**base, "EventSourceArn": "arn:aws:kinesis:us-east-1:1:stream/s"})[:2]
    seen["queue batch"] = outcome(create, EventSourceArn=queue, FunctionName="one", BatchSize=11)[:2]
    seen["unknown"] = [
        outcome(call, UUID="00000000-0000-0000-0000-000000000000")
        for call in (client.get_event_source_mapping, client.delete_event_source_mapping, client.update_event_source_mapping)
    ]
    uuid = create(**base)["UUID"]
    again = outcome(create, **base)
    seen["again"] = again[:2] + [uuid in again[2] and arn in again[2]]
    client.delete_event_source_mapping(UUID=uuid)


def case_lists():
    queue = "arn:aws:sqs:us-east-1:000000000000:jobs{}"
    made = [
        client.create_event_source_mapping(EventSourceArn=queue.format(number), FunctionName=function)["UUID"]
        for number in range(30)
        for function in ("one", "two")
    ]
    pages = client.get_paginator("list_event_source_mappings")

    def listed(**arguments):
        return [mapping["UUID"] for page in pages.paginate(**arguments) for mapping in page["EventSourceMappings"]]

    seen["all"] = sorted(uuid for uuid in listed() if uuid in made) == sorted(made)
    seen["of a function"] = len(listed(FunctionName="two"))
    seen["of a queue"] = len(listed(EventSourceArn=queue.format(7)))
    seen["of both"] = len(listed(EventSourceArn=queue.format(7), FunctionName=arns["one"]))
    seen["first page"] = len(client.list_event_source_mappings(MaxItems=3)["EventSourceMappings"])
    [mapping] = client.list_event_source_mappings(EventSourceArn=queue.format(7), FunctionName="one")["EventSourceMappings"]
    eventually(lambda: client.get_event_source_mapping(UUID=mapping["UUID"])["LastProcessingResult"].startswith("PROBLEM"))
    seen["no queue"] = client.get_event_source_mapping(UUID=mapping["UUID"])["LastProcessingResult"]
    for uuid in made:
        client.delete_event_source_mapping(UUID=uuid)


def case_declared():
    [mapping] = client.list_event_source_mappings(FunctionName="declared")["EventSourceMappings"]
    seen["declared"] = [mapping["State"], mapping["BatchSize"], mapping["StartingPosition"]]


def case_keep():
    uuid = make(StartingPosition="LATEST", MaximumRecordAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": arns["two"]}})["UUID"]
    # At once: where it begins is settled before it is enabled, and the program may be killed then.
    until_state(uuid, "Enabled")
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    put(100)
    seen["uuid"] = uuid


def case_kept():
    [mapping] = client.list_event_source_mappings(FunctionName="one")["EventSourceMappings"]
    seen["kept"] = [mapping["MaximumRecordAgeInSeconds"], mapping["DestinationConfig"]["OnFailure"]["Destination"] == arns["two"]]
    seen["uuid"] = mapping["UUID"]
    until_state(mapping["UUID"], "Disabled")
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    eventually(lambda: items("one"))
    seen["items"] = items("one")


globals()["case_" + case]()
print(json.dumps(seen))
