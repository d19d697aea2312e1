// HTTP over the inherited socket.

'use strict';

const net = require('net');

const PREFIX = '/2018-06-01/runtime/';
const NEXT = Buffer.from(`GET ${PREFIX}invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`);

/** A request that tells something. `body` is text or bytes. */
function post(path, body, errorType, contentType = 'application/json') {
  const bytes = Buffer.from(body);
  const lines = [
    `POST ${PREFIX}${path} HTTP/1.1`,
    'Host: runtime',
    `Content-Type: ${contentType.replace(/[^\x20-\x7e]/g, '')}`,
    `Content-Length: ${bytes.length}`,
  ];
  if (errorType !== undefined) {
    // A name of the function's own choice: no header may be made of it.
    lines.push(`Lambda-Runtime-Function-Error-Type: ${String(errorType).replace(/[^\x20-\x7e]/g, '')}`);
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]);
}

/** Takes bytes, gives responses in their order. */
class Link {
  constructor(fd) {
    this.chunks = [];
    this.size = 0;
    this.responses = [];
    this.waiting = null;
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.socket.on('data', (chunk) => this.take(chunk));
    // The daemon is gone: nobody is left to answer.
    this.socket.on('error', () => process.exit(0));
    this.socket.on('end', () => process.exit(0));
    // While the function is loaded, only what it waits for keeps the event loop alive.
    this.socket.unref();
  }

  ref() {
    this.socket.ref();
  }

  unref() {
    this.socket.unref();
  }

  send(buffers, sent) {
    this.socket.ref();
    this.socket.write(buffers.length === 1 ? buffers[0] : Buffer.concat(buffers), sent);
  }

  receive() {
    const response = this.responses.shift();
    if (response) return Promise.resolve(response);
    return new Promise((resolve) => (this.waiting = resolve));
  }

  take(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
    // A large event comes in many pieces: they are put together once all are there.
    if (this.needed !== undefined && this.size < this.needed) return;
    let bytes = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.needed = undefined;
    for (;;) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) break;
      const [first, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
      const headers = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      const whole = end + 4 + Number(headers['content-length'] || 0);
      if (bytes.length < whole) {
        this.needed = whole;
        break;
      }
      const body = bytes.toString('utf8', end + 4, whole);
      this.give({ status: Number(first.split(' ')[1]), headers, body });
      bytes = bytes.subarray(whole);
    }
    this.chunks = bytes.length > 0 ? [bytes] : [];
    this.size = bytes.length;
  }

  give(response) {
    if (this.waiting === null) {
      this.responses.push(response);
      return;
    }
    const resolve = this.waiting;
    this.waiting = null;
    resolve(response);
  }
}

module.exports = { Link, NEXT, post };
