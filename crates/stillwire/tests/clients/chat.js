// Chats once with the `ws` library: URL CA_FILE USER. Prints what came and the close code as JSON.
const fs = require("node:fs");
const WebSocket = require("ws");

const [url, ca, user] = process.argv.slice(2);
const socket = new WebSocket(url, {
  ca: fs.readFileSync(ca),
  headers: { Authorization: `Bearer ${user}:sesame` },
  handshakeTimeout: 30000,
});
let received;
socket.on("open", () => socket.send(JSON.stringify({ action: "chat", message: "hi" })));
socket.on("message", (data) => {
  received = JSON.parse(data.toString());
  socket.close(1000);
});
socket.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
socket.on("close", (closed) => {
  if (received?.from !== user) process.exit(1);
  console.log(JSON.stringify({ ...received, closed }));
});
