"""Measures what environments of functions cost: forked from a template, and as processes of their own.

Run by `cargo xtask bench functions [PART ...]`; the parts are the functions below. Both ways are measured in the same run,
with the same handler. CPU is that of all processes below the supervisor, as the kernel's scheduler counts it.
"""

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

from measure import LOAD, REFERENCE, RELEASE, ROOT, ROUNDS, cpu_seconds, main, median

ENVIRONMENTS = 50
OWN = "processes of their own"
HANDLER = """
import boto3, time
table = boto3.resource("dynamodb").Table("none")
gateway = boto3.client("apigatewaymanagementapi", endpoint_url="http://localhost:1")
def handler(event, context):
    time.sleep(SECONDS)
    return {"statusCode": 200, "body": "done"}
"""


ECHO = "def handler(event, context):\n    return {'statusCode': 200, 'body': event['body']}\n"
MESSAGE_BYTES = 64


def app(code, **more):
    def resource(kind, **properties):
        return {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": {"ApiId": {"Ref": "Api"}, **properties}}
    return {"Resources": {
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
            "Name": "Api", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
        "Stage": resource("Stage", StageName="test", AutoDeploy=True),
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": f"python3.{sys.version_info.minor}", "Handler": "index.handler", "Timeout": 60,
            "Code": {"ZipFile": code}, **more}},
        "Integration": resource("Integration", IntegrationType="AWS_PROXY", IntegrationUri={"Fn::GetAtt": ["Function", "Arn"]}),
        "Route": resource("Route", RouteKey="$default", RouteResponseSelectionExpression="$default",
                          Target={"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}),
        "Response": resource("RouteResponse", RouteId={"Ref": "Route"}, RouteResponseKey="$default"),
    }}


class Program:
    """The program on an app; its functions are forked or not."""

    def __init__(self, template, templates=True, verbose=False):
        self.folder = Path(tempfile.mkdtemp())
        path, ready = self.folder / "app.json", self.folder / "ready.json"
        path.write_text(json.dumps(template))
        (self.folder / "stillwire.toml").write_text(f"[functions]\ntemplates = {str(templates).lower()}\n")
        environment = dict(os.environ, STILLWIRE_STATE_DIR=str(self.folder / "state"),
                           STILLWIRE_CACHE_DIR=str(ROOT / "target/test-tools/cache"))
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen(
            [RELEASE / "stillwire", "dev", path, "--port", "0", "--in-memory", "--ready-file", ready,
             *["--verbose"] * verbose],
            stdout=self.log, stderr=self.log, env=environment)
        while not ready.exists():
            if self.process.poll() is not None:
                sys.exit(Path(self.log.name).read_text())
            time.sleep(0.01)
        self.url = json.loads(ready.read_text())["apis"][0]["ws"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder)

    def place(self):
        """Address and target, as loads take them."""
        address, _, target = self.url.removeprefix("ws://").replace("localhost", "127.0.0.1").partition("/")
        return address, "/" + target

    def below(self):
        """All processes below the supervisor."""
        [supervisor] = children(self.process.pid)
        return [pid for child in children(supervisor) for pid in [child, *children(child)]]

    def inits(self):
        """What the init phases took, in milliseconds."""
        return [float(found) for found in re.findall(r"Init Duration: ([\d.]+) ms", Path(self.log.name).read_text())]


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def proportional(pids):
    """The memory of these processes together, in MiB: shared pages count once."""
    text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(found) for found in re.findall(r"^Pss:\s+(\d+) kB", text, re.M)) / 1024


async def ask(url, count):
    """So many messages at once, each over a connection of its own."""
    sockets = [await websockets.connect(url, compression=None) for _ in range(count)]
    await asyncio.gather(*(socket.send("{}") for socket in sockets))
    await asyncio.gather(*(socket.recv() for socket in sockets))
    for socket in sockets:
        await socket.close()


def environments():
    """The first environment is there; then many are wanted at once."""
    print("\n| environments of a function with boto3 | CPU for each further one | until all have answered | init, p50 / largest "
          f"| memory of {ENVIRONMENTS} | |\n| --- | --- | --- | --- | --- | --- |")
    found = {}
    snap_start = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    for name, templates, more in ((OWN, False, {}), ("forked from a template", True, {}),
                                  ("forked with the handler loaded (SnapStart)", True, snap_start)):
        with Program(app(HANDLER.replace("SECONDS", "3"), **more), templates, verbose=True) as program:
            asyncio.run(ask(program.url, 1))
            before = sum(map(cpu_seconds, program.below()))
            begin = time.perf_counter()
            asyncio.run(ask(program.url, ENVIRONMENTS))
            took = time.perf_counter() - begin
            pids = program.below()
            cpu = (sum(map(cpu_seconds, pids)) - before) / (ENVIRONMENTS - 1) * 1000
            memory, inits = proportional(pids), program.inits()
        found[name] = memory
        print(f"| {name} | {cpu:.1f} ms | {took:.2f} s | {statistics.median(inits):.0f} / {max(inits):.0f} ms | {memory:,.0f} MiB | "
              f"{memory / found[OWN]:.3f} |", flush=True)


def load(address, target, kind, *numbers):
    return json.loads(subprocess.check_output([LOAD, kind, address, target, *map(str, numbers)], text=True).splitlines()[-1])


def bare_message(count):
    """A message to a server that only echoes."""
    with subprocess.Popen(list(map(str, REFERENCE)), stdout=subprocess.PIPE, text=True) as server:
        found = load(server.stdout.readline().strip(), "/", "trips", MESSAGE_BYTES, count)
        server.kill()
    return found


def bare_cycle(count):
    """An event to a function without anything between."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "index.py").write_text(ECHO)
        settings = {"first": [folder], "last": [], "hosts": [], "aws": ["127.0.0.1", 9]}
        bootstrap = ROOT / "crates/functions/src/python/bootstrap.py"
        words = [RELEASE / "cycle", str(count), sys.executable, "-u", "-s", bootstrap, json.dumps(settings)]
        environment = dict(os.environ, _HANDLER="index.handler")
        return json.loads(subprocess.check_output(words, env=environment, text=True))


def echo_app(**more):
    return Program(app(ECHO, **more))


def trips():
    """What one user waits for, beside the sum of its parts."""
    count, found = 4000, {"message": [], "cycle": [], "both": []}
    for _ in range(ROUNDS):
        found["message"].append(bare_message(count))
        found["cycle"].append(bare_cycle(count))
        with echo_app() as program:
            found["both"].append(load(*program.place(), "trips", MESSAGE_BYTES, count))
    middle = {name: median(runs) for name, runs in found.items()}
    parts = middle["message"]["p50"] + middle["cycle"]["p50"]
    print("\n| one at a time | p50 | p99 | p50 of the two bare ones together |\n| --- | --- | --- | --- |")
    for name, title in (("message", "message to a raw-epoll echo"), ("cycle", "bare Runtime API cycle of a Python function"),
                        ("both", "message through the gateway and a Python function")):
        of = middle[name]
        print(f"| {title} | {of['p50']:.0f} us | {of['p99']:.0f} us | {of['p50'] / parts:.2f} |", flush=True)


def worker():
    """One worker, ten connections."""
    found = {"cycle": [], "both": []}
    for _ in range(ROUNDS):
        found["cycle"].append(bare_cycle(20_000))
        with echo_app(ReservedConcurrentExecutions=1) as program:
            found["both"].append(load(*program.place(), "echo", 10, 1, MESSAGE_BYTES, 3, 0))
    cycle, both = (statistics.median(run["count"] / run["seconds"] for run in found[name]) for name in ("cycle", "both"))
    print("\n| one worker | messages/s | of the bare cycle |\n| --- | --- | --- |")
    print(f"| bare Runtime API cycle | {cycle:,.0f} | 1.00 |\n| 10 connections through the gateway | {both:,.0f} | {both / cycle:.2f} |")


main(environments, trips, worker)
