// HTTP over the inherited socket.

'use strict';

const fs = require('fs');
const net = require('net');

const PREFIX = '/2018-06-01/runtime/';
const NEXT = `GET ${PREFIX}invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`;
// The answer to an outcome, as it nearly always is.
const TAKEN = Buffer.from(
  'HTTP/1.1 202 \r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{"status":"OK"}\n',
);

/** A request that tells something, as parts: text, or bytes. `body` is either. */
function post(path, body, errorType, contentType = 'application/json') {
  const error =
    errorType === undefined
      ? ''
      : // A name of the function's own choice: no header may be made of it.
        `Lambda-Runtime-Function-Error-Type: ${String(errorType).replace(/[^\x20-\x7e]/g, '')}\r\n`;
  const head =
    `POST ${PREFIX}${path} HTTP/1.1\r\nHost: runtime\r\n` +
    `Content-Type: ${contentType.replace(/[^\x20-\x7e]/g, '')}\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n${error}\r\n`;
  return typeof body === 'string' ? [head + body] : [head, body];
}

/** Parts as bytes. */
function bytesOf(parts) {
  const isText = parts.every((part) => typeof part === 'string');
  return isText ? Buffer.from(parts.join('')) : Buffer.concat(parts.map((part) => Buffer.from(part)));
}

/** Takes bytes, gives responses in their order. */
class Link {
  constructor(fd) {
    this.chunks = [];
    this.size = 0;
    this.responses = [];
    this.waiting = null;
    // How many answers of no interest are to come; below zero, how many came before anybody knew of them.
    this.skipped = 0;
    this.fd = fd;
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

  send(parts, sent = () => {}) {
    this.socket.ref();
    const bytes = bytesOf(parts);
    const written = this.socket.writableLength === 0 ? this.writeNow(bytes) : 0;
    if (written === bytes.length) sent();
    else this.socket.write(bytes.subarray(written), sent);
  }

  /** Writes what the kernel takes at once, which is nearly always all: no stream is kept busy with it. */
  writeNow(bytes) {
    try {
      return fs.writeSync(this.fd, bytes);
    } catch {
      return 0; // it is full, or gone: the stream finds out which
    }
  }

  /** Passes over the next response, an answer of no interest. */
  skip() {
    this.skipped += 1;
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
      if (bytes.length >= TAKEN.length && TAKEN.compare(bytes, 0, TAKEN.length) === 0) {
        this.skipped -= 1;
        bytes = bytes.subarray(TAKEN.length);
      }
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
    if (this.skipped > 0) {
      this.skipped -= 1;
      return;
    }
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
