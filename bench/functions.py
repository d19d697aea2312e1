"""Measures what environments of functions cost: forked from a template, and as processes of their own; and messages to
functions, beside their parts, and beside serverless-offline.

Run by `cargo xtask bench functions [PART ...]`; the parts are the functions below. Both ways are measured in the same run,
with the same handler. CPU is that of all processes below the supervisor, as the kernel's scheduler counts it.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

from measure import LOAD, REFERENCE, RELEASE, ROOT, ROUNDS, cpu_seconds, main, median
from program import Program, app, children

ENVIRONMENTS = 50
# For so long each environment is busy, so that no two messages go to one.
RESTS_SECONDS = 10
LEARNS_SECONDS = 3
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
NODE_ECHO = "exports.handler = async (event) => ({ statusCode: 200, body: event.body });\n"
MESSAGE_BYTES = 64
TOOLS = ROOT / "target/test-tools/serverless-offline/node_modules"


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


def minors():
    """The Python that runs this, and the newest of those whose forks share most, where one is installed."""
    found = {int(path.name.rpartition(".")[2]) for path in Path.home().glob(".pyenv/versions/*/bin/python3.1[23]")}
    return sorted({sys.version_info.minor, max(found, default=sys.version_info.minor)})


def environments():
    """The first environment is there and its template has rested; then many are wanted at once."""
    print("\n| environments of a function with boto3 | CPU for each further one | until all have answered | init, p50 / largest "
          f"| memory of {ENVIRONMENTS} | |\n| --- | --- | --- | --- | --- | --- |")
    snap_start = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    for minor in minors():
        own = None
        for name, templates, more in ((OWN, False, {}), ("forked from a template", True, {}),
                                      ("forked with the handler loaded (SnapStart)", True, snap_start)):
            code = HANDLER.replace("SECONDS", str(RESTS_SECONDS))
            with Program(app(code, Runtime=f"python3.{minor}", **more), templates, verbose=True) as program:
                asyncio.run(ask(program.url, 1))
                time.sleep(LEARNS_SECONDS)
                before = sum(map(cpu_seconds, program.below()))
                begin = time.perf_counter()
                asyncio.run(ask(program.url, ENVIRONMENTS))
                took = time.perf_counter() - begin
                pids = program.below()
                cpu = (sum(map(cpu_seconds, pids)) - before) / (ENVIRONMENTS - 1) * 1000
                memory, inits = proportional(pids), program.inits()
            own = own or memory
            print(f"| Python 3.{minor}: {name} | {cpu:.1f} ms | {took:.2f} s | {statistics.median(inits):.0f} / {max(inits):.0f} ms "
                  f"| {memory:,.0f} MiB | {memory / own:.3f} |", flush=True)


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


class Offline:
    """serverless-offline, as it is installed, with the same function. It takes clients only where `$connect` has a route."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "index.js").write_text(NODE_ECHO)
        (self.folder / "serverless.yml").write_text(json.dumps({
            "service": "echo", "frameworkVersion": "3", "plugins": ["serverless-offline"],
            "provider": {"name": "aws", "runtime": f"nodejs{node_major()}.x",
                         "websocketsApiRouteSelectionExpression": "$request.body.action"},
            "functions": {"echo": {"handler": "index.handler", "events": [
                {"websocket": {"route": "$connect"}},
                {"websocket": {"route": "$default", "routeResponseSelectionExpression": "$default"}}]}}}))
        (self.folder / "node_modules").symlink_to(TOOLS)
        self.port, http, functions = free_ports(3)
        words = ["node", TOOLS / "serverless/bin/serverless.js", "offline", "start", "--host", "127.0.0.1",
                 "--websocketPort", self.port, "--httpPort", http, "--lambdaPort", functions]
        environment = dict(os.environ, SLS_TELEMETRY_DISABLED="1", SLS_NOTIFICATIONS_MODE="off")
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([*map(str, words)], cwd=self.folder, env=environment, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while not is_open(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                sys.exit(Path(self.log.name).read_text())
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def place(self):
        return f"127.0.0.1:{self.port}", "/"


def node_major():
    return int(subprocess.check_output(["node", "--version"], text=True).lstrip("v").partition(".")[0])


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def offline():
    """The same function in Node.js, ten connections. Ours has one worker; the other takes as many as it likes."""
    ours, theirs = "Stillwire, one worker", "serverless-offline"
    programs = {ours: lambda: Program(app(NODE_ECHO, Runtime=f"nodejs{node_major()}.x", ReservedConcurrentExecutions=1)),
                theirs: Offline}
    found = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, start in programs.items():
            with start() as program:
                load(*program.place(), "echo", 1, 1, MESSAGE_BYTES, 1, 0)  # the first messages load the function
                run = load(*program.place(), "echo", 10, 1, MESSAGE_BYTES, 3, 0)
                found[name].append(run["count"] / run["seconds"])
    rates = {name: statistics.median(runs) for name, runs in found.items()}
    print(f"\n| a function in Node.js, 10 connections | messages/s | of {theirs} |\n| --- | --- | --- |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / rates[theirs]:.1f} |", flush=True)


if __name__ == "__main__":
    main(environments, trips, worker, offline)
