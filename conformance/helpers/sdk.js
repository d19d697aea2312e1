// The AWS SDK for JavaScript on demand: a line of JSON asks, a line of JSON answers, as in sdk.py.
const readline = require("node:readline");
const sdk = require("@aws-sdk/client-apigatewaymanagementapi");

function given(parameters) {
  const value = (written) => (written?.base64 === undefined ? written : Buffer.from(written.base64, "base64"));
  return Object.fromEntries(Object.entries(parameters).map(([name, written]) => [name, value(written)]));
}

async function call(ask) {
  const [accessKeyId, secretAccessKey] = ask.keys;
  const client = new sdk.ApiGatewayManagementApiClient({
    endpoint: ask.endpoint, region: ask.region, maxAttempts: 1, requestHandler: { requestTimeout: 20000 },
    credentials: { accessKeyId, secretAccessKey },
  });
  try {
    const { $metadata, ...gives } = await client.send(new sdk[`${ask.call}Command`](given(ask.with)));
    return { gives: { ...gives, status: $metadata.httpStatusCode } };
  } catch (error) {
    const { name, message, $metadata } = error;
    return { fails: { name, message, code: name, status: $metadata?.httpStatusCode } };
  } finally {
    client.destroy();
  }
}

// A date becomes a text of JSON before a replacer sees it, so it is asked of its owner.
function plain(name, value) {
  return this[name] instanceof Date ? `time ${this[name].toISOString()}` : value;
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await call(JSON.parse(line)), plain));
  }
}

main();
