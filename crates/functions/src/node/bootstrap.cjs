// The Node.js side of Stillwire's Runtime API: fetch an event, call the handler, post the result, again.
//
// Runs on every Node.js from 18 and needs no package. It speaks HTTP over a socket it inherited. What a handler sees
// follows the managed Node.js runtimes of AWS Lambda.

'use strict';

const errors = require('./errors.cjs');
const { addData, callbackContext, forwardTrace, lendTrace, streamingContext } = require('./context.cjs');
const { Link, NEXT, post } = require('./link.cjs');
const { load } = require('./load.cjs');
const logs = require('./logs.cjs');
const { mapNames } = require('./names.cjs');
const packages = require('./packages.cjs');

// Source: AWS Lambda Developer Guide, "Define Lambda function handler in Node.js": no callbacks from Node.js 24 on.
const CALLBACKS_UNTIL = 22;
// The runtime's own exit statuses, which its log lines show.
const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;
const EXIT_UNSETTLED_AWAIT = 13;

// What to do when the event loop is empty. Nothing else would ever wake this process.
let whenLoopIsEmpty = () => process.exit(EXIT_UNSETTLED_AWAIT);
// How an error that nobody caught is told: of the init phase, of an invocation, or not at all.
let errorPath = 'init/error';

function onFatal(link, what, error, status) {
  logs.logError(what, error);
  if (errorPath === null) process.exit(status);
  const found = errors.toObject(error);
  // The answer is of no interest; that the bytes have left is.
  link.send(post(errorPath, JSON.stringify(found), found.errorType), () => process.exit(status));
  errorPath = null;
}

/** One invocation of a handler that returns its result; resolves with the request that reports the outcome. */
function invoke(runtime, { headers, body }) {
  const id = headers['lambda-runtime-aws-request-id'];
  // The handler is not called within the promise: its traces would tell of that.
  let resolve;
  const outcome = new Promise((settled) => (resolve = settled));
  const settle = (path, text, errorType) => resolve(post(`invocation/${id}/${path}`, text, errorType));
  const succeed = (result) => {
    let text;
    try {
      text = JSON.stringify(result === undefined ? null : result);
      // A function or a symbol has no JSON: as in the managed runtime, nothing is told.
      if (text === undefined) text = '';
    } catch {
      return fail(new Error('Unable to stringify response body'));
    }
    settle('response', text);
  };
  const fail = (error) => {
    logs.logError('Invoke Error', error);
    const found = errors.toObject(error);
    settle('error', JSON.stringify(found), found.errorType);
  };
  const [callback, context] = callbackContext({
    succeed,
    fail,
    whenLoopIsEmpty: (then) => (whenLoopIsEmpty = () => setImmediate(then)),
  });
  // A handler that neither answers nor waits for anything.
  whenLoopIsEmpty = () =>
    setImmediate(() => (runtime.isAsync ? fail(new errors.NodeJsExit()) : succeed(null)));
  try {
    const result = runtime.handler(JSON.parse(body), addData(context, headers), callback);
    if (result && typeof result.then === 'function') {
      result.then(context.succeed, context.fail).catch(context.fail);
    }
  } catch (error) {
    callback(error);
  }
  return outcome;
}

/** One invocation of a handler that writes its result; what it wrote is sent when it is complete. */
async function invokeStreaming(runtime, { headers, body }) {
  const id = headers['lambda-runtime-aws-request-id'];
  const { stream, context, contents } = streamingContext(runtime.highWaterMark);
  const idle = () => new Promise((resolve) => (whenLoopIsEmpty = () => setImmediate(resolve)));
  const work = async () => {
    const result = runtime.handler(JSON.parse(body), stream, addData(context, headers));
    if (!result || typeof result.then !== 'function') throw 'Streaming does not support non-async handlers.';
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    await stream.flushed();
    if (!stream.writableFinished) throw 'Response stream is not finished.';
  };
  try {
    const stuck = idle().then(() => {
      throw 'Response stream is not finished.';
    });
    await Promise.race([work(), stuck]);
    if (context.callbackWaitsForEmptyEventLoop) await idle();
    return post(`invocation/${id}/response`, contents(), undefined, stream.contentType);
  } catch (error) {
    logs.logError('Invoke Error', error);
    const found = errors.toObject(error);
    return post(`invocation/${id}/error`, JSON.stringify(found), found.errorType);
  }
}

async function main() {
  const settings = JSON.parse(process.argv[2]);
  process.argv.splice(2);
  const link = new Link(Number(process.env.STILLWIRE_RUNTIME_FD));
  delete process.env.STILLWIRE_RUNTIME_FD;
  lendTrace();
  logs.patchConsole();
  mapNames(settings.hosts, settings.aws);
  process.on('beforeExit', () => whenLoopIsEmpty());
  process.on('uncaughtException', (error) => onFatal(link, 'Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION));
  process.on('unhandledRejection', (reason, promise) => {
    const error = new errors.UnhandledPromiseRejection(reason, promise);
    onFatal(link, 'Unhandled Promise Rejection', error, EXIT_UNHANDLED_REJECTION);
  });
  const cache = packages.prepare(settings);

  let runtime;
  try {
    runtime = await load(settings.roots, process.env._HANDLER);
    // What the module has rejected without a catch comes to light now, and belongs to the init phase.
    await new Promise(setImmediate);
    if (settings.major > CALLBACKS_UNTIL && !runtime.streaming && runtime.handler.length >= 3) {
      throw new errors.CallbackHandlerDeprecated();
    }
  } catch (error) {
    onFatal(link, 'Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION);
    return;
  }

  let outcome = [];
  for (let count = 0; ; count += 1) {
    errorPath = null;
    link.ref();
    // The outcome and the wish for the next event leave in one write.
    link.send([...outcome, NEXT]);
    if (outcome.length > 0) link.skip();
    // What was compiled is kept while there is nothing else to do: after the init phase and the first event.
    if (count < 2) setImmediate(cache.keep);
    const event = await link.receive();
    if (event.status !== 200) throw new Error(`the runtime API answered ${event.status}: ${event.body}`);
    errorPath = `invocation/${event.headers['lambda-runtime-aws-request-id']}/error`;
    logs.setRequest(event.headers);
    forwardTrace(event.headers);
    // From here on only what the handler waits for keeps the event loop alive.
    link.unref();
    outcome = runtime.streaming ? await invokeStreaming(runtime, event) : await invoke(runtime, event);
  }
}

main();
