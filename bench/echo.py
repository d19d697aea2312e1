"""Measures the connection engine: its echo beside a raw-epoll one that does nothing else, in the same run.

Server on one core, load on the other; candidates take turns, medians of the rounds. Run by `cargo xtask bench echo`.
"""

import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "target/release"
CANDIDATES = {"raw epoll (R)": ROOT / "reference", "engine": ROOT / "examples/echo"}
CASES = [(100, 1, 64), (100, 1, 1024), (100, 8, 64)]  # connections, in flight, bytes
IDLE = (1000, 5000, 15000)
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


HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def user_memory(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Dirty", "Private_Clean")))


def idle_bytes(program, connections):
    """User memory per idle connection: private memory before and after, divided."""
    server = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    try:
        host, port = server.stdout.readline().strip().rsplit(":", 1)
        # What the first connections bring into memory for good is not theirs.
        sockets = [connect(host, int(port)) for _ in range(100)]
        before = user_memory(server.pid)
        sockets += [connect(host, int(port)) for _ in range(connections)]
        time.sleep(3)
        return (user_memory(server.pid) - before) * 1024 / connections
    finally:
        server.kill()
        server.wait()


def connect(host, port):
    connection = socket.create_connection((host, port))
    connection.sendall(HANDSHAKE)
    if not connection.recv(4096).startswith(b"HTTP/1.1 101"):
        sys.exit("the handshake was refused")
    return connection


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
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print("\n| idle connections | user memory for each |\n| --- | --- |")
    for connections in IDLE:
        print(f"| {connections:,} | {idle_bytes(CANDIDATES['engine'], connections):,.0f} B |")


main()
