"""Measures `stillwire dev`: start, cold and warm messages, the gateway's own share, memory.

Run by `cargo xtask bench`, which builds the release program and installs `websockets`. Everything runs on this
machine over loopback; client and server share its cores. Prints what it did, then a table in Markdown.
"""

import asyncio
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target/release/stillwire"
STARTS = 7
MESSAGES = 2000

ECHO = {
    "Resources": {
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
            "Name": "Echo", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
        "Stage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {
            "ApiId": {"Ref": "Api"}, "StageName": "test", "AutoDeploy": True}},
        "Echo": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": "python3.12", "Handler": "index.handler", "Timeout": 10,
            "Code": {"ZipFile": "def handler(event, context):\n    return {'statusCode': 200, 'body': event['body']}\n"}}},
        "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
            "ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY", "IntegrationUri": {"Fn::GetAtt": ["Echo", "Arn"]}}},
        "Route": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": {"Ref": "Api"}, "RouteKey": "$default", "RouteResponseSelectionExpression": "$default",
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}}},
        "Response": {"Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": {
            "ApiId": {"Ref": "Api"}, "RouteId": {"Ref": "Route"}, "RouteResponseKey": "$default"}},
    }
}


class Running:
    """One `stillwire dev`, from its start to its stop."""

    def __init__(self, path, folder, cache, arguments=()):
        self.ready_file = Path(tempfile.mktemp(dir=folder))
        self.log = open(Path(folder) / f"log-{time.monotonic_ns()}", "w+")
        environment = dict(os.environ, STILLWIRE_CACHE_DIR=str(cache), STILLWIRE_STATE_DIR=str(Path(folder) / "state"))
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [PROGRAM, "dev", path, "--port", "0", "--no-synth", "--ready-file", self.ready_file, *arguments],
            stdout=self.log, stderr=self.log, env=environment)
        while not self.ready_file.exists():
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(self.log.read())
            time.sleep(0.001)
        self.ready_seconds = time.perf_counter() - begin
        self.ready = json.loads(self.ready_file.read_text())
        self.url = self.ready["apis"][0]["ws"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.seek(0)
        return self.log.read()


def memory_of(pid):
    """Memory of one process in MiB: resident, and its share of it (pages of several processes count in part)."""
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
    return int(fields["Rss"]) / 1024, int(fields["Pss"]) / 1024


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def quantiles(values):
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


async def first_message(running):
    begin = time.perf_counter()
    async with websockets.connect(running.url, additional_headers={"Authorization": "Bearer ada:sesame"}) as socket:
        connected = time.perf_counter() - begin
        begin = time.perf_counter()
        await socket.send('{"action":"chat","message":"hi"}')
        await socket.recv()
        return connected, time.perf_counter() - begin


async def round_trips(url, headers, message, count):
    async with websockets.connect(url, additional_headers=headers, compression=None) as socket:
        times = []
        for _ in range(count + count // 10):
            begin = time.perf_counter()
            await socket.send(message)
            await socket.recv()
            times.append(time.perf_counter() - begin)
        return times[count // 10:]


async def bare_round_trips(count):
    """The same client against an echo that does nothing else: what client and loopback cost by themselves."""
    async def echo(socket):
        async for message in socket:
            await socket.send(message)
    async with websockets.serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        return await round_trips(f"ws://127.0.0.1:{port}", {}, "x" * 64, count)


def main():
    rows = []
    folder = tempfile.mkdtemp()
    app = Path(folder) / "cdk-chat"
    shutil.copytree(ROOT / "examples/cdk-chat", app, ignore=shutil.ignore_patterns(".stillwire", "__pycache__"))
    cache = Path(folder) / "cache"

    first = Running(app, folder, cache)
    rows.append(("start to ready, first time on a machine (installs boto3)", f"{first.ready_seconds:.2f} s"))
    first.stop()

    starts, connects, messages = [], [], []
    for _ in range(STARTS):
        running = Running(app, folder, cache)
        starts.append(running.ready_seconds)
        connected, message = asyncio.run(first_message(running))
        connects.append(connected)
        messages.append(message)
        running.stop()
    rows.append(("start to ready, again (cdk.out there, nothing to install)", f"{statistics.median(starts):.2f} s"))
    rows.append(("first handshake right after ready (authorizer and `$connect` still cold)", f"{statistics.median(connects):.2f} s"))
    rows.append(("first `chat` message after that handshake", f"{statistics.median(messages) * 1000:.1f} ms"))

    running = Running(app, folder, cache)
    time.sleep(3)  # functions have initialised
    resident, share = memory_of(running.process.pid)
    rows.append(("memory without traffic, Stillwire: resident (proportional)", f"{resident:.1f} MiB ({share:.1f})"))
    resident, share = memory_of(children_of(running.process.pid)[0])
    rows.append(("memory without traffic, its supervisor: resident (proportional)", f"{resident:.1f} MiB ({share:.1f})"))
    chat = asyncio.run(round_trips(
        running.url, {"Authorization": "Bearer ada:sesame"}, '{"action":"chat","message":"hi"}', MESSAGES // 4))
    p50, p99 = quantiles(chat)
    rows.append(("warm `chat` round trip (get_item, scan, one post), p50 / p99", f"{p50 * 1000:.2f} / {p99 * 1000:.2f} ms"))
    running.stop()

    template = Path(folder) / "echo.json"
    template.write_text(json.dumps(ECHO))
    running = Running(template, folder, cache, ["--in-memory", "--verbose"])
    time.sleep(1)
    echo = asyncio.run(round_trips(running.url, {}, '{"action":"x","pad":"' + "x" * 40 + '"}', MESSAGES))
    log = running.stop()
    in_function = [float(found) / 1000 for found in re.findall(r"\tDuration: ([\d.]+) ms", log)][-MESSAGES:]
    bare = asyncio.run(bare_round_trips(MESSAGES))
    p50, p99 = quantiles(echo)
    rows.append(("warm echo through a function and back, p50 / p99", f"{p50 * 1000:.2f} / {p99 * 1000:.2f} ms"))
    function_p50, _ = quantiles(in_function)
    bare_p50, bare_p99 = quantiles(bare)
    rows.append(("of it in the function (its REPORT lines), p50", f"{function_p50 * 1000:.2f} ms"))
    rows.append(("the same client against a bare Python echo, p50 / p99", f"{bare_p50 * 1000:.2f} / {bare_p99 * 1000:.2f} ms"))
    rows.append(("echo less function: client, loopback and the gateway's share, p50", f"{(p50 - function_p50) * 1000:.2f} ms"))

    shutil.rmtree(folder)
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | measured |\n| --- | --- |")
    for what, value in rows:
        print(f"| {what} | {value} |")


main()
