"""Uses tables as functions do: by boto3, against a running program.

Usage: tables.py READY_FILE_CONTENT CASE. Each case has tables of its own; a failed assertion says what went wrong.
"""

import gzip
import json
import sys
import threading
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

ready, case = json.loads(sys.argv[1]), sys.argv[2]
ENDPOINT = ready["aws_endpoint"]
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
CONFIG = Config(retries={"total_max_attempts": 1}, max_pool_connections=50)


def client(service="dynamodb", region="us-east-1", **keys):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=region, config=CONFIG, **(keys or KEYS))


db = client()


def create(name, sort=None, **more):
    attributes = [{"AttributeName": "id", "AttributeType": "S"}]
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    if sort:
        attributes.append({"AttributeName": "sort", "AttributeType": sort})
        keys.append({"AttributeName": "sort", "KeyType": "RANGE"})
    attributes += more.pop("attributes", [])
    db.create_table(
        TableName=name,
        AttributeDefinitions=attributes,
        KeySchema=keys,
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    return boto3.resource("dynamodb", endpoint_url=ENDPOINT, region_name="us-east-1", config=CONFIG, **KEYS).Table(name)


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"not refused with {code}")


def types_round_trip():
    table = create("types")
    deep = "the bottom"
    for _ in range(30):
        deep = [deep]
    item = {
        "id": "every type",
        "text": "grüße 🙂",
        "empty": "",
        "number": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("1E-130"),
        "binary": b"\x00\xff",
        "no bytes": b"",
        "true": True,
        "none": None,
        "list": [1, "two", {"three": {Decimal(3)}}],
        "map": {"a": {"b": 1}},
        "texts": {"a", "b"},
        "numbers": {Decimal(1), Decimal("2.5")},
        "binaries": {b"x", b"y"},
        "deep": deep,
    }
    table.put_item(Item=item)
    found = table.get_item(Key={"id": "every type"}, ConsistentRead=True)["Item"]
    assert found["binary"].value == b"\x00\xff" and found["no bytes"].value == b""
    for name in item:
        if name not in ("binary", "no bytes", "binaries"):
            assert found[name] == item[name], name
    assert {value.value for value in found["binaries"]} == {b"x", b"y"}


def errors_are_as_sdks_parse_them():
    table = create("errors")
    response = refused("ResourceNotFoundException", db.get_item, TableName="nowhere", Key={"id": {"S": "a"}})
    assert response["Error"]["Message"] == "Requested resource not found"
    table.put_item(Item={"id": "a", "n": 1})
    response = refused(
        "ConditionalCheckFailedException",
        db.put_item,
        TableName="errors",
        Item={"id": {"S": "a"}},
        ConditionExpression="attribute_not_exists(id)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert response["Error"]["Message"] == "The conditional request failed"
    assert response["Item"] == {"id": {"S": "a"}, "n": {"N": "1"}}
    refused("ValidationException", db.put_item, TableName="errors", Item={"other": {"S": "a"}})
    refused("ResourceInUseException", create, "errors")
    many = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(26)]
    refused("ValidationException", db.batch_write_item, RequestItems={"errors": many})
    same = [{"PutRequest": {"Item": {"id": {"S": "same"}}}}] * 2
    refused("ValidationException", db.batch_write_item, RequestItems={"errors": same})
    keys = [{"id": {"S": str(n)}} for n in range(101)]
    refused("ValidationException", db.batch_get_item, RequestItems={"errors": {"Keys": keys}})
    actions = [{"Put": {"TableName": "errors", "Item": {"id": {"S": str(n)}}}} for n in range(101)]
    refused("ValidationException", db.transact_write_items, TransactItems=actions)
    assert table.scan()["Count"] == 1
    refused("ValidationException", db.query, TableName="errors", KeyConditionExpression="(" * 4096)
    for name in ("FilterExpression", "ProjectionExpression"):
        refused("ValidationException", db.scan, TableName="errors", **{name: "(" * 4096})
    key = {"id": {"S": "a"}}
    refused("ValidationException", db.update_item, TableName="errors", Key=key, UpdateExpression="SET n = " + "(" * 4000)
    refused("ValidationException", db.execute_statement, Statement="SELECT * FROM errors WHERE " + "(" * 4000)
    assert table.get_item(Key={"id": "a"})["Item"]["n"] == 1


def values_are_returned_as_asked():
    table = create("returns")

    def update(expression, returned, **values):
        answer = table.update_item(
            Key={"id": "a"},
            UpdateExpression=expression,
            ReturnValues=returned,
            ExpressionAttributeValues={":" + name: value for name, value in values.items()},
        )
        return answer.get("Attributes")

    assert "Attributes" not in table.put_item(Item={"id": "a", "n": 1, "m": {"x": 1, "y": 2}, "l": [1, 2, 3]})
    whole = {"id": "a", "n": 1, "m": {"x": 1, "y": 2}, "l": [1, 2, 3]}
    assert table.put_item(Item=whole, ReturnValues="ALL_OLD")["Attributes"] == whole
    assert update("SET n = n + :one", "UPDATED_OLD", one=1) == {"n": 1}
    assert update("SET n = n + :one", "UPDATED_NEW", one=1) == {"n": 3}
    assert update("SET m.x = :v", "UPDATED_NEW", v=9) == {"m": {"x": 9}}
    assert update("SET m.x = :v", "UPDATED_OLD", v=8) == {"m": {"x": 9}}
    assert update("SET l[1] = :v", "UPDATED_NEW", v=7) == {"l": [7]}
    assert update("SET l[1] = :v", "UPDATED_OLD", v=6) == {"l": [7]}
    assert update("SET n = :v", "ALL_OLD", v=5)["n"] == 3
    assert update("SET n = :v", "ALL_NEW", v=4)["n"] == 4
    assert table.delete_item(Key={"id": "a"}, ReturnValues="ALL_OLD")["Attributes"]["n"] == 4


def the_largest_item_is_400_kb():
    table = create("large")
    room = 400 * 1024 - len("id") - len("a") - len("text")
    table.put_item(Item={"id": "a", "text": "x" * room})
    response = refused("ValidationException", table.put_item, Item={"id": "a", "text": "x" * (room + 1)})
    assert "Item size has exceeded the maximum allowed size" in response["Error"]["Message"]
    response = refused(
        "ValidationException",
        table.update_item,
        Key={"id": "a"},
        UpdateExpression="SET more = :more",
        ExpressionAttributeValues={":more": "x"},
    )
    assert "Item size to update has exceeded the maximum allowed size" in response["Error"]["Message"]


def pages_lead_to_every_item_once():
    table = create("pages", sort="N")
    with table.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item={"id": "p", "sort": number, "text": "x" * 40_000, "even": number % 2 == 0})
    for call in ("query", "scan"):
        more = {"KeyConditionExpression": Key("id").eq("p")} if call == "query" else {}
        seen, pages, start = [], 0, {}
        while True:
            page = getattr(table, call)(FilterExpression=Attr("even").eq(True), **more, **start)
            assert page["Count"] <= page["ScannedCount"] <= 27, "a page ends at 1 MB before the filter"
            seen += [int(item["sort"]) for item in page["Items"]]
            pages += 1
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert sorted(seen) == list(range(0, 60, 2)), call
        assert pages >= 3
    page = table.query(KeyConditionExpression=Key("id").eq("p"), Limit=5, FilterExpression=Attr("even").eq(True))
    assert page["ScannedCount"] == 5 and page["Count"] == 3
    parts = []
    for segment in range(4):
        start = {}
        while True:
            page = table.scan(Segment=segment, TotalSegments=4, ProjectionExpression="id, sort", **start)
            parts += [int(item["sort"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(parts) == list(range(60)), "segments share nothing and leave nothing out"


def segments_share_nothing_also_while_their_items_are_deleted():
    table = create("segments")
    names = {f"item {number}" for number in range(400)}
    with table.batch_writer() as batch:
        for name in names:
            batch.put_item(Item={"id": name})
    parts = []
    for segment in range(4):
        part, start = [], {}
        while True:
            page = table.scan(Segment=segment, TotalSegments=4, Limit=25, **start)
            with table.batch_writer() as batch:
                for item in page["Items"]:
                    part.append(item["id"])
                    batch.delete_item(Key=item)
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        parts.append(part)
    assert all(parts), "each segment has a part"
    assert sorted(sum(parts, [])) == sorted(names)
    assert table.scan()["Count"] == 0


def keys_are_sorted_by_their_type():
    numbers = create("numbers", sort="N")
    for number in (10, -1, 2, 0, -10, Decimal("2.5")):
        numbers.put_item(Item={"id": "p", "sort": number})
    order = [item["sort"] for item in numbers.query(KeyConditionExpression=Key("id").eq("p"))["Items"]]
    assert order == [-10, -1, 0, 2, Decimal("2.5"), 10]
    back = numbers.query(KeyConditionExpression=Key("id").eq("p"), ScanIndexForward=False)["Items"]
    assert [item["sort"] for item in back] == order[::-1]
    texts = create("texts", sort="S")
    words = ["é", "z", "Z", "a", "🙂", "\uffff"]
    for word in words:
        texts.put_item(Item={"id": "p", "sort": word})
    order = [item["sort"] for item in texts.query(KeyConditionExpression=Key("id").eq("p"))["Items"]]
    assert order == sorted(words, key=lambda word: word.encode()), order


def writers_do_not_lose_each_others_work():
    table = create("counters")

    def count(_):
        table.update_item(Key={"id": "n"}, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": 1})

    def claim(_):
        try:
            table.put_item(Item={"id": "claimed"}, ConditionExpression="attribute_not_exists(id)")
            return 1
        except ClientError:
            return 0

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(count, range(300)))
        winners = sum(pool.map(claim, range(50)))
    assert table.get_item(Key={"id": "n"})["Item"]["n"] == 300
    assert winners == 1


def transactions_are_all_or_nothing():
    table = create("transactions")
    table.put_item(Item={"id": "there", "n": 1})
    put = {"Put": {"TableName": "transactions", "Item": {"id": {"S": "new"}}}}
    check = {
        "ConditionCheck": {
            "TableName": "transactions",
            "Key": {"id": {"S": "there"}},
            "ConditionExpression": "n = :two",
            "ExpressionAttributeValues": {":two": {"N": "2"}},
        }
    }
    # boto3 makes up a token for each.
    response = refused("TransactionCanceledException", db.transact_write_items, TransactItems=[put, check])
    assert [reason["Code"] for reason in response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert "Item" not in table.get_item(Key={"id": "new"})
    db.transact_write_items(TransactItems=[put])
    got = db.transact_get_items(
        TransactItems=[{"Get": {"TableName": "transactions", "Key": {"id": {"S": name}}}} for name in ("new", "no")]
    )
    assert got["Responses"] == [{"Item": {"id": {"S": "new"}}}, {}]
    consumed = db.transact_write_items(TransactItems=[put], ReturnConsumedCapacity="TOTAL")
    assert [of["TableName"] for of in consumed["ConsumedCapacity"]] == ["transactions"]
    assert consumed["ConsumedCapacity"][0]["CapacityUnits"] == 2


def indexes_follow_their_tables():
    table = create(
        "indexed",
        sort="N",
        attributes=[{"AttributeName": "room", "AttributeType": "S"}],
        LocalSecondaryIndexes=[
            {
                "IndexName": "local",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "room", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    for number in range(10):
        more = {"room": f"r{number % 2}"} if number < 8 else {}
        table.put_item(Item={"id": "p", "sort": number, "x": number, **more})
    index = {
        "IndexName": "rooms",
        "KeySchema": [{"AttributeName": "room", "KeyType": "HASH"}, {"AttributeName": "sort", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
    }
    db.update_table(
        TableName="indexed",
        AttributeDefinitions=[
            {"AttributeName": "room", "AttributeType": "S"},
            {"AttributeName": "sort", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )
    db.get_waiter("table_exists").wait(TableName="indexed")

    def rooms(name, **more):
        return table.query(IndexName="rooms", KeyConditionExpression=Key("room").eq(name), **more)

    assert [int(item["x"]) for item in rooms("r0")["Items"]] == [0, 2, 4, 6], "filled from the items that were there"
    table.update_item(Key={"id": "p", "sort": 0}, UpdateExpression="SET room = :r", ExpressionAttributeValues={":r": "r1"})
    table.delete_item(Key={"id": "p", "sort": 2})
    assert [int(item["x"]) for item in rooms("r0")["Items"]] == [4, 6]
    assert rooms("r1")["Count"] == 5
    page = rooms("r1", Limit=2)
    rest = rooms("r1", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert page["Count"] + rest["Count"] == 5
    refused("ValidationException", rooms, "r1", ConsistentRead=True)
    local = table.query(
        IndexName="local", KeyConditionExpression=Key("id").eq("p") & Key("room").eq("r0"), ConsistentRead=True
    )
    assert all(set(item) == {"id", "sort", "room"} for item in local["Items"]) and local["Count"] == 2


def capacity_is_counted():
    table = create("capacity")
    table.put_item(Item={"id": "a", "text": "x" * 3000})

    def units(answer):
        return answer["ConsumedCapacity"]["CapacityUnits"]

    assert units(table.put_item(Item={"id": "b", "text": "x" * 1500}, ReturnConsumedCapacity="TOTAL")) == 2
    assert units(table.get_item(Key={"id": "a"}, ReturnConsumedCapacity="TOTAL")) == 0.5
    assert units(table.get_item(Key={"id": "a"}, ReturnConsumedCapacity="TOTAL", ConsistentRead=True)) == 1


def resources_of_older_apps_work():
    table = create("legacy")
    table.put_item(Item={"id": "a", "n": 1}, Expected={"id": {"Exists": False}})
    table.update_item(Key={"id": "a"}, AttributeUpdates={"n": {"Action": "ADD", "Value": 2}})
    table.update_item(Key={"id": "no"}, AttributeUpdates={"n": {"Action": "DELETE"}})
    assert "Item" not in table.get_item(Key={"id": "no"})
    found = table.query(KeyConditions={"id": {"ComparisonOperator": "EQ", "AttributeValueList": ["a"]}})
    assert found["Items"] == [{"id": "a", "n": 3}]
    assert table.scan(ScanFilter={"n": {"ComparisonOperator": "GT", "AttributeValueList": [5]}})["Count"] == 0


def statements_run():
    create("statements")
    db.execute_statement(Statement="INSERT INTO statements VALUE {'id': 'a', 'n': 1}")
    db.execute_statement(Statement="UPDATE statements SET n = ? WHERE id = ?", Parameters=[{"N": "2"}, {"S": "a"}])
    found = db.execute_statement(Statement="SELECT n FROM statements WHERE id = 'a'")
    assert found["Items"] == [{"n": {"N": "2"}}]
    batch = db.batch_execute_statement(Statements=[{"Statement": "SELECT * FROM statements WHERE id = 'a'"}])
    assert batch["Responses"][0]["Item"]["n"] == {"N": "2"}


def tables_come_and_go():
    create("passing", Tags=[{"Key": "team", "Value": "chat"}])
    db.get_waiter("table_exists").wait(TableName="passing")
    table = db.describe_table(TableName="passing")["Table"]
    account = boto3.client("sts", endpoint_url=ENDPOINT, region_name="us-east-1", **KEYS).get_caller_identity()["Account"]
    assert table["TableArn"] == f"arn:aws:dynamodb:us-east-1:{account}:table/passing"
    tags = db.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "chat"}]
    assert db.describe_continuous_backups(TableName="passing")["ContinuousBackupsDescription"]
    db.delete_table(TableName="passing")
    db.get_waiter("table_not_exists").wait(TableName="passing")
    refused("ResourceNotFoundException", db.describe_table, TableName="passing")


def regions_and_accounts_are_apart():
    create("here")
    assert "here" in db.list_tables()["TableNames"]
    assert "here" not in client(region="eu-west-1").list_tables()["TableNames"]
    other = client(aws_access_key_id="123456789012", aws_secret_access_key="x")
    assert "here" not in other.list_tables()["TableNames"]
    other.create_table(
        TableName="theirs",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = other.describe_table(TableName="theirs")["Table"]["TableArn"]
    assert arn == "arn:aws:dynamodb:us-east-1:123456789012:table/theirs"
    assert "theirs" not in db.list_tables()["TableNames"]


def streams_are_read():
    for name in ("abc", "s" * 255):
        table = create(name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
        streams = client("dynamodbstreams")
        assert streams.list_streams(TableName=name)["Streams"][0]["StreamArn"] == arn
        described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        [shard] = described["Shards"]
        assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        assert described["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
        table.put_item(Item={"id": "a", "n": 1})
        table.put_item(Item={"id": "a", "n": 1})
        table.put_item(Item={"id": "a", "n": 2})
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = streams.get_records(ShardIterator=iterator)["Records"]
        assert [record["eventName"] for record in records] == ["INSERT", "MODIFY"]
        assert records[1]["dynamodb"]["OldImage"] == {"id": {"S": "a"}, "n": {"N": "1"}}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        assert numbers == sorted(numbers)


def post(body, headers=(), target="DynamoDB_20120810.ListTables", keys=("key", "secret")):
    """A request by hand: status, headers, body."""
    request = AWSRequest("POST", ENDPOINT + "/", data=body, headers={"x-amz-target": target, **dict(headers)})
    if keys:
        SigV4Auth(Credentials(*keys), "dynamodb", "us-east-1").add_auth(request)
    request = urllib.request.Request(ENDPOINT + "/", data=body, headers=dict(request.headers), method="POST")
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read()


def the_wire_is_as_sdks_expect():
    json_type = {"content-type": "application/x-amz-json-1.0"}
    for body in (b"{}", b'{"Limit": 0}'):
        status, headers, answer = post(body, json_type)
        assert status == (200 if body == b"{}" else 400)
        assert int(headers["x-amz-crc32"]) == zlib.crc32(answer)
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert len(headers["x-amzn-requestid"]) == 52
    status, headers, _ = post(b"{}", {"content-type": "application/json"})
    assert (status, headers["content-type"]) == (200, "application/json")
    status, _, _ = post(gzip.compress(b"{}"), {**json_type, "content-encoding": "gzip"})
    assert status == 200
    status, _, _ = post(gzip.compress(b" " * (17 * 1024 * 1024)), {**json_type, "content-encoding": "gzip"})
    assert status == 413
    for body in (b"[]", b"nothing", b"\xff\xfe", b'{"a":' * 10_000):
        status, _, answer = post(body, json_type)
        assert status == 400 and b"Exception" in answer, (body[:10], answer)
    status, _, answer = post(b"{}", json_type, target="DynamoDB_20120810.Nothing")
    assert (status, b"UnknownOperationException" in answer) == (400, True)
    status, _, answer = post(b"{}", json_type, keys=None)
    assert (status, b"MissingAuthenticationTokenException" in answer) == (400, True)
    health = urllib.request.urlopen(ENDPOINT + "/", timeout=20).read()
    assert health == b"healthy: dynamodb.us-east-1.amazonaws.com "


def only_known_keys_are_let_in():
    json_type = {"content-type": "application/x-amz-json-1.0"}

    def code(**more):
        status, _, answer = post(b"{}", json_type, **more)
        return status, json.loads(answer).get("__type", "").split("#")[-1]

    assert code(keys=("operator", "right")) == (200, "")
    assert code(keys=("operator", "wrong")) == (400, "InvalidSignatureException")
    assert code(keys=("nobody", "right")) == (400, "UnrecognizedClientException")
    assert code(keys=None) == (400, "MissingAuthenticationTokenException")
    request = AWSRequest("POST", ENDPOINT + "/", data=b"{}", headers={"x-amz-target": "DynamoDB_20120810.ListTables"})
    SigV4Auth(Credentials("operator", "right"), "dynamodb", "us-east-1").add_auth(request)
    altered = urllib.request.Request(ENDPOINT + "/", data=b'{"Limit":1}', headers=dict(request.headers), method="POST")
    try:
        urllib.request.urlopen(altered, timeout=20)
        raise AssertionError("an altered body was let in")
    except urllib.error.HTTPError as error:
        assert b"InvalidSignatureException" in error.read()


globals()[case]()
print("ok")
