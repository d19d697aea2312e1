"""Chats once with the `websockets` library: URL CA_FILE USER. Prints what came and the close code as JSON."""

import json
import ssl
import sys

from websockets.sync.client import connect

url, ca, user = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca) if url.startswith("wss:") else None
headers = {"Authorization": f"Bearer {user}:sesame"}
with connect(url, ssl=tls, additional_headers=headers, open_timeout=30) as socket:
    socket.send(json.dumps({"action": "chat", "message": "hi"}))
    received = json.loads(socket.recv(timeout=30))
assert received["from"] == user, received
print(json.dumps({**received, "closed": socket.close_code}))
