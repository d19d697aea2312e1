"""The release program on a small app, for the benchmarks that need all of it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import RELEASE, ROOT


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

    def __init__(self, template, templates=True, verbose=False, in_memory=True):
        self.folder = Path(tempfile.mkdtemp())
        path, ready = self.folder / "app.json", self.folder / "ready.json"
        path.write_text(json.dumps(template))
        (self.folder / "stillwire.toml").write_text(f"[functions]\ntemplates = {str(templates).lower()}\n")
        environment = dict(os.environ, STILLWIRE_STATE_DIR=str(self.folder / "state"),
                           STILLWIRE_CACHE_DIR=str(ROOT / "target/test-tools/cache"))
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen(
            [RELEASE / "stillwire", "dev", path, "--port", "0", "--ready-file", ready,
             *["--in-memory"] * in_memory, *["--verbose"] * verbose],
            stdout=self.log, stderr=self.log, env=environment)
        while not ready.exists():
            if self.process.poll() is not None:
                sys.exit(Path(self.log.name).read_text())
            time.sleep(0.01)
        self.ready = json.loads(ready.read_text())
        self.url = self.ready["apis"][0]["ws"]

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
