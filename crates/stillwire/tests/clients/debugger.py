"""A debugger: attaches to PORT, stops at line LINE of FILE, looks at the name NAME there, waits, and goes on.

Usage: debugger.py PORT FILE LINE NAME. Says `attached` once functions may run; then what NAME is.
"""

import itertools
import json
import socket
import sys
import time

port, file, line, name = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]


def connected():
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except OSError:
            time.sleep(0.1)
    sys.exit("nobody listens")


stream = connected().makefile("rwb")
numbers = itertools.count(1)


def send(command, **arguments):
    body = json.dumps({"seq": next(numbers), "type": "request", "command": command, "arguments": arguments}).encode()
    stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    stream.flush()


def receive(kind, what):
    """The next message of this kind; others pass."""
    while True:
        length = 0
        while (head := stream.readline().strip()) != b"":
            if head.lower().startswith(b"content-length:"):
                length = int(head.split(b":")[1])
        message = json.loads(stream.read(length))
        if message["type"] == kind and message.get("command", message.get("event")) == what:
            if not message.get("success", True):
                sys.exit(json.dumps(message))
            return message.get("body") or {}


send("initialize", adapterID="test", linesStartAt1=True, pathFormat="path")
receive("response", "initialize")
send("attach", justMyCode=True)
receive("event", "initialized")
send("setBreakpoints", source={"path": file}, breakpoints=[{"line": line}])
receive("response", "setBreakpoints")
send("configurationDone")
receive("response", "configurationDone")
print("attached", flush=True)
thread = receive("event", "stopped")["threadId"]
send("stackTrace", threadId=thread)
frame = receive("response", "stackTrace")["stackFrames"][0]
send("evaluate", expression=name, frameId=frame["id"])
value = receive("response", "evaluate")["result"]
time.sleep(2)  # longer than the function may take
send("continue", threadId=thread)
print(value, flush=True)
stream.readline()
