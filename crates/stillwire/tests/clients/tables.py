"""Uses tables as functions do: by boto3, against a running program.

Usage: tables.py READY_FILE_CONTENT CASE. Each case has tables of its own; a failed assertion says what went wrong.
"""

import gzip
import json
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from unittest import mock

import boto3
import botocore.auth
from boto3.dynamodb.conditions import Attr, Key
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from table_client import ENDPOINT, KEYS, case, client, create, db, ready, refused


def types_round_trip():
    table = create("types")
    deep = "the bottom"
    for level in range(31):  # with the item itself 32 levels
        deep = [deep] if level % 2 else {"below": deep}
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
    response = refused("ValidationException", table.put_item, Item={"id": "too deep", "deep": [deep]})
    assert "Nesting Levels have exceeded supported limits" in response["Error"]["Message"]
    item = {"id": {"S": "39 digits"}, "n": {"N": "1" * 39}}
    response = refused("ValidationException", db.put_item, TableName="types", Item=item)
    assert "more than 38 significant digits" in response["Error"]["Message"]


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
    response = refused(
        "ConditionalCheckFailedException",
        db.delete_item,
        TableName="errors",
        Key={"id": {"S": "a"}},
        ConditionExpression="attribute_not_exists(id)",
    )
    assert "Item" not in response
    refused("ValidationException", db.put_item, TableName="errors", Item={"other": {"S": "a"}})
    response = refused("ResourceInUseException", create, "errors")
    assert response["Error"]["Message"] == "Table already exists: errors"
    many = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(26)]
    refused("ValidationException", db.batch_write_item, RequestItems={"errors": many})
    same = [{"PutRequest": {"Item": {"id": {"S": "same"}}}}] * 2
    both = [{"PutRequest": {"Item": {"id": {"S": "b"}}}}, {"DeleteRequest": {"Key": {"id": {"S": "b"}}}}]
    keys = [{"id": {"S": str(n)}} for n in range(101)]
    for twice in (same, both):
        response = refused("ValidationException", db.batch_write_item, RequestItems={"errors": twice})
        assert response["Error"]["Message"] == "Provided list of item keys contains duplicates"
    response = refused("ValidationException", db.batch_get_item, RequestItems={"errors": {"Keys": keys[:1] * 2}})
    assert response["Error"]["Message"] == "Provided list of item keys contains duplicates"
    refused("ValidationException", db.batch_get_item, RequestItems={"errors": {"Keys": keys}})
    actions = [{"Put": {"TableName": "errors", "Item": {"id": {"S": str(n)}}}} for n in range(101)]
    refused("ValidationException", db.transact_write_items, TransactItems=actions)
    gets = [{"Get": {"TableName": "errors", "Key": key}} for key in keys]
    refused("ValidationException", db.transact_get_items, TransactItems=gets)
    refused("ValidationException", db.transact_write_items, TransactItems=actions[:1] * 2)
    assert table.scan()["Items"] == [{"id": "a", "n": 1}]


def the_deepest_expressions_are_refused_and_the_program_lives():
    table = create("deep")
    table.put_item(Item={"id": "a", "n": 1})
    key = {"id": {"S": "a"}}
    # From where a thread's stack once ended to the most that an expression may have.
    for deep in ("(" * 1500, "(" * 4096, "(" * 2000 + "n" + ")" * 2000, "NOT " * 1000 + "n", "[" * 4096):
        for call, member, more in (
            (db.query, "KeyConditionExpression", {}),
            (db.scan, "FilterExpression", {}),
            (db.scan, "ProjectionExpression", {}),
            (db.put_item, "ConditionExpression", {"Item": key}),
            (db.delete_item, "ConditionExpression", {"Key": key}),
            (db.update_item, "UpdateExpression", {"Key": key}),
        ):
            refused("ValidationException", call, TableName="deep", **{member: deep}, **more)
        update = {"Key": key, "UpdateExpression": "SET n = " + deep[:4088]}
        refused("ValidationException", db.update_item, TableName="deep", **update)
        put = {"TableName": "deep", "Item": key, "ConditionExpression": deep}
        refused("ValidationException", db.transact_write_items, TransactItems=[{"Put": put}])
        statement = "SELECT * FROM deep WHERE " + deep
        refused("ValidationException", db.execute_statement, Statement=statement)
    assert table.get_item(Key={"id": "a"})["Item"] == {"id": "a", "n": 1}


def what_is_over_a_limit_is_refused_and_what_reaches_it_is_not():
    table = create("limits", sort="S")

    def put(**item):
        return lambda: table.put_item(Item={"id": "a", "sort": "a", **item})

    def scan(expression, **values):
        return lambda: db.scan(TableName="limits", FilterExpression=expression, ExpressionAttributeValues=values or {":v": {"N": "1"}})

    def operands(count):
        values = {f":v{n}": {"N": str(n)} for n in range(count)}
        return scan(f"x IN ({', '.join(values)})", **values)

    def create_with_indexes(name, count, local=False):
        index = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "sort", "KeyType": "RANGE"}]
        indexes = [{"IndexName": f"i{n:02}", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}} for n in range(count)]
        member = "LocalSecondaryIndexes" if local else "GlobalSecondaryIndexes"
        return lambda: create(name, sort="S", **{member: indexes})

    def transact(token):
        item = {"Put": {"TableName": "limits", "Item": {"id": {"S": "t"}, "sort": {"S": "t"}}}}
        return lambda: bare.transact_write_items(TransactItems=[item], ClientRequestToken=token)

    def typed(number):
        return lambda: db.put_item(TableName="limits", Item={"id": {"S": "n"}, "sort": {"S": "n"}, "n": {"N": number}})

    bare = client(unchecked=True)
    half = {"S": "x" * 220_000}
    halves = [{"Put": {"TableName": "limits", "Item": {"id": {"S": str(n)}, "sort": {"S": "x"}, "t": half}}} for n in range(20)]
    for accepted, refusal in (
        (put(id="x" * 2048), put(id="x" * 2049)),
        (put(sort="x" * 1024), put(sort="x" * 1025)),
        (put(), put(id="")),
        (scan("n = :v" + " " * 4090), scan("n = :v" + " " * 4091)),
        (scan(" OR ".join(["n = :v"] * 150)), scan(" OR ".join(["n = :v"] * 151))),
        (operands(100), operands(101)),
        (create_with_indexes("limits-lsi", 5, local=True), create_with_indexes("limits-lsi-6", 6, local=True)),
        (create_with_indexes("limits-gsi", 20), create_with_indexes("limits-gsi-21", 21)),
        (transact("t" * 36), transact("t" * 37)),
        (typed("9.9999999999999999999999999999999999999E+125"), typed("1E+126")),
        (typed("1E-130"), typed("1E-131")),
        (lambda: db.transact_write_items(TransactItems=halves[:18]), lambda: db.transact_write_items(TransactItems=halves)),
        (lambda: create("L.i_m-" + "x" * 249), lambda: bare_create("x" * 256)),
        (lambda: create("lim"), lambda: bare_create("li")),
        (lambda: db.list_tables(Limit=100), lambda: bare.list_tables(Limit=101)),
    ):
        accepted()
        refused("ValidationException", refusal)


def bare_create(name):
    client(unchecked=True).create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


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
    assert update("SET n = :v", "NONE", v=4) is None
    removed = {"Key": {"id": "a"}, "UpdateExpression": "REMOVE l[0], m.y"}
    assert table.update_item(**removed, ReturnValues="UPDATED_OLD")["Attributes"] == {"l": [1], "m": {"y": 2}}
    assert table.get_item(Key={"id": "a"})["Item"] == {"id": "a", "n": 4, "m": {"x": 8}, "l": [6, 3]}
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
    back = texts.query(KeyConditionExpression=Key("id").eq("p"), ScanIndexForward=False)["Items"]
    assert [item["sort"] for item in back] == order[::-1]
    binaries = create("binaries", sort="B")
    values = [b"\xff", b"\x00", b"\x7f", b"\x80", b"\x00\x00", b"a", b"\x7f\xff"]
    for value in values:
        binaries.put_item(Item={"id": "p", "sort": value})
    for forward in (True, False):
        found = binaries.query(KeyConditionExpression=Key("id").eq("p"), ScanIndexForward=forward)["Items"]
        order = [item["sort"].value for item in found]
        assert order == sorted(values, reverse=not forward), order
    some = binaries.query(KeyConditionExpression=Key("id").eq("p") & Key("sort").gte(b"\x7f"))["Items"]
    assert [item["sort"].value for item in some] == [b"\x7f", b"\x7f\xff", b"\x80", b"\xff"]


def writers_do_not_lose_each_others_work():
    table = create("counters")

    def count(db):
        for _ in range(100):
            db.update_item(
                TableName="counters",
                Key={"id": {"S": "n"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def claim(number):
        item = {"id": {"S": "claimed"}, "by": {"N": str(number)}}
        try:
            many.put_item(TableName="counters", Item=item, ConditionExpression="attribute_not_exists(id)")
            return [number]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ConditionalCheckFailedException", error
            return []

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(count, [client() for _ in range(10)]))
    assert table.get_item(Key={"id": "n"})["Item"]["n"] == 1000
    many = client(connections=100)
    with ThreadPoolExecutor(100) as pool:
        [winner] = sum(pool.map(claim, range(100)), [])
    assert table.get_item(Key={"id": "claimed"})["Item"]["by"] == winner


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
    # The same once more, by its token, is done once.
    add = {
        "Update": {
            "TableName": "transactions",
            "Key": {"id": {"S": "there"}},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }
    for _ in range(3):
        db.transact_write_items(TransactItems=[add], ClientRequestToken="once")
    assert table.get_item(Key={"id": "there"})["Item"]["n"] == 2
    more = {"TransactItems": [add, put], "ClientRequestToken": "once"}
    refused("IdempotentParameterMismatchException", db.transact_write_items, **more)
    assert table.get_item(Key={"id": "there"})["Item"]["n"] == 2
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


def indexes_hold_what_they_project():
    projections = {
        "all": {"ProjectionType": "ALL"},
        "keys": {"ProjectionType": "KEYS_ONLY"},
        "some": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
    }
    shown = {
        "all": {"id", "sort", "room", "x", "y"},
        "keys": {"id", "sort", "room"},
        "some": {"id", "sort", "room", "x"},
    }

    def index(kind, name, partition, more):
        keys = [{"AttributeName": partition, "KeyType": "HASH"}, *more]
        return {"IndexName": f"{kind}-{name}", "KeySchema": keys, "Projection": projections[name]}

    room = [{"AttributeName": "room", "KeyType": "RANGE"}]
    table = create(
        "projected",
        sort="N",
        attributes=[{"AttributeName": "room", "AttributeType": "S"}],
        LocalSecondaryIndexes=[index("local", name, "id", room) for name in projections],
        GlobalSecondaryIndexes=[index("global", name, "room", []) for name in projections],
    )
    for number in range(8):
        # Every other item is in no index.
        more = {"room": "lobby"} if number % 2 == 0 else {}
        table.put_item(Item={"id": "p", "sort": number, "x": number, "y": number, **more})
    for name, attributes in shown.items():
        for kind, condition in (
            ("global", Key("room").eq("lobby")),
            ("local", Key("id").eq("p") & Key("room").eq("lobby")),
        ):
            asked = {"IndexName": f"{kind}-{name}", "KeyConditionExpression": condition}
            found, start = [], {}
            while True:
                page = table.query(**asked, Limit=1, **start)
                assert page["Count"] == page["ScannedCount"] <= 1
                found += page["Items"]
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            assert sorted(item["sort"] for item in found) == [0, 2, 4, 6], (kind, name)
            assert all(set(item) == attributes for item in found), (kind, name, found)
            assert table.scan(IndexName=f"{kind}-{name}")["Count"] == 4, "the others are not there"
    asked = {"IndexName": "global-keys", "KeyConditionExpression": Key("room").eq("lobby")}
    refused("ValidationException", table.query, **asked, Select="ALL_ATTRIBUTES")
    response = refused("ValidationException", table.query, **asked, ConsistentRead=True)
    assert response["Error"]["Message"] == "Consistent reads are not supported on global secondary indexes"
    refused("ValidationException", table.scan, IndexName="global-keys", ConsistentRead=True)
    # An item that leaves the index, and one that comes into it.
    table.update_item(Key={"id": "p", "sort": 0}, UpdateExpression="REMOVE room")
    table.update_item(Key={"id": "p", "sort": 1}, UpdateExpression="SET room = :r", ExpressionAttributeValues={":r": "lobby"})
    found = table.query(**asked)["Items"]
    assert sorted(item["sort"] for item in found) == [1, 2, 4, 6]


def capacity_is_counted():
    table = create(
        "capacity",
        attributes=[{"AttributeName": "room", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "rooms",
                "KeySchema": [{"AttributeName": "room", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )

    def units(call, **more):
        answer = call(**more, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
        [answer] = answer if isinstance(answer, list) else [answer]
        assert answer["TableName"] == "capacity"
        return answer["CapacityUnits"]

    def item(name, size):
        """An item of so many bytes."""
        return {"id": name, "t": "x" * (size - len("id") - len(name) - len("t"))}

    # One for each KB that an item has begun.
    for size, expected in ((100, 1), (1024, 1), (1025, 2), (3 * 1024, 3)):
        assert units(table.put_item, Item=item("w", size)) == expected, size
    assert units(table.delete_item, Key={"id": "w"}) == 3, "what is deleted counts"
    # A half for each 4 KB that are read, and one where that is to be consistent.
    for size, expected in ((100, 0.5), (4096, 0.5), (4097, 1), (12_000, 1.5)):
        table.put_item(Item=item("r", size))
        assert units(table.get_item, Key={"id": "r"}) == expected, size
        assert units(table.get_item, Key={"id": "r"}, ConsistentRead=True) == 2 * expected, size
    query = {"KeyConditionExpression": Key("id").eq("r")}
    assert (units(table.query, **query), units(table.query, **query, ConsistentRead=True)) == (1.5, 3)
    assert units(table.get_item, Key={"id": "nobody"}) == 0.5
    # Twice as much in transactions.
    key = {"id": {"S": "r"}}
    get = [{"Get": {"TableName": "capacity", "Key": key}}]
    assert units(db.transact_get_items, TransactItems=get) == 6
    put = [{"Put": {"TableName": "capacity", "Item": {"id": {"S": "t"}, "t": {"S": "x" * 1500}}}}]
    assert units(db.transact_write_items, TransactItems=put) == 4
    # With indexes: theirs, the table's and the sum.
    consumed = table.put_item(Item={**item("i", 1500), "room": "a"}, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert consumed["Table"]["CapacityUnits"] == 2
    assert consumed["GlobalSecondaryIndexes"] == {"rooms": {"CapacityUnits": 2}}
    assert consumed["CapacityUnits"] == 4
    assert "ConsumedCapacity" not in table.put_item(Item=item("i", 100))


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
    status, _, answer = post(b"{}", {**json_type, "authorization": "AWS4-HMAC-SHA256 nonsense"}, keys=None)
    assert (status, b"IncompleteSignatureException" in answer) == (400, True), answer
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
    now = botocore.auth.get_current_datetime
    for minutes, expected in ((4, (200, "")), (20, (400, "InvalidSignatureException"))):
        for sign in (1, -1):
            then = lambda: now() - sign * timedelta(minutes=minutes)
            with mock.patch.object(botocore.auth, "get_current_datetime", then):
                assert code(keys=("operator", "right")) == expected, (minutes, sign)
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
