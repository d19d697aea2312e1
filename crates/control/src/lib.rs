//! The control plane: the `apigatewayv2` REST API for WebSocket APIs, so that boto3, the AWS CLI and Terraform can
//! build an API on a running Stillwire.
//!
//! | file | what it does |
//! | --- | --- |
//! | `plane` | a call from its path to its operation |
//! | `request`, `page` | path, query and body; lists a page at a time |
//! | `kinds`, `members` | what resources are made of, and what may stand in them |
//! | `apis`, `parts`, `stages`, `deployments`, `domains`, `tags` | the operations |
//! | `change` | a change is checked, served and kept, or not made at all |
//! | `state`, `templates` | what was built; what templates declare of it |
//!
//! It knows APIs as their author writes them ([`stillwire_model::ApiDefinition`]); what they mean, and how they are served, is the
//! business of an [`stillwire_model::ApiHost`]. A call is answered once its change is served and kept.
//!
//! Source: service model `apigatewayv2` 2018-11-29. Errors are worded as the service words them where that is known.

mod apis;
mod change;
mod deployments;
mod domains;
mod error;
mod ids;
mod kinds;
mod members;
mod page;
mod parts;
mod plane;
mod request;
mod stages;
mod state;
mod tags;
mod templates;

pub use plane::{ControlPlane, Home, Kept};
pub use templates::TemplateChange;
