// What a handler gets besides the event: the context, and the callback or the stream for its result.

'use strict';

const { Writable } = require('stream');
const { InvalidStreamingOperation } = require('./errors.cjs');

let constants;

/** What is the same in every context of this environment: to read a variable costs as much as the rest of a context. */
function constantData(env) {
  return {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
}

/** Adds what the environment and the headers of an event tell: one by one, which costs a tenth of `Object.assign`. */
function addData(context, headers) {
  constants ??= constantData(process.env);
  const deadline = deadlineOf(headers);
  context.functionVersion = constants.functionVersion;
  context.functionName = constants.functionName;
  context.memoryLimitInMB = constants.memoryLimitInMB;
  context.logGroupName = constants.logGroupName;
  context.logStreamName = constants.logStreamName;
  context.clientContext = parsed(headers['lambda-runtime-client-context'], 'ClientContext');
  context.identity = parsed(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity');
  context.invokedFunctionArn = headers['lambda-runtime-invoked-function-arn'];
  context.awsRequestId = headers['lambda-runtime-aws-request-id'];
  context.tenantId = headers['lambda-runtime-aws-tenant-id'];
  context.getRemainingTimeInMillis = () => deadline - Date.now();
  return context;
}

/** When the invocation is to be over. An event that was sent ahead tells how long it may take from now. */
function deadlineOf(headers) {
  const limit = headers['stillwire-time-limit-ms'];
  return limit === undefined ? Number(headers['lambda-runtime-deadline-ms']) : Date.now() + Number(limit);
}

function parsed(text, name) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(text, 'latin1').toString());
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

const TRACE = '_X_AMZN_TRACE_ID';
let trace;

function forwardTrace(headers) {
  trace = headers['lambda-runtime-trace-id'] || undefined;
}

/**
 * Has `process.env` give the trace of the invocation, which the X-Ray SDK reads there, and programs that the handler starts.
 *
 * The C library keeps every value that it was ever given for a variable: one for each invocation would grow without end.
 * So this one never gets there. (A worker thread, which begins with what the C library has, does not see it.)
 */
function lendTrace() {
  process.env = new Proxy(process.env, {
    get: (env, name) => (name === TRACE ? trace : env[name]),
    has: (env, name) => (name === TRACE ? trace !== undefined : name in env),
    set(env, name, value) {
      if (name === TRACE) trace = String(value);
      else env[name] = value;
      return true;
    },
    deleteProperty(env, name) {
      if (name === TRACE) trace = undefined;
      else delete env[name];
      return true;
    },
    ownKeys: (env) => (trace === undefined ? Reflect.ownKeys(env) : [...Reflect.ownKeys(env), TRACE]),
    getOwnPropertyDescriptor(env, name) {
      if (name !== TRACE) return Reflect.getOwnPropertyDescriptor(env, name);
      return trace === undefined
        ? undefined
        : { value: trace, writable: true, enumerable: true, configurable: true };
    },
  });
}

/** The callback and the context of a handler that returns its result. Only the first call of any counts. */
function callbackContext({ succeed, fail, whenLoopIsEmpty }) {
  const failed = (error) => error !== undefined && error !== null;
  let called = false;
  const once = (call) => (...args) => {
    if (called) return;
    call(...args);
    called = true; // unless it threw: then what went wrong is told by the next
  };
  const done = (error, result) => (failed(error) ? fail(error) : succeed(result));
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    succeed: once((result) => done(null, result)),
    fail: once((error) => done(failed(error) ? error : 'handled')),
    done: once(done),
  };
  const callback = once((error, result) => {
    if (!failed(error) && context.callbackWaitsForEmptyEventLoop) whenLoopIsEmpty(() => succeed(result));
    else done(error, result);
  });
  return [callback, context];
}

/** Keeps what a streaming handler writes. */
class ResponseStream extends Writable {
  constructor(options, chunks) {
    super(options);
    this.chunks = chunks;
    this.contentType = 'application/octet-stream';
  }

  setContentType(contentType) {
    if (this.begun) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    this.contentType = String(contentType);
  }

  /** What is neither text nor bytes is written as JSON. */
  write(chunk, ...rest) {
    this.begun = true;
    const isPlain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(isPlain ? chunk : JSON.stringify(chunk), ...rest);
  }

  _write(chunk, _encoding, done) {
    if (this.chunks.length === 0) this._onBeforeFirstWrite?.((bytes) => this.chunks.push(Buffer.from(bytes)));
    this.chunks.push(chunk);
    done();
  }

  /** Resolves when what was written before is kept. */
  flushed() {
    return this.writableEnded && !this.writableFinished
      ? new Promise((resolve) => this.once('finish', resolve).once('error', resolve))
      : Promise.resolve();
  }
}

/** The stream and the context of a handler that writes its result. */
function streamingContext(highWaterMark) {
  const chunks = [];
  const stream = new ResponseStream(highWaterMark ? { highWaterMark } : {}, chunks);
  return { stream, context: { callbackWaitsForEmptyEventLoop: true }, contents: () => Buffer.concat(chunks) };
}

/** Given to handlers, not used by the runtime: an answer with status and headers before its body. */
class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

module.exports = { HttpResponseStream, addData, callbackContext, forwardTrace, lendTrace, streamingContext };
