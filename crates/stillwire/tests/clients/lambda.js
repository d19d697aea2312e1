// Invokes functions with the AWS SDK for JavaScript.
//
// Usage: lambda.js READY_FILE_CONTENT. Prints one line of JSON: what each step gave.

const { LambdaClient, InvokeCommand, InvokeWithResponseStreamCommand } = require("@aws-sdk/client-lambda");

const ready = JSON.parse(process.argv[2]);
const client = new LambdaClient({
  endpoint: ready.aws_endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "key", secretAccessKey: "secret" },
  maxAttempts: 1,
});
const names = Object.fromEntries(ready.functions.map((each) => [each.logical_id, each.name]));

const refusal = async (input) => {
  try {
    await client.send(new InvokeCommand(input));
  } catch (error) {
    return [error.name, error.$metadata.httpStatusCode, error.Reason ?? null, error.message !== ""];
  }
};

(async () => {
  const seen = {};
  const answer = await client.send(
    new InvokeCommand({ FunctionName: names.echo, Payload: JSON.stringify({ a: 1 }), LogType: "Tail" }),
  );
  const log = Buffer.from(answer.LogResult, "base64").toString();
  seen.answer = [answer.StatusCode, answer.ExecutedVersion, JSON.parse(answer.Payload.transformToString()), log.includes("REPORT")];
  const failed = await client.send(new InvokeCommand({ FunctionName: names.fails, Payload: '{"say": "boom"}' }));
  seen.error = [failed.FunctionError, JSON.parse(failed.Payload.transformToString()).errorMessage];
  const stream = await client.send(
    new InvokeWithResponseStreamCommand({ FunctionName: names.echo, Payload: "[1]" }),
  );
  seen.stream = [];
  for await (const event of stream.EventStream) {
    seen.stream.push(event.PayloadChunk ? Buffer.from(event.PayloadChunk.Payload).toString() : Object.keys(event)[0]);
  }
  seen.unknown = await refusal({ FunctionName: "nobody" });
  seen.throttled = await refusal({ FunctionName: names.none });
  seen["not json"] = await refusal({ FunctionName: names.echo, Payload: "{" });
  console.log(JSON.stringify(seen));
})();
