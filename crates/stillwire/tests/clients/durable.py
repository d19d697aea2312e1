"""Writes to tables until the program is gone, and looks later what is there.

Usage: durable.py write ENDPOINT FILE ROUND | durable.py check ENDPOINT FILE

Each writer notes an item in FILE once it was acknowledged. Pairs are written in transactions.
"""

import json
import sys
import threading
import time

import boto3
from botocore.config import Config

what, endpoint, file = sys.argv[1:4]


def client(service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=40, read_timeout=10),
    )


db = client("dynamodb")
TABLE = "durable"


def create():
    if TABLE not in db.list_tables()["TableNames"]:
        db.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )


def write(round, writer, notes, lock):
    number = 0
    while True:
        name = f"{round}-{writer}-{number}"
        number += 1
        try:
            if writer % 4 == 0:
                names = [name + "-left", name + "-right"]
                puts = [{"Put": {"TableName": TABLE, "Item": {"id": {"S": half}}}} for half in names]
                db.transact_write_items(TransactItems=puts)
            else:
                names = [name]
                db.put_item(TableName=TABLE, Item={"id": {"S": name}})
        except Exception:
            return  # the program is gone
        with lock:
            notes.write("".join(half + "\n" for half in names))
            notes.flush()


def scan():
    found, start = set(), {}
    while True:
        page = db.scan(TableName=TABLE, ProjectionExpression="id", ConsistentRead=True, **start)
        found |= {item["id"]["S"] for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def recorded():
    streams = client("dynamodbstreams")
    arn = db.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    keys = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            keys += [record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return keys


if what == "write":
    create()
    lock = threading.Lock()
    with open(file, "a") as notes:
        writers = [threading.Thread(target=write, args=(sys.argv[4], n, notes, lock)) for n in range(32)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
else:
    acknowledged = set(open(file).read().split())
    found, records = scan(), recorded()
    halves = {name.rsplit("-", 1)[0] for name in found if name.endswith(("-left", "-right"))}
    print(
        json.dumps(
            {
                "acknowledged": len(acknowledged),
                "lost": len(acknowledged - found),
                "half transactions": sum(not {half + "-left", half + "-right"} <= found for half in halves),
                "writes without a record": len(found - set(records)),
                "records without a write": len(set(records) - found),
                "records twice": len(records) - len(set(records)),
            }
        )
    )
