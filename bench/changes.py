"""Measures changes of an app that runs: how long after a save it is live.

Run by `cargo xtask bench changes`, which builds the release program and installs `websockets` and the deploy tools. A change
counts from the moment its file is saved to the first answer that shows it; who asks does so without a pause. The base is what
nobody can save: an interpreter that starts, and loads what the handler loads.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time

import websockets

from measure import ROOT, main
from program import Program, app

CHANGES = 15
PLAIN = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'VERSION'}\n"
BOTO = "import boto3\ntable = boto3.client('dynamodb')\n" + PLAIN
NODE = "exports.handler = async () => ({ statusCode: 200, body: 'VERSION' });\n"


def row(what, found, base=None):
    found = sorted(found)
    middle, last = statistics.median(found) * 1e3, found[-1] * 1e3
    ratio = f"{middle / (statistics.median(base) * 1e3):.2f}" if base else ""
    print(f"| {what} | {middle:.0f} ms | {last:.0f} ms | {ratio} |", flush=True)


def head():
    print("\n| what | median | longest | of the base |\n| --- | --- | --- | --- |")


def timed(*words):
    """What a command takes, several times."""
    found = []
    for _ in range(CHANGES):
        begin = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        found.append(time.perf_counter() - begin)
    return found


async def until(url, save, message, expected):
    """Saves, and asks until the answer is the expected one."""
    async with websockets.connect(url) as socket:
        await socket.send(message)
        await socket.recv()  # warm before it begins
        begin = time.perf_counter()
        save()
        while True:
            await socket.send(message)
            if expected(await asyncio.wait_for(socket.recv(), 60)):
                return time.perf_counter() - begin


def code_in_folder(program, name, code, **more):
    """A template whose function is in a folder beside it, and the function's file."""
    template = app(code, **more)
    folder = program / "code"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(code.replace("VERSION", "0"))
    template["Resources"]["Function"]["Properties"]["Code"] = str(folder)
    return template, folder / name


def saved_handler(what, name, code, base, **more):
    import pathlib
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        template, file = code_in_folder(pathlib.Path(folder), name, code, **more)
        found = []
        with Program(template) as program:
            for version in range(1, CHANGES + 1):
                text = code.replace("VERSION", str(version))
                save = lambda: file.write_text(text)  # noqa: E731
                found.append(asyncio.run(until(program.url, save, "{}", lambda got: got == str(version))))
                time.sleep(0.2)
        row(what, found, base)


def handlers():
    """A handler is saved: the next message runs it."""
    head()
    bare = timed(sys.executable, "-c", "pass")
    boto = timed(sys.executable, "-c", "import boto3; boto3.client('dynamodb', region_name='us-east-1')")
    node = timed("node", "-e", "0")
    row("base: an interpreter of Python", bare)
    row("base: an interpreter of Python with a client of boto3", boto)
    row("base: an interpreter of Node.js", node)
    saved_handler("a handler in Python is saved, and its next message answered", "index.py", PLAIN, bare)
    saved_handler("a handler with a client of boto3 is saved, and its next message answered", "index.py", BOTO, boto)
    version = subprocess.run(["node", "-v"], capture_output=True, text=True, check=True).stdout.strip("v\n").split(".")[0]
    saved_handler("a handler in JavaScript is saved, and its next message answered", "index.js", NODE, node,
                  Runtime=f"nodejs{version}.x")


def templates():
    """A template is saved: a route is new, or a variable."""
    head()
    template = app(PLAIN)
    routes, variables = [], []
    with Program(template) as program:
        path = program.folder / "app.json"
        for version in range(CHANGES):
            key = f"more{version}"
            template["Resources"][f"Route{key}"] = {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
                "ApiId": {"Ref": "Api"}, "RouteKey": key,
                "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}}}
            text = json.dumps(template)
            # One-way: a message by it is answered by the next one, which falls to $default.
            routes.append(asyncio.run(route_is_there(program.url, lambda: path.write_text(text), key)))
    template = app("import os\ndef handler(event, context):\n    return {'statusCode': 200, 'body': os.environ['VERSION']}\n",
                   Environment={"Variables": {"VERSION": "0"}})
    with Program(template) as program:
        path = program.folder / "app.json"
        for version in range(1, CHANGES + 1):
            template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]["VERSION"] = str(version)
            text = json.dumps(template)
            save = lambda: path.write_text(text)  # noqa: E731
            variables.append(asyncio.run(until(program.url, save, "{}", lambda got: got == str(version))))
    row("a route is added to the template, until it is taken", routes)
    row("a variable is changed in the template, until the function answers with it", variables)


async def route_is_there(url, save, key):
    """Until a message for the route is not answered, as one for `$default` is."""
    async with websockets.connect(url) as socket:
        begin = time.perf_counter()
        save()
        while True:
            await socket.send(json.dumps({"action": key}))
            await socket.send("{}")
            await socket.recv()
            taken = time.perf_counter()
            try:
                await asyncio.wait_for(socket.recv(), 0.05)
            except asyncio.TimeoutError:
                return taken - begin


def starts():
    """Fixtures from their assemblies and templates to ready."""
    head()
    for name in ["cdk-chat", "sam-chat", "sam-websocketapi", "serverless-chat"]:
        path = ROOT / "examples" / name
        if not path.exists():
            continue
        found = []
        for _ in range(5):
            found.append(start(path))
        row(f"{name}, until it is ready", found)


def start(path):
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        ready = os.path.join(folder, "ready.json")
        environment = dict(os.environ, STILLWIRE_STATE_DIR=os.path.join(folder, "state"),
                           STILLWIRE_CACHE_DIR=str(ROOT / "target/test-tools/cache"))
        words = [ROOT / "target/release/stillwire", "dev", path, "--port", "0", "--in-memory", "--ready-file", ready]
        if (path / "cdk.json").exists():
            words.append("--no-synth")
        begin = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        while not os.path.exists(ready):
            if process.poll() is not None:
                sys.exit(f"{path} did not start")
            time.sleep(0.001)
        took = time.perf_counter() - begin
        process.terminate()
        process.wait(30)
        return took


if __name__ == "__main__":
    main(starts, handlers, templates)
