// Finds the handler, with Lambda's order of files and Lambda's words for each way it cannot be found.

'use strict';

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const {
  HandlerNotFound,
  ImportModuleError,
  MalformedHandlerName,
  MalformedStreamingHandler,
  UserCodeSyntaxError,
} = require('./errors.cjs');
const { HttpResponseStream } = require('./context.cjs');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
/** From this version Node.js runs TypeScript that only needs its types removed. */
const TYPESCRIPT_FROM = 24;

/** What a streaming handler is marked with. */
globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = 'response';
    if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
    return handler;
  },
  HttpResponseStream,
};

/** Whether `.js` files in a folder are ES modules. */
function isModuleFolder(folder) {
  for (let at = folder; !at.endsWith('/node_modules'); at = path.dirname(at)) {
    const file = path.join(at, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (at === path.dirname(at)) break;
  }
  return false;
}

/** The module of a handler in one folder; `undefined` when it has none. */
async function fromFolder(root, module) {
  const file = path.resolve(root, module);
  const isModule = isModuleFolder(path.dirname(file));
  const required = (extension) =>
    fs.existsSync(file + extension) ? require(file + extension) : undefined;
  const imported = (extension) =>
    fs.existsSync(file + extension) ? import(pathToFileURL(file + extension).href) : undefined;
  const tries = [() => required(''), () => (isModule ? imported : required)('.js')];
  tries.push(() => imported('.mjs'), () => required('.cjs'));
  if (Number(process.versions.node.split('.')[0]) >= TYPESCRIPT_FROM) {
    tries.push(() => (isModule ? imported : required)('.ts'), () => imported('.mts'), () => required('.cts'));
  }
  for (const attempt of tries) {
    const found = await attempt();
    if (found) return found;
  }
  return undefined;
}

async function loadModule(roots, folder, name) {
  try {
    for (const root of roots) {
      const found = await fromFolder(root, path.join(folder, name));
      if (found) return found;
    }
    return require(require.resolve(name, { paths: [...roots, folder] }));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new ImportModuleError(error);
    throw error;
  }
}

/** The handler function, and what it is. It is called as a method, and so traces name it as on Lambda. */
class Runtime {
  constructor(handler) {
    this.handler = handler;
    this.streaming = Boolean(handler[STREAMING]);
    this.highWaterMark = handler[HIGH_WATER_MARK];
    this.isAsync = handler.constructor?.name === 'AsyncFunction';
  }
}

async function load(roots, handler) {
  if (handler.includes('..')) {
    throw new MalformedHandlerName(
      `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(handler);
  const folder = handler.slice(0, handler.indexOf(base));
  const match = base.match(/^([^.]*)\.(.*)$/);
  if (!match) throw new MalformedHandlerName('Bad handler');
  const [, name, properties] = match;
  const loaded = await loadModule(roots, folder, name);
  const call = properties.split('.').reduce((nested, key) => nested && nested[key], loaded);
  if (!call) throw new HandlerNotFound(`${handler} is undefined or not exported`);
  if (typeof call !== 'function') throw new HandlerNotFound(`${handler} is not a function`);
  const streaming = call[STREAMING];
  if (streaming && streaming !== 'response') {
    throw new MalformedStreamingHandler('Only response streaming is supported.');
  }
  return new Runtime(call);
}

module.exports = { load };
