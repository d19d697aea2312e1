// A debugger for Node.js: attaches to the inspector at PORT, says that the program waits, and lets it run.
//
// Usage: inspector.js PORT.

const WebSocket = require("ws");

const port = process.argv[2];

async function target() {
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
      return (await answer.json())[0].webSocketDebuggerUrl;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error("nobody listens");
}

target().then((url) => {
  const socket = new WebSocket(url);
  const send = (id, method) => socket.send(JSON.stringify({ id, method }));
  socket.on("open", () => ["Runtime.enable", "Debugger.enable", "Runtime.runIfWaitingForDebugger"].forEach((method, id) => send(id, method)));
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.method === "Debugger.paused") {
      console.log("paused");
      send(9, "Debugger.resume");
    } else if (message.id === 9) {
      process.exit(0);
    }
  });
});
