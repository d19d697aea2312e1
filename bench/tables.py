"""Measures tables beside the engine as it comes and beside other emulators; how soon a record of a stream is with its
function; and what a connect costs that writes into a table.

Run by `cargo xtask bench tables [PART ...]`; the parts are the functions below. Candidates take turns, medians of the
rounds count.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import websockets
from botocore.config import Config

from measure import RELEASE, ROOT, ROUNDS, main, median
from program import Program, app

TOOLS = ROOT / "target/test-tools"
SECONDS = 2
OPERATIONS = ["PutItem", "GetItem", "DeleteItem", "Scan"]
ECHO = "def handler(event, context):\n    return {'statusCode': 200}\n"


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Tables:
    """A server of tables. It is ready when it lists them."""

    def __init__(self, words, address=None, environment=None):
        self.process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env=environment)
        self.address = address or self.process.stdout.readline().strip()
        self.fill()

    def client(self):
        return boto3.client("dynamodb", endpoint_url=f"http://{self.address}", region_name="us-east-1",
                            aws_access_key_id="key", aws_secret_access_key="secret",
                            config=Config(retries={"total_max_attempts": 1}))

    def fill(self):
        db, deadline = self.client(), time.monotonic() + 60
        while True:
            try:
                db.list_tables()
                break
            except Exception:
                if time.monotonic() > deadline:
                    sys.exit(f"the server at {self.address} does not answer")
                time.sleep(0.05)
        db.create_table(TableName="load", BillingMode="PAY_PER_REQUEST",
                        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
        db.get_waiter("table_exists").wait(TableName="load", WaiterConfig={"Delay": 1})
        items = [{"id": {"S": f"connection-{n:06}"}, "room": {"S": "lobby"}, "user": {"S": "ada lovelace"},
                  "since": {"N": "1764000000"}} for n in range(1000)]
        for at in range(0, 1000, 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[at:at + 25]]
            db.batch_write_item(RequestItems={"load": puts})

    def load(self, operation, clients):
        words = [RELEASE / "tables", self.address, operation, str(clients), str(SECONDS)]
        ran = subprocess.run(words, stdout=subprocess.PIPE, timeout=120)
        if ran.returncode != 0:
            sys.exit(f"the load {operation} on {self.address} failed")
        found = json.loads(ran.stdout)
        found["rate"] = found["count"] / found["seconds"]
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Ours(Tables):
    """The whole program on an app, over its AWS endpoint."""

    def __init__(self, in_file=False):
        self.program = Program(app(ECHO), in_memory=not in_file)
        self.address = self.program.ready["aws_endpoint"].removeprefix("http://").replace("localhost", "127.0.0.1")
        self.fill()

    def __exit__(self, *_):
        self.program.__exit__()


def on_port(make):
    port = free_port()
    return Tables(make(port), address=f"127.0.0.1:{port}")


PEERS = ROOT / "bench/peers/target/release"
ENGINE = "its engine as it comes"
MEMORY = {
    "Stillwire": Ours,
    ENGINE: lambda: Tables([PEERS / "dynoxide"]),
    "dynalite": lambda: on_port(lambda port: ["node", TOOLS / "dynalite/node_modules/dynalite/cli.js", "--port", port,
                                              "--createTableMs", "0"]),
    "moto": lambda: on_port(lambda port: [TOOLS / "moto/bin/moto_server", "-H", "127.0.0.1", "-p", port]),
}
FILES = {
    "Stillwire": lambda: Ours(in_file=True),
    ENGINE: lambda: Tables([PEERS / "dynoxide", Path(tempfile.mkdtemp()) / "tables.db"]),
}


def rounds(title, candidates, operations, to=ENGINE):
    for clients in (1, 32):
        found = {(name, operation): [] for name in candidates for operation in operations}
        for _ in range(ROUNDS):
            for name, candidate in candidates.items():
                with candidate() as server:
                    for operation in operations:
                        # Deleting first would leave nothing to find.
                        found[name, operation].append(server.load(operation, clients))
        middle = {key: median(runs) for key, runs in found.items()}
        for operation in operations:
            for name in candidates:
                of = middle[name, operation]
                print(f"| {title} | {clients} | {operation} | {name} | {of['rate']:,.0f} | "
                      f"{of['rate'] / middle[to, operation]['rate']:.2f} | {of['p50_us'] / 1000:.2f} / "
                      f"{of['p99_us'] / 1000:.2f} ms |", flush=True)


def head():
    print(f"\n| tables | clients | operation | server | requests/s | of {ENGINE} | p50 / p99 |\n"
          "| --- | --- | --- | --- | --- | --- | --- |")


def memory():
    """In memory, beside the engine and other emulators."""
    head()
    rounds("in memory", MEMORY, ["GetItem", "PutItem", "Scan", "DeleteItem"])


def files():
    """In files, each write on the disk before its answer."""
    head()
    rounds("in a file", FILES, ["GetItem", "PutItem", "DeleteItem"])


def reads():
    """One who reads items of files, alone and while 32 others write."""
    waits = {(name, writers): [] for name in FILES for writers in (0, 32)}
    for _ in range(ROUNDS):
        for name, candidate in FILES.items():
            with candidate() as server:
                waits[name, 0].append(server.load("GetItem", 1)["p99_us"])
                words = [RELEASE / "tables", server.address, "PutItem", "32", str(2 * SECONDS)]
                with subprocess.Popen(words, stdout=subprocess.DEVNULL) as writing:
                    time.sleep(SECONDS / 2)
                    waits[name, 32].append(server.load("GetItem", 1)["p99_us"])
                    if writing.wait(120) != 0:
                        sys.exit(f"the writers on {server.address} failed")
    print("\n| GetItem, in a file | p99 alone | p99 beside 32 that write | ratio |\n| --- | --- | --- | --- |")
    for name in FILES:
        alone, beside = statistics.median(waits[name, 0]), statistics.median(waits[name, 32])
        print(f"| {name} | {alone / 1000:.2f} ms | {beside / 1000:.2f} ms | {beside / alone:.1f} |", flush=True)


STREAMED = """
import json, os, socket, time
address = os.environ["REPORT"].split(":")
told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def handler(event, context):
    now = time.time()
    for record in event["Records"]:
        told.sendto(json.dumps([record["dynamodb"]["Keys"]["id"]["S"], now]).encode(), (address[0], int(address[1])))
"""


def stream():
    """From the acknowledged write to the first line of the function that its record calls."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    listener.settimeout(10)
    template = app(STREAMED, Environment={"Variables": {"REPORT": "127.0.0.1:%d" % listener.getsockname()[1]}})
    template["Resources"]["Table"] = {"Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "streamed", "BillingMode": "PAY_PER_REQUEST", "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}
    template["Resources"]["Mapping"] = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
        "EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]}, "FunctionName": {"Ref": "Function"},
        "StartingPosition": "LATEST"}}
    with Program(template) as program:
        db = boto3.client("dynamodb", endpoint_url=program.ready["aws_endpoint"], region_name="us-east-1",
                          aws_access_key_id="key", aws_secret_access_key="secret")
        times = []
        for number in range(550):
            name = f"item {number}"
            db.put_item(TableName="streamed", Item={"id": {"S": name}})
            acknowledged = time.time()
            while True:
                told, when = json.loads(listener.recv(1000))
                if told == name:
                    break
            times.append((when - acknowledged) * 1000)
            time.sleep(0.005)
    times = sorted(times[50:])
    print("\n| write acknowledged → function runs | p50 | p99 |\n| --- | --- | --- |")
    print(f"| {len(times)} records, one at a time | {times[len(times) // 2]:.2f} ms | {times[len(times) * 99 // 100]:.2f} ms |")


CONNECT = """
import boto3, time
table = boto3.resource("dynamodb").Table("connections")
def handler(event, context):
    if event.get("type") == "REQUEST":
        return {"principalId": "ada", "policyDocument": {"Version": "2012-10-17", "Statement": [
            {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}]}}
    if event["requestContext"]["eventType"] == "CONNECT":
        began = time.process_time()
        table.put_item(Item={"id": event["requestContext"]["connectionId"], "room": "lobby"})
        print("CPU of put_item:", (time.process_time() - began) * 1e6)
    return {"statusCode": 200}
"""


def connect():
    """Authorizer, `$connect` with `put_item`, and the 101: how many a second, beside the CPU that the handler alone takes."""
    template = app(CONNECT)
    resources = template["Resources"]
    target = {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}
    resources["Authorizer"] = {"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": {
        "ApiId": {"Ref": "Api"}, "Name": "all", "AuthorizerType": "REQUEST", "IdentitySource": ["route.request.header.Auth"],
        "AuthorizerUri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"}}}
    for key, more in {"$connect": {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "Authorizer"}}, "$disconnect": {}}.items():
        resources["Route" + key[1:]] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": {"Ref": "Api"}, "RouteKey": key, "Target": target, **more}}
    resources["Table"] = {"Type": "AWS::DynamoDB::Table", "Properties": {
        "TableName": "connections", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}
    count, side_by_side = 400, 8

    async def one(url):
        async with websockets.connect(url, additional_headers={"Auth": "x"}):
            pass

    async def many(url, total):
        gate = asyncio.Semaphore(side_by_side)

        async def next_one():
            async with gate:
                await one(url)
        began = time.perf_counter()
        await asyncio.gather(*(next_one() for _ in range(total)))
        return total / (time.perf_counter() - began)

    rates, handler = [], []
    for _ in range(ROUNDS):
        with Program(template, verbose=True) as program:
            asyncio.run(many(program.url, 50))
            rates.append(asyncio.run(many(program.url, count)))
            log = Path(program.log.name).read_text()
        lines = [float(line.rsplit(":", 1)[1]) for line in log.splitlines() if "CPU of put_item:" in line]
        handler.append(statistics.median(lines))
    rate, cpu = statistics.median(rates), statistics.median(handler)
    print("\n| connects (authorizer, put_item, 101), 8 at a time | CPU of put_item in the handler |\n| --- | --- |")
    print(f"| {rate:,.0f}/s ({1e3 / rate:.2f} ms each) | {cpu / 1000:.2f} ms |")


if __name__ == "__main__":
    main(memory, files, reads, stream, connect)
