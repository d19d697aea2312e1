// HTTP over the inherited socket.

'use strict';

const fs = require('fs');
const net = require('net');

const PREFIX = '/2018-06-01/runtime/';
const NEXT = `GET ${PREFIX}invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n`;
// As much as is read at once.
const READ_BYTES = 65536;
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

/** The headers of an answer, by their names as Stillwire writes them: in small letters. */
function headersOf(head) {
  const headers = {};
  for (let end = head.indexOf('\r\n'); end >= 0; ) {
    const begin = end + 2;
    const colon = head.indexOf(': ', begin);
    end = head.indexOf('\r\n', colon);
    headers[head.slice(begin, colon)] = head.slice(colon + 2, end < 0 ? undefined : end);
  }
  return headers;
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
    this.needed = 0;
    this.responses = [];
    this.waiting = null;
    // How many answers of no interest are to come; below zero, how many came before anybody knew of them.
    this.skipped = 0;
    this.fd = fd;
    const callback = (count, buffer) => {
      this.take(buffer.subarray(0, count));
      return true; // go on
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback };
    this.socket = new net.Socket({ fd, readable: true, writable: true, onread });
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
    // What is there already waits for its turn of the event loop, in which what the last event left comes to light.
    return new Promise((resolve) => (response ? setImmediate(resolve, response) : (this.waiting = resolve)));
  }

  /** Takes bytes from a room that is used again. */
  take(chunk) {
    let bytes = chunk;
    if (this.size > 0) {
      this.chunks.push(Buffer.from(chunk));
      this.size += chunk.length;
      // A large event comes in many pieces: they are put together once all are there.
      if (this.size < this.needed) return;
      bytes = Buffer.concat(this.chunks);
    }
    this.needed = 0;
    for (;;) {
      if (bytes.length >= TAKEN.length && TAKEN.compare(bytes, 0, TAKEN.length) === 0) {
        this.skipped -= 1;
        bytes = bytes.subarray(TAKEN.length);
      }
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) break;
      const head = bytes.toString('latin1', 0, end);
      const headers = headersOf(head);
      const whole = end + 4 + Number(headers['content-length']);
      if (bytes.length < whole) {
        this.needed = whole;
        break;
      }
      const body = bytes.toString('utf8', end + 4, whole);
      this.give({ status: Number(head.slice(9, 12)), headers, body });
      bytes = bytes.subarray(whole);
    }
    this.chunks = bytes.length > 0 ? [Buffer.from(bytes)] : [];
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
