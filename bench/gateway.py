"""Measures messages through the whole gateway, beside a raw-epoll server that does nothing else (R), and beside Pushpin.

Run by `cargo xtask bench gateway [PART ...]`; the parts are the functions below. `measure.py` is the method.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from measure import R, REFERENCE, RELEASE, Server, compare, main, pinned, table

MESSAGE_BYTES = 64
ANSWER = '{"pad":"' + "x" * (MESSAGE_BYTES - 10) + '"}'
ROUTED, LOGGED, HTTP = "routed", "routed, access log", "through an HTTP integration"


def resource(kind, **properties):
    return {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": {"ApiId": {"Ref": "Api"}, **properties}}


def app(**integration):
    """An API whose message `echo` has an answer of the message's own size. Throttle and metrics are at work."""
    limits = {"ThrottlingRateLimit": 10_000_000, "ThrottlingBurstLimit": 10_000_000, "DetailedMetricsEnabled": True}
    log = {"DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:messages",
           "Format": "$context.requestId $context.identity.sourceIp $context.requestTime $context.routeKey "
                     "$context.status $context.connectionId $context.integrationLatency"}
    mock = {"IntegrationType": "MOCK", "RequestTemplates": {"200": '{"statusCode": 200}'}, "TemplateSelectionExpression": "200"}
    response = resource("IntegrationResponse", IntegrationId={"Ref": "Integration"}, IntegrationResponseKey="$default",
                        TemplateSelectionExpression="200", ResponseTemplates={"200": ANSWER})
    stage = {"AutoDeploy": True, "DefaultRouteSettings": limits}
    resources = {
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
            "Name": "Echo", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
        "Stage": resource("Stage", StageName="plain", **stage),
        "Logged": resource("Stage", StageName="logged", AccessLogSettings=log, **stage),
        "Integration": resource("Integration", **(integration or mock)),
        "Route": resource("Route", RouteKey="echo", RouteResponseSelectionExpression="$default",
                          Target={"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}),
        "RouteResponse": resource("RouteResponse", RouteId={"Ref": "Route"}, RouteResponseKey="$default"),
    }
    if not integration:
        resources["Response"] = response
    return {"Resources": resources}


class Stillwire(Server):
    """The program on an app."""

    def __init__(self, template, stage="plain"):
        self.folder = Path(tempfile.mkdtemp())
        path, ready = self.folder / "app.json", self.folder / "ready.json"
        path.write_text(json.dumps(template))
        words = [RELEASE / "stillwire", "dev", path, "--port", "0", "--data-dir", self.folder / "data", "--ready-file", ready]
        environment = dict(os.environ, STILLWIRE_STATE_DIR=str(self.folder / "state"))
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen(pinned(0, words), stdout=self.log, stderr=self.log, env=environment)
        while not ready.exists():
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(self.log.read())
            time.sleep(0.01)
        [url] = [api["ws"] for api in json.loads(ready.read_text())["apis"] if api["stage"] == stage]
        parts = urlsplit(url.replace("localhost", "127.0.0.1"))
        self.address, self.target = parts.netloc, parts.path

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder)


class Backend:
    """The trivial backend, beside the load."""

    def __enter__(self):
        self.process = subprocess.Popen(pinned(1, [RELEASE / "backend"]), stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Pushpin(Server):
    """Pushpin in front of the backend, by its WebSocket-over-HTTP; all its processes share the first core."""

    target = "/echo"

    def __init__(self, backend, port=17_999):
        self.folder = Path(tempfile.mkdtemp())
        # As Debian runs it: zurl, its HTTP client, is a service of its own.
        zurl = self.config("zurl.conf", "/etc/zurl.conf", ("/var/run/zurl", self.folder))
        inside = self.config("internal.conf", "/usr/lib/pushpin/internal.conf", ("/var/run/zurl", self.folder))
        (self.folder / "routes").write_text(f"* {backend.address},over_http\n")
        pushpin = self.config("pushpin.conf", "/etc/pushpin/pushpin.conf", ("{libdir}/internal.conf", inside), (
            "/var/run/pushpin", self.folder), ("/var/log/pushpin", self.folder), ("routesfile=routes", f"routesfile={self.folder}/routes"))
        commands = ["zurl", f"--config={zurl}"], [
            "pushpin", "--config", pushpin, "--port", f"127.0.0.1:{port}", "--loglevel", "0"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [subprocess.Popen(pinned(0, words), **quiet) for words in commands]
        self.address = f"127.0.0.1:{port}"
        time.sleep(3)

    def config(self, name, original, *changes):
        text = Path(original).read_text()
        for before, after in changes:
            text = text.replace(before, str(after))
        (self.folder / name).write_text(text)
        return self.folder / name

    def pids(self):
        own = [process.pid for process in self.processes]
        return own + [int(child) for pid in own for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)
        shutil.rmtree(self.folder)


def routing():
    """Route selection on the message, throttle, metrics, a `MOCK` integration with a route response."""
    candidates = {R: REFERENCE, ROUTED: lambda: Stillwire(app()), LOGGED: lambda: Stillwire(app(), "logged")}
    table("messages")
    for in_flight in 1, 8:
        title = f"100 connections, {in_flight} in flight, {MESSAGE_BYTES} B"
        found = compare(title, candidates, "echo", 100, in_flight, MESSAGE_BYTES, 3, 0)
        print(f"| the access log's share | | {found[LOGGED]['rate'] / found[ROUTED]['rate'] - 1:+.1%} | | | |")


def http():
    """Each message is a request to a backend, and its response the answer."""
    with Backend() as backend:
        template = app(IntegrationType="HTTP_PROXY", IntegrationMethod="POST", IntegrationUri=f"http://{backend.address}/echo")
        candidates = {HTTP: lambda: Stillwire(template)}
        if shutil.which("pushpin"):
            candidates = {"Pushpin": lambda: Pushpin(backend), **candidates}
        else:
            print("Pushpin is not installed (Debian has it: `apt-get install pushpin`), so there is nothing to compare with.")
        first = next(iter(candidates))
        table("messages", first)
        for connections in 1, 100:
            title = f"{connections} connections, 1 in flight, {MESSAGE_BYTES} B"
            compare(title, candidates, "echo", connections, 1, MESSAGE_BYTES, 3, 0, to=first)


main(routing, http)
