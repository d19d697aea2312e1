//! The ports: the few small traits through which the rooms meet without knowing each other.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    ApiDefinition, ApiId, DomainDefinition, EventSourceMapping, Function, FunctionArn,
    FunctionRelease, StackName, StackProblem, StackReading, StackRequest, TemplateSummary,
};

/// A boxed future, so that ports can be used as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall time. Timers use the runtime's monotonic clock instead.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the Unix epoch.
    fn epoch_millis(&self) -> u64;
}

/// Runs functions.
pub trait Invoke: Send + Sync + fmt::Debug {
    /// Runs one invocation and waits for its outcome.
    ///
    /// The function's own time limit ends it at the latest. Invocations of one function are started in the
    /// order of the calls.
    ///
    /// # Cancel safety
    /// Dropping the future does not cancel the invocation: it runs to its end and the outcome is discarded, as
    /// on Lambda when the caller goes away.
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'static, Result<Invoked, InvokeError>>;
}

/// Takes invocations that nobody waits for.
pub trait EventQueue: Send + Sync + fmt::Debug {
    /// Takes an event: its function runs when there is room, and again where it fails.
    ///
    /// # Errors
    /// When there is no such function, or it takes no more events now.
    fn accept(&self, event: Invocation) -> Result<(), InvokeError>;
}

/// One call of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What logs call it by: unique, as Lambda's request ids are.
    pub request_id: Arc<str>,
    /// Which function.
    pub function: FunctionArn,
    /// The alias or version the caller named, if any.
    pub qualifier: Option<String>,
    /// The event, as JSON text.
    pub payload: Bytes,
    /// The tracing header to hand on (`Root=1-…`), if the caller has one.
    pub trace: Option<Arc<str>>,
    /// What the caller says about itself, as JSON text that fits a header.
    pub client_context: Option<Arc<str>>,
    /// Whether the caller wants the end of the log.
    pub log_tail: bool,
    /// Whether it may wait while the function's reserved concurrency is used up. Else it is throttled then.
    pub waits: bool,
}

impl Invocation {
    /// An invocation that waits for its turn, and has nothing but an event.
    pub fn new(
        request_id: Arc<str>,
        function: FunctionArn,
        qualifier: Option<String>,
        payload: Bytes,
    ) -> Self {
        Self {
            request_id,
            function,
            qualifier,
            payload,
            trace: None,
            client_context: None,
            log_tail: false,
            waits: true,
        }
    }
}

/// An invocation that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// How it ended.
    pub outcome: Outcome,
    /// The version that ran: `$LATEST`, or a number.
    pub version: Arc<str>,
    /// The end of its log, at most [`LOG_TAIL_BYTES_MAX`](crate::limits::LOG_TAIL_BYTES_MAX), if that was wanted.
    pub log_tail: Option<Bytes>,
}

/// How an invocation that ran has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned; the JSON text of its result.
    Returned(Bytes),
    /// The handler raised, the process died or time ran out; Lambda's JSON error object
    /// (`errorType`, `errorMessage`, …).
    Failed(Bytes),
}

/// Why an invocation did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// No such function is deployed.
    #[error("function not found: {0}")]
    UnknownFunction(FunctionArn),
    /// The function has no such version or alias.
    #[error("function not found: {function}:{qualifier}")]
    UnknownQualifier {
        /// Which function.
        function: FunctionArn,
        /// What was named.
        qualifier: String,
    },
    /// The function's concurrency or the queue before it is used up.
    #[error("{function}: rate exceeded ({reason})")]
    Throttled {
        /// Which function.
        function: FunctionArn,
        /// Lambda's own word for the limit that was met.
        reason: &'static str,
    },
    /// The function cannot be run here; the text says why and what to do.
    #[error("{function}: {reason}")]
    Unavailable {
        /// Which function.
        function: FunctionArn,
        /// Why, and the remedy.
        reason: String,
    },
}

/// Where the output of functions goes.
///
/// `line` must not block: what cannot be taken at once is dropped and counted by the receiver.
pub trait FunctionLogs: Send + Sync + fmt::Debug {
    /// Takes one line.
    fn line(&self, line: LogLine);
}

/// One line of a function's output, or of the platform about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Which function.
    pub function: FunctionArn,
    /// During which invocation; `None` during init and between invocations.
    pub request_id: Option<Arc<str>>,
    /// Who wrote it.
    pub source: LogSource,
    /// The text, without its line end.
    pub text: String,
}

/// Who wrote a line of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The function.
    Function,
    /// The platform: START, END, REPORT, time-outs.
    Platform,
    /// Stillwire itself, to the person at the terminal: an interpreter that was substituted, a reload.
    Notice,
}

/// Where the access logs of stages go.
///
/// `line` must not block: what cannot be taken at once is dropped and counted by the receiver.
pub trait AccessLogs: Send + Sync + fmt::Debug {
    /// Takes one line for the log group or delivery stream that a stage names.
    fn line(&self, destination: &Arc<str>, line: &str);
}

/// What a room has counted.
pub trait Metrics: Send + Sync + fmt::Debug {
    /// All of it as text, in the exposition format of Prometheus.
    fn text(&self) -> String;
}

/// The tables as the functions' SDKs see them.
pub trait TableApi: Send + Sync + fmt::Debug {
    /// Answers one request of the DynamoDB JSON protocol.
    ///
    /// `target` is the `X-Amz-Target` header (`DynamoDB_20120810.PutItem`), `body` the JSON text.
    ///
    /// # Cancel safety
    /// A request that was accepted is carried out even when the future is dropped.
    fn call(&self, target: &str, body: Bytes) -> BoxFuture<'static, Reply>;

    /// Waits until a table's stream may have a record that it did not have at the call. What is written between
    /// the call and the first poll counts, so whoever asks before reading misses nothing.
    ///
    /// Never resolves where the store cannot know, so whoever waits needs a deadline too.
    fn stream_changed(&self, table: &str) -> BoxFuture<'static, ()>;
}

/// The stores of tables: each account has one in each region, and none sees another's tables.
pub trait TableStores: Send + Sync + fmt::Debug {
    /// The store of an account (digits) in a region. What names none gets a store that refuses every request.
    fn store(&self, account: &str, region: &str) -> Arc<dyn TableApi>;
}

/// Knows functions by the access keys that they sign with ([`function_key`](crate::function_key)).
pub trait FunctionKeys: Send + Sync + fmt::Debug {
    /// The function whose key this is, if it is one's.
    fn function(&self, access_key: &str) -> Option<Arc<Function>>;
}

/// An answer of [`TableApi`]: an HTTP status and its JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON text.
    pub body: Bytes,
}

/// The control plane as SDKs see it: the `apigatewayv2` REST API.
pub trait ControlApi: Send + Sync + fmt::Debug {
    /// Answers one request.
    ///
    /// # Cancel safety
    /// A request that was accepted is carried out even when the future is dropped.
    fn call(&self, request: ControlRequest) -> BoxFuture<'static, ControlReply>;
}

/// A request to the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRequest {
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent, still percent-encoded, without the query.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// The JSON text, or nothing.
    pub body: Bytes,
}

/// An answer of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlReply {
    /// The HTTP status.
    pub status: u16,
    /// The name of the error, for the `x-amzn-ErrorType` header.
    pub error: Option<&'static str>,
    /// The JSON text, or nothing.
    pub body: String,
}

/// The Lambda API as SDKs see it.
pub trait LambdaApi: Send + Sync + fmt::Debug {
    /// Answers one request.
    ///
    /// # Cancel safety
    /// A request that was accepted is carried out even when the future is dropped.
    fn call(&self, request: LambdaRequest) -> BoxFuture<'static, LambdaReply>;
}

/// A request to the Lambda API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaRequest {
    /// The account that the caller's key names.
    pub account: Arc<str>,
    /// The region that the caller means.
    pub region: Arc<str>,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent, still percent-encoded, without the query.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: String,
    /// The headers whose values are text, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An answer of the Lambda API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaReply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, with names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// Runs the functions that the Lambda API makes and changes.
///
/// Its methods may wait for locks, so they are not for threads that serve connections.
pub trait FunctionHost: Send + Sync + fmt::Debug {
    /// Makes these the functions, in place of those until now. What did not change runs on.
    fn deploy(&self, releases: Vec<FunctionRelease>);
}

/// Runs event source mappings: those of templates, and those that the Lambda API makes and changes.
pub trait EventSourceHost: Send + Sync + fmt::Debug {
    /// Makes these the mappings, in place of those until now. One that did not change runs on; one that is gone ends
    /// after its batches, and where it was is forgotten.
    fn deploy(&self, mappings: Vec<Arc<EventSourceMapping>>);

    /// What the mapping of this UUID does; `None` where it was never deployed, or is gone.
    fn status(&self, id: &str) -> Option<EventSourceStatus>;
}

/// What an event source mapping does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSourceStatus {
    /// How far it is.
    pub state: EventSourceState,
    /// What came of the last invocation, in Lambda's words (`OK`), or what is in the way (`PROBLEM: …`).
    pub last_result: Arc<str>,
}

/// How far an event source mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSourceState {
    /// It looks for the place where it begins.
    Starting,
    /// It reads.
    Running,
    /// It reads no more, and waits for its last invocations.
    Stopping,
    /// It does nothing.
    Stopped,
}

/// Sends records of what a function did not do to where they are wanted.
pub trait Destinations: Send + Sync + fmt::Debug {
    /// Sends a record.
    ///
    /// The future says why it could not be sent, in a sentence without its subject.
    fn send(&self, record: EventRecord) -> BoxFuture<'static, Result<(), String>>;
}

/// A record about events that were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The ARN of who is told.
    pub to: String,
    /// The ARN of the function it is about, with a version or alias.
    pub function: String,
    /// The record, as JSON text.
    pub body: String,
    /// The name that it gets where records are objects of a bucket.
    pub object_key: String,
}

/// Serves the APIs that a control plane builds.
///
/// Its methods may wait for the disk and for ports, so they are not for threads that serve connections.
pub trait ApiHost: Send + Sync + fmt::Debug {
    /// Serves a definition, in place of what was served of this API until now. Connections stay, but those of
    /// stages that are gone end.
    ///
    /// # Errors
    /// What is wrong with the definition, a sentence for each mistake. What was served until now stays.
    fn publish(&self, definition: &ApiDefinition) -> Result<(), Vec<String>>;

    /// Serves an API no more: its connections end, its address is free.
    fn withdraw(&self, id: &ApiId);

    /// Serves these custom domain names and no others. Connections stay.
    ///
    /// # Errors
    /// What is wrong with them. What was served until now stays.
    fn publish_domains(&self, domains: &[DomainDefinition]) -> Result<(), Vec<String>>;

    /// Where clients reach a custom domain that is served: `localhost:7801`.
    fn domain_endpoint(&self, name: &str) -> Option<String>;

    /// Where clients reach an API that is served, with a scheme: `ws://localhost:7800`.
    fn endpoint(&self, id: &ApiId) -> Option<String>;
}

/// Where stacks that are deployed by calls are read, applied and removed.
///
/// Templates are read in its place, because only there all is known that they may lead to: the app, the other stacks, and
/// what runs.
pub trait StackHost: Send + Sync + fmt::Debug {
    /// What a template says about itself. Resolves nothing, needs no values, changes nothing.
    ///
    /// # Errors
    /// What is wrong with it: at least one problem.
    fn summarize(&self, template: &str) -> Result<TemplateSummary, Vec<StackProblem>>;

    /// Reads a stack as it would be deployed, with the app and every other deployed stack in place. Changes nothing.
    ///
    /// Two readings of one request are equal as long as nothing changes that it leads to.
    ///
    /// # Errors
    /// All that was found wrong with it: at least one problem.
    fn read(&self, stack: &StackRequest) -> Result<StackReading, Vec<StackProblem>>;

    /// Makes a stack run in place of what ran of it until now: resources are made, changed and removed. All of it, or nothing:
    /// on an error, what ran before runs on.
    ///
    /// # Errors
    /// Why it was not applied: at least one problem.
    ///
    /// # Cancel safety
    /// What was begun is carried to its end even when the future is dropped.
    fn apply(
        &self,
        stack: &StackRequest,
    ) -> BoxFuture<'static, Result<StackReading, Vec<StackProblem>>>;

    /// Takes a stack away with what ran of it; what is to be retained stays. A stack that is not there is removed already.
    ///
    /// # Errors
    /// Why it is still there: at least one problem.
    ///
    /// # Cancel safety
    /// What was begun is carried to its end even when the future is dropped.
    fn remove(&self, stack: &StackName) -> BoxFuture<'static, Result<(), Vec<StackProblem>>>;
}

/// The objects that deploy tools upload: code of functions, templates.
pub trait StackObjects: Send + Sync + fmt::Debug {
    /// The file that holds an object's content, whole, or `None` where there is no such object. It is not changed in place:
    /// an object that is written anew is another file, and a file stays at least as long as an object is it.
    fn find(&self, account: &str, bucket: &str, key: &str) -> Option<PathBuf>;

    /// Makes a bucket that a stack declares, unless it is there.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    fn keep_bucket(&self, account: &str, region: &str, bucket: &str) -> Result<(), String>;

    /// Keeps what a stack is made of, in place of what it was made of before: these contents stay, whatever becomes of the
    /// objects. A stack that is gone is made of nothing.
    ///
    /// # Errors
    /// Why it cannot be kept, in a sentence.
    fn pin(&self, stack: &StackName, objects: &[PinnedObject]) -> Result<(), String>;

    /// What a stack is made of.
    fn pinned(&self, stack: &StackName) -> Vec<PinnedObject>;
}

/// An object as a stack was made of it: it may be another by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedObject {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The file that holds the content.
    pub file: PathBuf,
}

/// The parameters of Systems Manager, as templates ask for them.
pub trait SystemParameters: Send + Sync + fmt::Debug {
    /// The value of a parameter, in the version that is named or else the newest.
    fn value(
        &self,
        account: &str,
        region: &str,
        name: &str,
        version: Option<u64>,
    ) -> Option<String>;
}

/// The temporary access keys that were given out here.
pub trait IssuedKeys: Send + Sync + fmt::Debug {
    /// The key of this id, if it was given out and has not expired.
    fn find(&self, access_key: &str) -> Option<IssuedKey>;
}

/// A temporary access key.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// Its secret.
    pub secret: String,
    /// The session token that requests must have with it.
    pub session_token: String,
    /// When it ends, in seconds since the Unix epoch.
    pub expires: u64,
}

/// Without its secrets.
impl fmt::Debug for IssuedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("IssuedKey").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// What functions have written, as far as it is kept.
pub trait LoggedLines: Send + Sync + fmt::Debug {
    /// The log groups that functions of an account and region write to (`/aws/lambda/NAME`). Waits for nothing.
    fn groups(&self, account: &str, region: &str) -> Vec<String>;

    /// The lines of a log group from one time to another, in milliseconds since the Unix epoch and both included: the oldest
    /// first, without the first `skip`, at most `most`. Waits for the disk.
    fn lines(&self, group: &str, times: (u64, u64), skip: usize, most: usize) -> Vec<LoggedLine>;
}

/// A line of a log, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// When it was written, in milliseconds since the Unix epoch.
    pub time: u64,
    /// The line, without its end.
    pub text: String,
}
