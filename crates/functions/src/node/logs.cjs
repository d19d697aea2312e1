// `console` in the formats of Lambda: text with tabs, or JSON.

'use strict';

const util = require('util');
const errors = require('./errors.cjs');

// Known to libraries under this name.
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const JSON_FORMAT = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';

let tenantId;

function setRequest(headers) {
  globalThis[REQUEST_ID] = headers['lambda-runtime-aws-request-id'];
  tenantId = headers['lambda-runtime-aws-tenant-id'];
}

function text(level, ...params) {
  const start = [new Date().toISOString(), String(globalThis[REQUEST_ID])];
  if (tenantId !== undefined) start.push(tenantId);
  return [...start, level, util.format(...params)].join('\t');
}

function described(error) {
  const stack = typeof error.stack === 'string' ? error.stack.split('\n') : [];
  return { errorType: error.constructor?.name ?? 'UnknownError', errorMessage: error.message, stackTrace: stack };
}

function json(level, ...params) {
  const record = { timestamp: new Date().toISOString(), level, requestId: globalThis[REQUEST_ID] };
  if (tenantId !== undefined) record.tenantId = tenantId;
  if (params.length === 1) {
    record.message = params[0];
    try {
      return JSON.stringify(record, (_key, value) =>
        value instanceof Error ? { ...described(value), ...value } : value,
      );
    } catch {
      record.message = util.format(params[0]);
      return JSON.stringify(record);
    }
  }
  record.message = util.format(...params);
  const error = params.find((param) => param instanceof Error);
  return JSON.stringify(error ? { ...record, ...described(error) } : record);
}

function patchConsole() {
  const format = JSON_FORMAT ? json : text;
  const least = Math.max(0, LEVELS.indexOf((process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()));
  const log = (level) => {
    if (LEVELS.indexOf(level) < least && level !== 'FATAL') return () => {};
    // One event is one line: carriage returns between.
    return (message, ...params) =>
      process.stdout.write(`${format(level, message, ...params).replace(/\n/g, '\r')}\n`);
  };
  for (const level of LEVELS) console[level.toLowerCase()] = log(level);
  console.log = console.info;
}

/** An error that ends an invocation or this process. */
function logError(what, error) {
  const found = errors.intoError(error);
  if (JSON_FORMAT) console.error(found);
  else console.error(what, errors.toFormatted(found));
}

module.exports = { logError, patchConsole, setRequest };
