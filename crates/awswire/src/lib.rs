//! AWS manners: the ids, times, names, envelopes and signatures that all services share.
//!
//! What the services *do* is none of its business.

mod error;
mod expression;
mod ids;
mod query;
mod record;
mod service;
mod signature;
mod time;
mod xml;

pub use error::{ErrorBody, ServiceError};
pub use expression::expression_tokens;
pub use ids::{ConnectionId, InvalidConnectionId, RequestIds};
pub use query::{InvalidQuery, Parameters, Query, query_answer, query_refusal};
pub use record::{RequestContext, ResponseContext, record_key};
pub use service::{endpoint_of, endpoint_variable, service_of_host};
pub use signature::{
    CredentialScope, Credentials, Expected, InvalidAuthorization, Mismatch, Payload, RawRequest,
    Secret, SignatureError, SigningScope, Verified, presign, sign, verify,
};
pub use time::{clf_time, iso_millis, with_clf_time};
pub use xml::Xml;
