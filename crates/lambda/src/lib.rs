//! The Lambda API: what boto3, the AWS CLI and other functions say to `lambda`.
//!
//! | file | what it does |
//! | --- | --- |
//! | `room`, `route` | the service as the program holds it; a request from its path to its operation |
//! | `request`, `name`, `error`, `members` | paths, headers, names of functions, bodies, and what is refused |
//! | `invoke`, `event_stream` | invocations that are answered, whole or as an event stream |
//! | `events`, `destination`, `dispatch` | invocations that nobody waits for: their queue, their repetitions, where records go |
//! | `elsewhere` | invocations of functions that run on AWS, or wherever the Lambda API is spoken |
//! | `functions`, `configuration`, `code` | functions: made, read, changed, removed |
//! | `versions`, `aliases`, `policy`, `settings` | what belongs to a function |
//! | `mappings` | event source mappings: made, read, changed, removed |
//! | `state`, `template`, `store` | what there is, what templates declare, what outlives this run |
//!
//! How functions run is the business of an [`Invoke`](stillwire_model::Invoke) and a
//! [`FunctionHost`](stillwire_model::FunctionHost); how sources are read, of an
//! [`EventSourceHost`](stillwire_model::EventSourceHost).
//!
//! Source: service model `lambda` 2015-03-31. Errors are worded as the service words them where that is known.

mod aliases;
mod code;
mod configuration;
mod destination;
mod dispatch;
mod elsewhere;
mod error;
mod event_stream;
mod events;
mod functions;
mod invoke;
mod mappings;
mod members;
mod name;
mod policy;
mod request;
mod room;
mod route;
mod settings;
mod state;
mod store;
mod template;
mod versions;

pub use elsewhere::{Caller, Elsewhere, There};
pub use events::Delays;
pub use room::{Home, Kept, Lambda, Ports, TemplateChange};
