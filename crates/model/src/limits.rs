//! Every quota, with its source and whether an operator may raise it.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The largest message a client may send, and the largest body of a post, in bytes.
///
/// Source: API Gateway quotas, "WebSocket message payload" (128 KB; not adjustable). Raisable here.
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The largest frame payload a client may send, in bytes; larger outbound messages are split into such frames.
///
/// Source: API Gateway quotas, "WebSocket frame size" (32 KB; not adjustable). Raisable here.
pub const FRAME_BYTES_MAX: usize = 32 * 1024;

/// How long a connection may be without a data message in either direction.
///
/// Source: API Gateway quotas, "Idle Connection Timeout" (10 minutes; not adjustable). Raisable here.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a connection may live, counted from its `$connect`.
///
/// Source: API Gateway quotas, "Connection duration for WebSocket API" (2 hours; not adjustable). Raisable here.
pub const CONNECTION_LIFETIME_MAX: Duration = Duration::from_hours(2);

/// How long an integration may take unless it says less.
///
/// Source: API Gateway v2 model, `timeoutInMillis` (50 to 29,000 ms for WebSocket APIs, default 29,000).
pub const INTEGRATION_TIMEOUT_MAX: Duration = Duration::from_secs(29);

/// The shortest time limit an integration may set.
///
/// Source: API Gateway v2 model, `timeoutInMillis` (minimum 50).
pub const INTEGRATION_TIMEOUT_MIN: Duration = Duration::from_millis(50);

/// How long an authorizer may take.
///
/// Choice: API Gateway documents 10 s for HTTP APIs and nothing for WebSocket APIs.
pub const AUTHORIZER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest result of an authorizer, in bytes.
///
/// Source: API Gateway quotas, "Authorizer result size" (8 KB; not adjustable).
pub const AUTHORIZER_RESULT_BYTES_MAX: usize = 8 * 1024;

/// The longest request target (path and query) of a handshake, in bytes.
///
/// Source: API Gateway quotas, "Length of the URL" (4096 characters).
pub const REQUEST_TARGET_BYTES_MAX: usize = 4096;

/// The most routes of one API.
///
/// Source: API Gateway quotas, "Routes per API" (300; adjustable).
pub const ROUTES_MAX: usize = 300;

/// The longest key of an API mapping, in characters.
///
/// Source: API Gateway quotas, "API mapping key length" (300; not adjustable).
pub const API_MAPPING_KEY_CHARS_MAX: usize = 300;

/// The shortest value of an API key, in characters.
///
/// Source: API Gateway, `CreateApiKey`: it refuses fewer than 20.
pub const API_KEY_CHARS_MIN: usize = 20;

/// The longest value of an API key, in characters.
///
/// Source: API Gateway Developer Guide, "API key file format" (20 to 128 characters).
pub const API_KEY_CHARS_MAX: usize = 128;

/// Messages of one connection that may be with its functions at once; then its socket is not read.
///
/// Choice: API Gateway states no number; the bound keeps one client from filling the machine.
pub const IN_FLIGHT_PER_CONNECTION_MAX: usize = 16;

/// Bytes that may wait for a slow reader before a post is refused with 429.
///
/// Choice: API Gateway refuses with `LimitExceededException` at an unstated size.
pub const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

/// Messages that may wait for a slow reader before a post is refused with 429.
///
/// Choice: as above; many tiny messages cost more than their bytes.
pub const OUTBOX_MESSAGES_MAX: usize = 128;

/// How long a client may take no byte at all while bytes are due to it.
///
/// Choice: a client that takes nothing for this long takes nothing any more; until then it costs its queue.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message may take from its first byte to its last.
///
/// Choice: an unfinished message holds memory; a minute is ample for 128 KB on a bad line.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// Control frames that a client may send within a second.
///
/// Choice: clients ping every few seconds; hundreds in one are a flood.
pub const CONTROLS_PER_SECOND_MAX: u32 = 100;

/// Bytes of unfinished messages that all clients of a process may leave with it.
///
/// Choice: 500 clients that each withhold the end of the largest message; then the oldest is closed.
pub const UNFINISHED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The memory of a function unless it says more, in MB.
///
/// Source: AWS Lambda, `MemorySize` (default 128).
pub const FUNCTION_MEMORY_MB: u32 = 128;

/// How much memory a function may have, in MB.
///
/// Source: AWS Lambda, `MemorySize` (128 to 10,240 MB).
pub const FUNCTION_MEMORY_MB_RANGE: RangeInclusive<u32> = 128..=10_240;

/// The largest archive of code in a request, in bytes.
///
/// Source: AWS Lambda quotas, "Deployment package (.zip file archive) size" (50 MB zipped, direct upload).
pub const FUNCTION_ARCHIVE_BYTES_MAX: usize = 50 * 1024 * 1024;

/// The largest archive of code in a bucket, in bytes.
///
/// Source: AWS Lambda quotas, "Deployment package (.zip file archive) size" (250 MB unzipped: no archive that fits is larger).
pub const FUNCTION_UPLOAD_BYTES_MAX: u64 = 250 * 1024 * 1024;

/// What the environment variables of a function may take, names and values together, in bytes.
///
/// Source: AWS Lambda quotas, "Function environment variables" (4 KB).
pub const FUNCTION_ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;

/// The largest request to the Lambda API, in bytes.
///
/// Source: observed refusals of `CreateFunction` ("Request must be smaller than 70167211 bytes"): an archive as base64.
pub const LAMBDA_REQUEST_BYTES_MAX: usize = 70_167_211;

/// How long an invocation may take unless the function says otherwise.
///
/// Source: AWS Lambda, `Timeout` (default 3 s).
pub const FUNCTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest time limit of a function.
///
/// Source: AWS Lambda quotas, "Timeout" (900 s).
pub const FUNCTION_TIMEOUT_MAX: Duration = Duration::from_mins(15);

/// Processes and threads that an execution environment may have.
///
/// Source: AWS Lambda quotas, "Execution processes/threads" (1,024).
pub const FUNCTION_PROCESSES_MAX: usize = 1024;

/// How long a function may take to initialise before the first invocation.
///
/// Source: AWS Lambda, "Init phase" (10 s on demand).
pub const FUNCTION_INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request of a synchronous invocation, in bytes.
///
/// Source: AWS Lambda quotas, "Invocation payload" (6 MB each for request and response, synchronous).
pub const INVOKE_REQUEST_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The largest response of a synchronous invocation, in bytes.
///
/// Source: AWS Lambda Runtime API as the public emulator implements it: 6 MiB and 100 bytes.
pub const INVOKE_RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// The largest event of an asynchronous invocation, in bytes.
///
/// Source: AWS Lambda quotas, "Invocation payload" (1 MB, asynchronous).
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// How much of the end of a log a caller is given, in bytes.
///
/// Source: AWS Lambda API, `Invoke`, `X-Amz-Log-Result` (the last 4 KB).
pub const LOG_TAIL_BYTES_MAX: usize = 4096;

/// The longest client context, in bytes, as base64.
///
/// Source: AWS Lambda API, `Invoke`, `ClientContext` (3,583 bytes).
pub const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;

/// How long an event waits before a function that failed is tried again.
///
/// Source: AWS Lambda Developer Guide, "Invoking a Lambda function asynchronously": one minute before the first
/// repetition, two before the second.
pub const EVENT_RETRY_DELAYS: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(2)];

/// How long an event that was throttled waits before it is tried again; twice as long each further time, up to
/// [`EVENT_THROTTLE_DELAY_MAX`].
///
/// Source: as above: from one second to five minutes.
pub const EVENT_THROTTLE_DELAY: Duration = Duration::from_secs(1);

/// The longest wait of a throttled event. Source: as above.
pub const EVENT_THROTTLE_DELAY_MAX: Duration = Duration::from_mins(5);

/// How old an event may become before it is given up, unless its function says less.
///
/// Source: AWS Lambda API, `MaximumEventAgeInSeconds` (60 to 21,600).
pub const EVENT_AGE_MAX: Duration = Duration::from_hours(6);

/// Events of one function that may wait or run.
///
/// Choice: Lambda states no number; what is refused is told to its sender with 429.
pub const EVENTS_PER_FUNCTION_MAX: usize = 1000;

/// Bytes of events that all functions together may keep waiting.
///
/// Choice: some hundred of the largest events; the bound keeps one sender from filling the machine.
pub const EVENTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Events of one function that run at once; what is over waits.
///
/// Choice: enough for one machine, and it leaves environments to those who wait for an answer.
pub const EVENTS_RUNNING_MAX: usize = 16;

/// How often an event may lead to a further one through destinations.
///
/// Source: AWS Lambda Developer Guide, "Use Lambda recursive loop detection" (16 times).
pub const EVENT_CHAIN_MAX: u32 = 16;

/// Records of one batch of a stream, where the mapping does not say.
///
/// Source: AWS Lambda API, `CreateEventSourceMapping`, `BatchSize` (100 for streams).
pub const STREAM_BATCH_SIZE: u32 = 100;

/// Messages of one batch of a queue, where the mapping does not say; the most for a FIFO queue, and for one without a
/// batching window.
///
/// Source: as above (10 for SQS).
pub const QUEUE_BATCH_SIZE: u32 = 10;

/// Records or messages of one batch. Source: as above (10,000).
pub const BATCH_SIZE_MAX: u32 = 10_000;

/// Filters of an event source mapping.
///
/// Source: AWS Lambda Developer Guide, "Control which events Lambda sends to your function" (5, and 10 on request).
pub const FILTERS_MAX: usize = 10;

/// Characters of a filter's pattern. Source: AWS Lambda API, `Filter`, `Pattern` (4,096).
pub const FILTER_CHARS_MAX: usize = 4096;

/// The largest state of a tumbling window, in bytes.
///
/// Source: AWS Lambda Developer Guide, "Implementing stateful DynamoDB stream processing" (1 MB for each shard).
pub const WINDOW_STATE_BYTES_MAX: usize = 1024 * 1024;

/// How long a batch of a stream waits before it is tried again; twice as long each further time, up to
/// [`BATCH_RETRY_DELAY_MAX`].
///
/// Choice: Lambda says that it backs off, and not how.
pub const BATCH_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The longest wait of a failed batch. Choice: as above.
pub const BATCH_RETRY_DELAY_MAX: Duration = Duration::from_mins(1);

/// How long a reader waits for a word of new records before it looks by itself.
///
/// Source: AWS Lambda Developer Guide, "Polling and batching streams" (4 times per second).
pub const STREAM_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Event source mappings that run.
///
/// Choice: each has its readers; more than an app declares.
pub const EVENT_SOURCES_MAX: usize = 500;

/// Invocations of one queue's mapping that run at once, where the mapping does not say.
///
/// Choice: enough for one machine; on Lambda it begins with 5 and grows to 1,250.
pub const QUEUE_INVOCATIONS_MAX: usize = 16;

const _: () = assert!(FRAME_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX <= OUTBOX_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX * 6 < INVOKE_REQUEST_BYTES_MAX); // a message, escaped, fits an invocation
const _: () = assert!(EVENT_BYTES_MAX <= INVOKE_REQUEST_BYTES_MAX);
const _: () = assert!(FUNCTION_TIMEOUT.as_secs() <= FUNCTION_TIMEOUT_MAX.as_secs());
const _: () = assert!(WINDOW_STATE_BYTES_MAX < INVOKE_REQUEST_BYTES_MAX);

/// Tags of a resource. Source: AWS General Reference, "Tag restrictions" (50).
pub const TAGS_MAX: usize = 50;
