//! What a policy allows or denies about connections.
//!
//! Source: Service Authorization Reference, "Actions defined by Amazon API Gateway".

/// Opens a connection, where the resource is a route; sends a message, where it is one of a connection.
pub(crate) const INVOKE: &str = "execute-api:Invoke";

/// Uses `@connections`.
pub(crate) const MANAGE_CONNECTIONS: &str = "execute-api:ManageConnections";
