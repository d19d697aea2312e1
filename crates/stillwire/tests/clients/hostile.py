"""Asks for what nobody would ask for: valid requests that were spoilt, and bytes that are none, side by side for a while.

Usage: hostile.py READY_FILE_CONTENT CASE SECONDS SEED. No answer is a 5xx, and the program grows by no more than 50 MB. Prints one line of
JSON: what was answered how often.
"""

import collections
import copy
import http.client
import json
import random
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from table_client import ENDPOINT, create, ready

seconds, seed = float(sys.argv[3]), int(sys.argv[4])
ADDRESS = urlsplit(ENDPOINT).netloc
HOST, PORT = ADDRESS.split(":")
GROWTH_MAX = 50 * 1024
BODY_MAX = 16 * 1024 * 1024
NAME = "hostile"
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)
KEY = {"id": {"S": "a"}, "sort": {"N": "1"}}
ITEM = {**KEY, "m": {"M": {"l": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}}}, "b": {"B": "AAEC"}, "s": {"SS": ["x", "y"]}}
VALUES = {":v": {"N": "1"}, ":k": {"S": "a"}}
VALID = [
    ("PutItem", {"TableName": NAME, "Item": ITEM, "ConditionExpression": "attribute_not_exists(zz) OR m.l[0] < :v",
                 "ExpressionAttributeValues": {":v": {"N": "5"}}, "ReturnValues": "ALL_OLD"}),
    ("GetItem", {"TableName": NAME, "Key": KEY, "ProjectionExpression": "m.l[0], #s", "ExpressionAttributeNames": {"#s": "s"}}),
    ("UpdateItem", {"TableName": NAME, "Key": KEY, "UpdateExpression": "SET m.l[1] = if_not_exists(n, :v) ADD n :v REMOVE b",
                    "ExpressionAttributeValues": {":v": {"N": "1"}}, "ReturnValues": "UPDATED_NEW"}),
    ("DeleteItem", {"TableName": NAME, "Key": KEY, "Expected": {"n": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "1"}]}}}),
    ("Query", {"TableName": NAME, "KeyConditionExpression": "id = :k AND sort >= :v", "FilterExpression": "size(s) > :v",
               "ExpressionAttributeValues": VALUES, "Limit": 5, "ScanIndexForward": False}),
    ("Scan", {"TableName": NAME, "Segment": 0, "TotalSegments": 3, "FilterExpression": "NOT (n BETWEEN :v AND :v) AND contains(s, :k)",
              "ExpressionAttributeValues": VALUES, "ReturnConsumedCapacity": "INDEXES"}),
    ("BatchWriteItem", {"RequestItems": {NAME: [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": {**KEY, "sort": {"N": "2"}}}}]}}),
    ("BatchGetItem", {"RequestItems": {NAME: {"Keys": [KEY], "ConsistentRead": True}}}),
    ("TransactWriteItems", {"ClientRequestToken": "t", "TransactItems": [
        {"Put": {"TableName": NAME, "Item": ITEM}},
        {"ConditionCheck": {"TableName": NAME, "Key": {**KEY, "sort": {"N": "3"}}, "ConditionExpression": "attribute_exists(id)"}}]}),
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": NAME, "Key": KEY}}]}),
    ("ExecuteStatement", {"Statement": f"SELECT * FROM \"{NAME}\" WHERE id = ? AND sort IN [1, 2]", "Parameters": [{"S": "a"}]}),
    ("ExecuteStatement", {"Statement": f"INSERT INTO {NAME} VALUE {{'id': 'a', 'sort': 4, 'm': {{'x': [1, <<'y'>>]}}}}"}),
    ("DescribeTable", {"TableName": NAME}),
    ("UpdateTimeToLive", {"TableName": NAME, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "due"}}),
    ("ListTables", {"Limit": 3}),
    ("TagResource", {"ResourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{NAME}", "Tags": [{"Key": "a", "Value": "b"}]}),
    ("ListStreams", {"TableName": NAME, "Limit": 1}),
    ("GetShardIterator", {"StreamArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{NAME}/stream/x", "ShardId": "shardId-" + "0" * 20,
                          "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 21}),
    ("GetRecords", {"ShardIterator": f"arn:aws:dynamodb:us-east-1:000000000000:table/{NAME}/stream/x|1|MS4yLjM", "Limit": 5}),
]
PIECES = ["(", ")", "[0]", "[99999999999999999999]", ".", ",", " AND ", " OR ", " NOT ", "=", "<>", ":v", "#s", "size(", "\0", "🙂", "'", "\"",
          "SET ", "-", "--", "/*", "<<", "{", "?", "\ud800"]
OTHERS = [None, True, -1, 0, 1e300, 2**70, "", [], {}, {"S": 1, "N": "x"}, {"N": "1E+999999999"}, {"B": "?"}, {"L": [{}]}, "x" * 70_000,
          {"NS": ["1", "1.0"]}, {"M": {"": {"S": ""}}}, "<deep>"]
# What stands for a value within many others.
DEEP = "<deep>"
NESTS = [('{"L":[', "]}"), ('{"M":{"x":', "}}"), ("[", "]")]


def spoil(dice, value):
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(list(value))
        what = dice.randrange(6)
        if what == 0:
            del value[name]
        elif what == 1:
            value[name[::-1]] = value.pop(name)
        elif what == 2:
            value[dice.choice(PIECES) * dice.choice([1, 1, 1, 3000])] = value[name]
        else:
            value[name] = spoil(dice, value[name])
        return value
    if isinstance(value, list) and value and dice.random() < 0.8:
        at = dice.randrange(len(value))
        if dice.random() < 0.2:
            # Megabytes would take an engine without optimisation seconds.
            return value * min(dice.choice([2, 30, 150]), 1 + 500_000 // len(json.dumps(value)))
        value[at] = spoil(dice, value[at])
        return value
    if isinstance(value, str) and dice.random() < 0.7:
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(value) + 1)
            value = value[:at] + dice.choice(PIECES) * dice.choice([1] * 40 + [3000]) + value[at:]
        return value
    return copy.deepcopy(dice.choice(OTHERS))


def request(dice):
    """A target and a body."""
    operation, valid = dice.choice(VALID)
    asked = json.loads(json.dumps(valid))
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        asked = spoil(dice, asked)
    body = json.dumps(asked)
    if DEEP in body:
        levels, (before, after) = dice.choice([30, 40, 120, 500, 10_000]), dice.choice(NESTS)
        body = body.replace(f'"{DEEP}"', before * levels + '{"S":"x"}' + after * levels)
    body = body.encode()
    if dice.random() < 0.2:
        spoilt = bytearray(body)
        for _ in range(dice.randint(1, 5)):
            at = dice.randrange(len(spoilt) + 1)
            what = dice.randrange(3)
            if what == 0:
                spoilt[at:at + 1] = bytes([dice.randrange(256)])
            elif what == 1:
                spoilt[at:at] = dice.randbytes(dice.randint(1, 30))
            else:
                del spoilt[at:]
        body = bytes(spoilt)
    elif dice.random() < 0.02:
        body = dice.choice([b"[" * 100_000, b'{"a":' * 100_000, b"", dice.randbytes(5000), b"{" + b" " * 2_000_000])
    service = "DynamoDBStreams_20120810" if operation in ("ListStreams", "GetShardIterator", "GetRecords") else "DynamoDB_20120810"
    target = f"{service}.{operation}"
    if dice.random() < 0.02:
        target = dice.choice([target[::-1], "DynamoDB_20120810.", "DynamoDB_20120810." + "x" * 1000])
    return target, body


def noise(dice):
    """Bytes for the port that are no HTTP, or only its beginning."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.PutItem\r\n"
    return dice.choice([
        dice.randbytes(dice.randint(1, 2000)),
        head + b"content-length: 99999999999999999999\r\n\r\n{}",
        head + b"content-length: -1\r\n\r\n",
        head + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n" + dice.randbytes(100),
        head + b"x: " + dice.randbytes(100) + b"\r\n\r\n",
        head + b"x: y\r\n" * 500 + b"\r\n",
    ])


def memory():
    """What the program has for itself, in KB: not what it sees of its files."""
    with open(f"/proc/{ready['pid']}/status") as lines:
        [line] = [line for line in lines if line.startswith("RssAnon:")]
    return int(line.split()[1])


def ask(number):
    dice, seen = random.Random(seed * 1000 + number), collections.Counter()
    connection = http.client.HTTPConnection(HOST, int(PORT), timeout=60)
    while time.monotonic() < end:
        if dice.random() < 0.01:
            with socket.create_connection((HOST, int(PORT)), timeout=30) as raw:
                raw.sendall(noise(dice))
                raw.shutdown(socket.SHUT_WR)
                answer = raw.recv(100)
                # Without a valid request nothing can be known about it; with a wrong head it is a 4xx.
                assert not answer.startswith(b"HTTP/1.1 5"), answer
            seen["noise"] += 1
            continue
        target, body = request(dice)
        headers = {"x-amz-target": target, "authorization": AUTHORIZATION, "content-type": "application/x-amz-json-1.0"}
        for fresh in (False, True):
            try:
                connection.request("POST", "/", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                if len(body) > BODY_MAX:
                    break  # refused before all of it was sent
                # One that was kept may have been closed meanwhile; what a new one does not answer, nobody answers.
                if fresh or isinstance(error, TimeoutError):
                    raise AssertionError(f"no answer to {target} {body[:2000]}: {error}") from error
        if len(body) > BODY_MAX:
            seen["too large"] += 1
            continue
        assert answer.status < 500, (target, body[:3000], answer.status, text)
        seen[str(answer.status)] += 1
    return seen


create(NAME, sort="N", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
began = time.monotonic()
end = began + seconds
with ThreadPoolExecutor(4) as pool:
    asking = [pool.submit(ask, number) for number in range(4)]
    # Until everything was asked once.
    time.sleep(seconds / 5)
    first = most = memory()
    while time.monotonic() < end:
        time.sleep(0.1)
        most = max(most, memory())
    seen = sum((of.result() for of in asking), collections.Counter())
assert most - first <= GROWTH_MAX, f"it had {first} KB after a while, and then {most} KB"
assert seen["200"] and seen["400"] and seen["noise"], seen
print(json.dumps({**seen, "first_kb": first, "most_kb": most}))
