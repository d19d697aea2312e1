"""Runs the public Autobahn suite against the engine's echo: autobahn.py PYTHON27 PACKAGES ECHO REPORTS [CASE ...]"""

import collections
import json
import subprocess
import sys
from pathlib import Path

# The suite finds its packages where they were installed, namespaces included.
START = ("import site, sys; site.addsitedir(sys.argv.pop(1)); "
         "from autobahntestsuite.wstest import run; run()")

python, packages, echo, reports, *cases = sys.argv[1:]
reports = Path(reports)
reports.mkdir(parents=True, exist_ok=True)
# The largest message of the suite is 16 MiB.
server = subprocess.Popen([echo, "--max-message", str(64 << 20), "--deflate", "on"], stdout=subprocess.PIPE, text=True)
try:
    address = server.stdout.readline().strip()
    specification = reports / "specification.json"
    specification.write_text(json.dumps({
        "outdir": str(reports),
        "servers": [{"agent": "stillwire", "url": f"ws://{address}"}],
        "cases": cases or ["*"],
        "exclude-cases": [],
    }))
    with open(reports / "output.log", "w") as log:
        subprocess.run([python, "-c", START, packages, "-m", "fuzzingclient", "-s", specification],
                       check=True, stdout=log, stderr=log)
finally:
    server.kill()
    server.wait()

verdicts = json.loads((reports / "index.json").read_text())["stillwire"]
counts = collections.Counter((kind, verdict[kind]) for verdict in verdicts.values() for kind in ("behavior", "behaviorClose"))
for (kind, said), count in sorted(counts.items()):
    print(f"{kind}: {count} {said}")
failed = [f"{case} ({verdict['behavior']}, close {verdict['behaviorClose']})" for case, verdict in verdicts.items()
          if "FAILED" in verdict["behavior"] + verdict["behaviorClose"]]
if failed or not verdicts:
    sys.exit(f"failed: {', '.join(failed) or 'no case ran'}")
