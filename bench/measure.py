"""What the benchmarks of servers have in common: a server on one core, load on the other, tables in Markdown.

Candidates take turns in one run, and medians of the rounds count. CPU is the server's, as the kernel's scheduler counts it.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"
LOAD = RELEASE / "load"
R = "raw epoll (R)"
REFERENCE = [RELEASE / "reference"]
ROUNDS = 3


def cpu_seconds(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def pinned(core, words):
    return ["taskset", "-c", str(core), *map(str, words)]


class Server:
    """A server under test, pinned to the first core. It says its address when it is ready."""

    target = "/"

    def __init__(self, words, *more):
        self.process = subprocess.Popen(pinned(0, [*words, *more]), stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def pids(self):
        """The processes whose CPU counts."""
        return [self.process.pid]

    def load(self, kind, *numbers):
        """Runs a load; gives what it found, with the rate and the server's CPU for each."""
        load = subprocess.Popen(pinned(1, [LOAD, kind, self.address, self.target, *numbers]), stdout=subprocess.PIPE, text=True)
        load.stdout.readline()  # it says when it begins
        before = sum(map(cpu_seconds, self.pids()))
        line = load.stdout.readline()
        cpu = sum(map(cpu_seconds, self.pids())) - before
        if load.wait() != 0 or not line:
            sys.exit(f"the load {kind} failed")
        found = json.loads(line)
        found["rate"] = found["count"] / found["seconds"]
        # A load that warms up works longer than it counts.
        found["cpu"] = cpu / (found["rate"] * (found["seconds"] + found["warm_seconds"])) * 1e6
        return found

    def memory(self):
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        lines = (line.split() for line in text.splitlines() if line.startswith(("Private_Dirty", "Private_Clean")))
        return sum(int(words[1]) for words in lines) * 1024


def median(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def turns(candidates, kind, *numbers, rounds=ROUNDS):
    """The medians of each candidate. A candidate makes a server; the words of a command are enough for one."""
    found = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            with candidate() if callable(candidate) else Server(candidate) as server:
                found[name].append(server.load(kind, *numbers))
    return {name: median(runs) for name, runs in found.items()}


def compare(title, candidates, kind, *numbers, to=R, rounds=ROUNDS):
    """Prints rate and CPU of each candidate as rows of a table, with their ratios to one of them."""
    middle = turns(candidates, kind, *numbers, rounds=rounds)
    for name, of in middle.items():
        print(f"| {title} | {name} | {of['rate']:,.0f} | {of['rate'] / middle[to]['rate']:.2f} | "
              f"{of['cpu']:.2f} us | {of['cpu'] / middle[to]['cpu']:.2f} |", flush=True)
    return middle


def table(what, to="R"):
    print(f"\n| case | server | {what}/s | of {to} | CPU for each | of {to} |\n| --- | --- | --- | --- | --- | --- |")


def main(*parts):
    """Runs the parts that the command line names, or all."""
    if os.cpu_count() < 2:
        sys.exit("this needs two cores")
    parts = {part.__name__: part for part in parts}
    wanted = sys.argv[1:] or list(parts)
    if unknown := set(wanted) - set(parts):
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    print(f"\n{platform.platform()}, {os.cpu_count()} cores; {ROUNDS} rounds, medians")
    for part in wanted:
        parts[part]()
