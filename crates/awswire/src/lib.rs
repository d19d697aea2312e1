//! AWS manners: the ids, times, error envelopes and signature scopes that all services share.
//!
//! What the services *do* is none of its business.

mod error;
mod ids;
mod signature;
mod time;

pub use error::{ErrorBody, ServiceError};
pub use ids::{ConnectionId, InvalidConnectionId, RequestIds};
pub use signature::{CredentialScope, InvalidAuthorization};
pub use time::{clf_time, iso_millis};
