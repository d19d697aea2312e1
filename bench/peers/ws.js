// An echo on Node's `ws`: node ws.js NODE_MODULES
const { WebSocketServer } = require(process.argv[2] + "/ws");
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () => {
  const { address, port } = server.address();
  console.log(`${address}:${port}`);
});
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
