//! What an app *is*: APIs with their routes and stages, functions, tables, and the words for them.
//!
//! Everything here is plain data, valid once constructed, and a few small traits (the *ports*) through which
//! the rooms of the house meet. This crate performs no I/O, reads no clock and starts nothing.

mod api;
mod app;
mod definition;
mod domain;
mod event_source;
mod expression;
mod function;
mod ids;
mod integration;
mod keys;
pub mod limits;
mod log_level;
mod ports;
mod role;
mod service;
mod stack;
mod stage;
mod table;
mod usage;
mod value;

pub use api::{
    Api, Authorization, Authorizer, IdentitySource, InvalidApi, InvalidIdentitySource,
    InvalidRouteKey, Route, RouteKey, Validation,
};
pub use app::{App, Output, Stack};
pub use definition::{
    ApiDefinition, ApiPart, DomainDefinition, FunctionDefinition, FunctionPart, MappingDefinition,
    Serves, StageDefinition,
};
pub use domain::{ApiMapping, ApiMappingKey, Domain, DomainName};
pub use event_source::{
    DECLARED_STREAM_LABEL, EventSource, EventSourceMapping, InvalidEventSource, QueueArn,
    QueueSource, StartingPosition, StreamArn, StreamSource,
};
pub use expression::{InvalidExpression, Part, PathStep, SelectionExpression};
pub use function::{
    Alias, Code, Function, FunctionRelease, InvalidRuntime, InvalidVariable, LATEST, Logging,
    Runtime, check_variable_name,
};
pub use ids::{ApiId, FunctionArn, InvalidArn, InvalidId, StageName};
pub use integration::{
    ContentHandling, Integration, IntegrationResponse, IntegrationTarget, InvalidContentHandling,
    InvalidMapping, InvalidResponseKey, Mapping, MappingSource, MappingTarget, NoTemplate,
    Passthrough, RequestTemplates, ResponseKey, function_of_uri,
};
pub use keys::{LOCAL_KEYS, LocalKeys, account_key, account_of_key, function_key};
pub use log_level::LogLevel;
pub use ports::{
    AccessLogs, ApiHost, BoxFuture, Clock, ControlApi, ControlReply, ControlRequest, Destinations,
    EventQueue, EventRecord, EventSourceHost, EventSourceState, EventSourceStatus, FunctionHost,
    FunctionKeys, FunctionLogs, Invocation, Invoke, InvokeError, Invoked, IssuedKey, IssuedKeys,
    LambdaApi, LambdaReply, LambdaRequest, LogLine, LogSource, LoggedLine, LoggedLines, Metrics,
    Outcome, PinnedObject, Reply, StackHost, StackObjects, SystemParameters, TableApi, TableStores,
};
pub use role::Role;
pub use service::{
    Content, ObjectApi, ObjectReply, ObjectRequest, ServiceApi, ServiceCaller, ServiceReply,
    ServiceRequest,
};
pub use stack::{
    DeclaredParameter, NestedStack, StackName, StackOutput, StackParameter, StackProblem,
    StackReading, StackRequest, StackResource, TemplateSummary,
};
pub use stage::{AccessLog, InvalidLogFormat, LogFormat, LogPiece, RouteSettings, Stage, Throttle};
pub use table::{DeletionPolicy, Table};
pub use usage::{
    ApiKey, ApiKeySource, ApiKeys, InvalidApiKeySource, InvalidQuota, Period, Quota, UsagePlan,
};
pub use value::{Keeper, StoredValue};
