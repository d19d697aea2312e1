"""Reads streams of tables as SDKs do: by boto3, against a running program.

Usage: table_streams.py READY_FILE_CONTENT CASE. Each case has tables of its own; a failed assertion says what went wrong.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from table_client import case, client, create, db, refused

streams = client("dynamodbstreams")


def create_with_stream(name, view="NEW_AND_OLD_IMAGES", **more):
    table = create(name, StreamSpecification={"StreamEnabled": True, "StreamViewType": view}, **more)
    return table, db.describe_table(TableName=name)["Table"]["LatestStreamArn"]


def shards(arn):
    return streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]


def records(arn):
    """All records that there are. The time may lead into the next shard while a case runs."""
    found = []
    for shard in shards(arn):
        iterator = iterate(arn, shard, "TRIM_HORIZON")
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            found += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return found


def iterate(arn, shard, kind, **more):
    asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
    return streams.get_shard_iterator(**asked, **more)["ShardIterator"]


def each_view_has_its_images():
    old, new = {"id": {"S": "a"}, "n": {"N": "1"}}, {"id": {"S": "a"}, "n": {"N": "2"}}
    for view, images in {
        "KEYS_ONLY": {},
        "NEW_IMAGE": {"NewImage": new},
        "OLD_IMAGE": {"OldImage": old},
        "NEW_AND_OLD_IMAGES": {"NewImage": new, "OldImage": old},
    }.items():
        table, arn = create_with_stream("view-" + view, view)
        set_n = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": 2}}
        table.put_item(Item={"id": "a", "n": 1})
        table.put_item(Item={"id": "a", "n": 1})  # changes nothing
        table.update_item(Key={"id": "a"}, **set_n)
        table.update_item(Key={"id": "a"}, **set_n)  # changes nothing
        table.delete_item(Key={"id": "a"})
        table.delete_item(Key={"id": "a"})  # nothing is there
        found = records(arn)
        assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"], view
        modified = found[1]["dynamodb"]
        assert {name: modified[name] for name in modified if name.endswith("Image")} == images, view
        assert modified["Keys"] == {"id": {"S": "a"}} and modified["StreamViewType"] == view
        inserted, removed = found[0]["dynamodb"], found[2]["dynamodb"]
        assert "OldImage" not in inserted and "NewImage" not in removed
        assert ("NewImage" in inserted, "OldImage" in removed) == ("NewImage" in images, "OldImage" in images)
        assert len({record["eventID"] for record in found}) == 3
        assert all(record["awsRegion"] == "us-east-1" and record["eventSource"] == "aws:dynamodb" for record in found)


def records_of_an_item_are_in_the_order_of_its_writes():
    table, arn = create_with_stream("ordered", "NEW_IMAGE")
    answers = {}

    def count(name):
        for _ in range(20):
            answer = db.update_item(
                TableName="ordered",
                Key={"id": {"S": name}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
                ReturnValues="UPDATED_NEW",
            )
            answers.setdefault(name, []).append(int(answer["Attributes"]["n"]["N"]))

    # Two writers of each item.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, ["a", "b", "c", "d"] * 2))
    found = records(arn)
    for name in "abcd":
        images = [record["dynamodb"]["NewImage"] for record in found if record["dynamodb"]["Keys"]["id"]["S"] == name]
        assert [int(image["n"]["N"]) for image in images] == list(range(1, 41)), name
        assert sorted(answers[name]) == list(range(1, 41)), name
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in found]
    assert numbers == sorted(set(numbers))


def iterators_begin_where_they_say():
    for name in ("it3", "i" * 255):
        table, arn = create_with_stream(name, "KEYS_ONLY")
        [shard] = shards(arn)
        assert 28 <= len(shard["ShardId"]) <= 65
        for item in "abc":
            table.put_item(Item={"id": item})
        latest = iterate(arn, shard, "LATEST")
        table.put_item(Item={"id": "d"})
        second = records(arn)[1]["dynamodb"]["SequenceNumber"]

        def ids(iterator, **more):
            page = streams.get_records(ShardIterator=iterator, **more)
            return "".join(record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]), page["NextShardIterator"]

        assert ids(iterate(arn, shard, "TRIM_HORIZON"))[0] == "abcd"
        assert ids(iterate(arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=second))[0] == "bcd"
        assert ids(iterate(arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=second))[0] == "cd"
        found, following = ids(latest)
        assert found == "d"
        assert ids(following)[0] == ""
        found, following = ids(iterate(arn, shard, "TRIM_HORIZON"), Limit=3)
        assert (found, ids(following)[0]) == ("abc", "d")
        [shard] = shards(arn)
        assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        iterator = iterate(arn, shard, "TRIM_HORIZON")
        refused("ValidationException", streams.get_records, ShardIterator=iterator, Limit=1001)


def expired_items_go_and_their_records_name_the_service():
    table, arn = create_with_stream("expiring", "OLD_IMAGE")
    due = {"Enabled": True, "AttributeName": "due"}
    db.update_time_to_live(TableName="expiring", TimeToLiveSpecification=due)
    described = db.describe_time_to_live(TableName="expiring")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "due"}
    now = int(time.time())
    year = 365 * 24 * 60 * 60
    stays = {
        "older than five years": now - 5 * year - 60,
        "text": str(now - 1),
        "milliseconds": (now - 1) * 1000,
        "later": now + 1000,
    }
    for name, value in stays.items():
        table.put_item(Item={"id": name, "due": value})
    began = time.monotonic()
    table.put_item(Item={"id": "gone", "due": now - 1, "room": "lobby"})
    while "Item" in table.get_item(Key={"id": "gone"}, ConsistentRead=True):
        assert time.monotonic() < began + 3, "an expired item stays"
        time.sleep(0.02)
    time.sleep(1.5)  # one more look
    assert {item["id"] for item in table.scan()["Items"]} == set(stays)
    [removed] = [record for record in records(arn) if record["eventName"] == "REMOVE"]
    assert removed["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert removed["dynamodb"]["OldImage"]["room"] == {"S": "lobby"}
    table.delete_item(Key={"id": "later"})
    assert "userIdentity" not in records(arn)[-1]


globals()[case]()
print("ok")
