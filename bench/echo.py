"""Measures the connection engine: its echo beside a raw-epoll one that does nothing else, in the same run.

Server on one core, load on the other; candidates take turns, medians of the rounds. Run by `cargo xtask bench echo`.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "target/release"
CANDIDATES = {"raw epoll (R)": ROOT / "reference", "engine": ROOT / "examples/echo"}
CASES = [(100, 1, 64), (100, 1, 1024), (100, 8, 64)]  # connections, in flight, bytes
ROUNDS = 3
SECONDS = 3


def cpu_seconds(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def measure(program, connections, in_flight, size):
    server = subprocess.Popen(["taskset", "-c", "0", program], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        before = cpu_seconds(server.pid)
        load = subprocess.run(
            ["taskset", "-c", "1", ROOT / "load", address, "/", str(connections), str(in_flight), str(size), str(SECONDS)],
            capture_output=True, text=True, check=True)
        cpu = cpu_seconds(server.pid) - before
        found = json.loads(load.stdout)
        rate = found["messages"] / found["seconds"]
        # The load runs a second more than it counts.
        return rate, cpu / (rate * (found["seconds"] + 1)) * 1e6
    finally:
        server.kill()
        server.wait()


def main():
    if os.cpu_count() < 2:
        sys.exit("this needs two cores")
    print(f"\n{platform.platform()}, {os.cpu_count()} cores; {ROUNDS} rounds of {SECONDS} s, medians\n")
    print("| case | server | messages/s | of R | CPU per message | of R |\n| --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        found = {name: [] for name in CANDIDATES}
        for _ in range(ROUNDS):
            for name, program in CANDIDATES.items():
                found[name].append(measure(program, *case))
        middle = {name: [statistics.median(values) for values in zip(*rounds)] for name, rounds in found.items()}
        reference = middle["raw epoll (R)"]
        for name, (rate, cpu) in middle.items():
            connections, in_flight, size = case
            print(f"| {connections} connections, {in_flight} in flight, {size} B | {name} | {rate:,.0f} | "
                  f"{rate / reference[0]:.2f} | {cpu:.2f} us | {cpu / reference[1]:.2f} |")


main()
