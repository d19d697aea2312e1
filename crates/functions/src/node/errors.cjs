// Errors of the runtime itself, and how any error is told. Names and formats are those of the managed runtimes.

'use strict';

const util = require('util');

class ImportModuleError extends Error {}
class HandlerNotFound extends Error {}
class MalformedHandlerName extends Error {}
class MalformedStreamingHandler extends Error {}
class InvalidStreamingOperation extends Error {}

class UserCodeSyntaxError extends Error {
  constructor(error) {
    super(error);
    // Where it is stands only in the stack of the original.
    this.stack = `${this.name}: ${this.message}\n${error.stack}`;
  }
}

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}

class NodeJsExit extends Error {
  constructor() {
    super(
      'The Lambda runtime client detected an unexpected Node.js exit code. ' +
        'This is most commonly caused by a Promise that was never settled. ' +
        'For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes',
    );
  }
}

class CallbackHandlerDeprecated extends Error {
  constructor() {
    super(
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
        'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
        'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
    );
  }
}

const classes = {
  CallbackHandlerDeprecated,
  HandlerNotFound,
  ImportModuleError,
  InvalidStreamingOperation,
  MalformedHandlerName,
  MalformedStreamingHandler,
  NodeJsExit,
  UnhandledPromiseRejection,
  UserCodeSyntaxError,
};
for (const [name, errorClass] of Object.entries(classes)) errorClass.prototype.name = `Runtime.${name}`;

function isError(value) {
  return (
    util.types.isNativeError(value) ||
    (value && [value.name, value.message, value.stack].every((text) => text && typeof text === 'string'))
  );
}

/** A stack's lines, without the frames of this program. */
function lines(stack) {
  return stack.split('\n').filter((line) => !/^\s+at /.test(line) || !line.includes(__dirname));
}

/** What the caller gets. */
function toObject(error) {
  const plain = (text) => text?.replace(/\x7f/g, '%7F');
  try {
    if (isError(error)) {
      return {
        errorType: plain(error.name),
        errorMessage: plain(error.message),
        trace: lines(plain(error.stack)),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

/** What stands in the log: after a tab, with all properties that the error has of its own. */
function toFormatted(error) {
  const told = (_key, value) => {
    if (!(value instanceof Error)) return value;
    const { name: errorType, message: errorMessage, code } = value;
    const all = { errorType, errorMessage, code, ...value };
    if (typeof value.stack === 'string') all.stack = lines(value.stack);
    return all;
  };
  try {
    return `\t${JSON.stringify(error, told)}`;
  } catch {
    return `\t${JSON.stringify(toObject(error))}`;
  }
}

function intoError(value) {
  return value instanceof Error ? value : new Error(value);
}

module.exports = { ...classes, intoError, toFormatted, toObject };
