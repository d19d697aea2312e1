// Packages that lie in none of the function's folders, and what Node.js keeps of compiled code.

'use strict';

const module_ = require('module');
const path = require('path');
const { pathToFileURL } = require('url');

/** Makes `import` look where `require` looks by itself: in the folders of NODE_PATH. */
function hookImports(settings) {
  const folders = (process.env.NODE_PATH || '').split(':').filter((folder) => path.basename(folder) === 'node_modules');
  if (folders.length === 0) return;
  // A module in the folder above would find the packages by itself.
  const parents = folders.map((folder) => pathToFileURL(path.join(path.dirname(folder), 'none.mjs')).href);
  const isBare = (specifier) => !/^([./]|[a-z]+:)/.test(specifier);
  const isMissing = (error, specifier) => error?.code === 'ERR_MODULE_NOT_FOUND' && isBare(specifier);
  if (module_.registerHooks) {
    module_.registerHooks({
      resolve(specifier, context, next) {
        try {
          return next(specifier, context);
        } catch (error) {
          if (!isMissing(error, specifier)) throw error;
          for (const parentURL of parents) {
            try {
              return next(specifier, { ...context, parentURL });
            } catch {
              // The next folder may have it; if none has, the first error says so.
            }
          }
          throw error;
        }
      },
    });
  } else if (module_.register && settings.imports) {
    // Older versions have hooks in a thread of their own, which takes its time: only where something is imported.
    const source = `
      const parents = ${JSON.stringify(parents)};
      const isBare = ${isBare};
      const isMissing = ${isMissing};
      export async function resolve(specifier, context, next) {
        try {
          return await next(specifier, context);
        } catch (error) {
          if (!isMissing(error, specifier)) throw error;
          for (const parentURL of parents) {
            try {
              return await next(specifier, { ...context, parentURL });
            } catch {}
          }
          throw error;
        }
      }`;
    module_.register(`data:text/javascript,${encodeURIComponent(source)}`);
  }
}

/** Everything that comes before the function's code is loaded; gives what keeps compiled code. */
function prepare(settings) {
  hookImports(settings);
  if (!module_.enableCompileCache || !module_.flushCompileCache) return { keep() {} };
  module_.enableCompileCache(settings.compile_cache);
  return { keep: module_.flushCompileCache };
}

module.exports = { prepare };
