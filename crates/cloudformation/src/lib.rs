//! The CloudFormation API, so that the CDK, the AWS CLI and the SAM CLI deploy to a running Stillwire.
//!
//! | file | what it does |
//! | --- | --- |
//! | `room`, `route` | the service, and the way of a request to its operation |
//! | `request`, `template_url` | what a request wants of a stack; where its template is |
//! | `stacks`, `change_sets` | stacks made, changed and removed, directly or by way of change sets |
//! | `operation`, `outcome` | an operation on its way: what the host does, and what becomes of the stack |
//! | `difference` | what changes between two readings of a stack |
//! | `describe`, `resources`, `events`, `exports`, `drift` | what callers are told |
//! | `toolkit` | the stack that the CDK's bootstrapping looks for |
//! | `state`, `status`, `reading`, `store` | what there is, and how it is kept |
//!
//! It knows stacks, and nothing of what templates mean: a [`stillwire_model::StackHost`] reads them, makes them run and removes
//! them. A stack has one operation at a time. What was deployed is kept with its template, so that the next run deploys it
//! again.
//!
//! Source: service model `cloudformation` 2010-05-15 and the API reference; wordings of errors as observed.

mod change_sets;
mod describe;
mod difference;
mod drift;
mod error;
mod events;
mod exports;
mod limits;
mod operation;
mod outcome;
mod page;
mod reading;
mod request;
mod resources;
mod room;
mod route;
mod stacks;
mod state;
mod status;
mod store;
mod template_url;
mod toolkit;

pub use room::{CloudFormation, Ports};
pub use store::Kept;
