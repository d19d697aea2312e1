"""Measures the connection engine beside a raw-epoll server that does nothing else (R), and beside peers.

Run by `cargo xtask bench engine [PART ...]`; the parts are the functions below. `measure.py` is the method.
"""

import socket
import ssl
import sys
import tempfile
import time

from measure import R, REFERENCE, RELEASE, ROOT, Server, compare, cpu_seconds, main, table, turns

ENGINE = "engine"
CANDIDATES = {R: REFERENCE, ENGINE: [RELEASE / "examples/echo"]}
PEERS = {
    "fastwebsockets": [ROOT / "bench/peers/target/release/fastwebsockets"],
    "tungstenite": [ROOT / "bench/peers/target/release/tungstenite"],
    "Node ws": ["node", ROOT / "bench/peers/ws.js", ROOT / "target/test-tools/node/node_modules"],
}


def peers():
    return {name: words for name, words in PEERS.items() if name == "Node ws" or words[0].exists()}


def echo():
    table("messages")
    for connections, in_flight, size in (100, 1, 64), (100, 1, 1024), (100, 8, 64):
        title = f"{connections} connections, {in_flight} in flight, {size} B"
        compare(title, CANDIDATES | peers(), "echo", connections, in_flight, size, 3, 0)


def crowd():
    """The same rate with many silent connections beside those that talk."""
    table("messages")
    for idle in 900, 17_900:
        compare(f"100 connections and {idle:,} silent ones", CANDIDATES, "echo", 100, 1, 64, 3, idle)


def churn():
    table("connections")
    compare("connect, upgrade, leave; 32 at once", CANDIDATES, "churn", 32, 3)


def posts():
    table("posts")
    compare("POST to one of 100 connections, 256 B, 32 at once", CANDIDATES, "posts", 100, 32, 256, 3)


def broadcast():
    table("deliveries")
    compare("one message of 256 B to 10,000 connections", CANDIDATES, "broadcast", 10_000, 20, 256)


def paced():
    print("\n| open loop | server | p50 | p99 | of R | p99.9 | lost |\n| --- | --- | --- | --- | --- | --- | --- |")
    middle = turns(CANDIDATES, "paced", 100, 50_000, 64, 4)
    for name, of in middle.items():
        print(f"| 50,000 messages/s, 100 connections | {name} | {of['p50']:,.0f} us | {of['p99']:,.0f} us | "
              f"{of['p99'] / middle[R]['p99']:.2f} | {of['p999']:,.0f} us | {of['lost']:,.0f} |")


HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def connect(server, number, context=None):
    host, port = server.address.rsplit(":", 1)
    source = (f"127.0.0.{number % 64 + 2}", 0)
    connection = socket.create_connection((host, int(port)), source_address=source)
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    connection.sendall(HANDSHAKE)
    if not connection.recv(4096).startswith(b"HTTP/1.1 101"):
        sys.exit("the handshake was refused")
    return connection


def burst(connections):
    """Each sends a large message and gets it back."""
    frame = b"\x82\xfe\x75\x30\0\0\0\0" + b"x" * 30_000
    for connection in connections:
        connection.sendall(frame)
        due = len(frame) - 4
        while due > 0:
            due -= len(connection.recv(65_536))


def memory():
    print("\n| idle connections | over | user memory for each | after a burst of large messages | idle CPU of a core |"
          "\n| --- | --- | --- | --- | --- |")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tempfile.TemporaryDirectory() as folder:
        for count, tls in ((1000, False), (5000, False), (18_000, False), (1000, True), (5000, True), (18_000, True)):
            with Server(CANDIDATES[ENGINE], "--tls", folder) as server:
                secure = context if tls else None
                # What the first connections bring into memory for good is not theirs.
                first = [connect(server, number, secure) for number in range(200)]
                burst(first)
                time.sleep(1)
                before = server.memory()
                more = [connect(server, number, secure) for number in range(count)]
                time.sleep(3)
                each = (server.memory() - before) / count
                burst(more[:2000])
                time.sleep(3)
                after = (server.memory() - before) / count
                cpu = cpu_seconds(server.process.pid)
                time.sleep(10)
                cpu = (cpu_seconds(server.process.pid) - cpu) / 10
                print(f"| {count:,} | {'TLS' if tls else 'plain'} | {each:,.0f} B | {after:,.0f} B | {cpu:.3%} |", flush=True)
                for connection in first + more:
                    connection.close()


main(echo, crowd, churn, posts, broadcast, paced, memory)
