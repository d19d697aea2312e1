// Answers name lookups so that no request meant for AWS leaves the machine.

'use strict';

const dns = require('dns');
const net = require('net');

const AWS_DOMAINS = ['amazonaws.com', 'amazonaws.com.cn', 'api.aws', 'amazonaws.eu'];

/**
 * `hosts` are names with an address and port of ours; every other name of AWS leads to `aws`. Port 0 leaves the port as it is.
 */
function mapNames(hosts, [awsAddress, awsPort]) {
  const table = new Map(hosts.map(([name, address, port]) => [name.toLowerCase(), { address, port }]));
  const exempt = new Set();
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith('AWS_ENDPOINT_URL')) continue;
    try {
      exempt.add(new URL(value).hostname.toLowerCase());
    } catch {
      // No URL: nothing to let through.
    }
  }

  const mapped = (name) => {
    if (typeof name !== 'string') return undefined;
    const host = name.toLowerCase().replace(/\.$/, '');
    const found = table.get(host) ?? table.get(`*.${host.slice(host.indexOf('.') + 1)}`);
    if (found) return found;
    const ofAws = AWS_DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`));
    return ofAws && !exempt.has(host) ? { address: awsAddress, port: awsPort } : undefined;
  };

  // A connection: the address and the port that answer. The rest stays, so that TLS still asks for the name.
  const connect = net.Socket.prototype.connect;
  net.Socket.prototype.connect = function (...args) {
    const [first, second] = args;
    if (Array.isArray(first)) {
      // What `net.connect` passes on: options and callback, marked by a symbol.
      const target = mapped(first[0]?.host);
      if (target) {
        const copy = first.slice();
        for (const symbol of Object.getOwnPropertySymbols(first)) copy[symbol] = first[symbol];
        copy[0] = { ...first[0], host: target.address, port: target.port || first[0].port };
        return connect.call(this, copy, ...args.slice(1));
      }
    } else if (first !== null && typeof first === 'object') {
      const target = mapped(first.host);
      if (target) {
        return connect.call(this, { ...first, host: target.address, port: target.port || first.port }, ...args.slice(1));
      }
    } else {
      const target = mapped(second);
      if (target) return connect.call(this, target.port || first, target.address, ...args.slice(2));
    }
    return connect.apply(this, args);
  };

  const answers = ({ address }, options) => {
    const family = net.isIP(address);
    return options && options.all ? [[{ address, family }]] : [address, family];
  };
  const lookup = dns.lookup;
  dns.lookup = function (name, options, callback) {
    const target = mapped(name);
    if (!target) return lookup.apply(this, arguments);
    const done = typeof options === 'function' ? options : callback;
    process.nextTick(done, null, ...answers(target, typeof options === 'object' ? options : undefined));
    return {};
  };
  // `util.promisify(dns.lookup)` gives an object.
  Object.defineProperties(dns.lookup, Object.getOwnPropertyDescriptors(lookup));
  const lookupPromise = dns.promises.lookup;
  dns.promises.lookup = async function (name, options) {
    const target = mapped(name);
    if (!target) return lookupPromise.apply(this, arguments);
    const [address, family] = answers(target, options);
    return family === undefined ? address : { address, family };
  };
}

module.exports = { mapNames };
