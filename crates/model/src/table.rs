//! Tables, as far as they are declared.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A table that a stack declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The stack it belongs to.
    pub stack: Arc<str>,
    /// Its logical id in the template.
    pub logical_id: Arc<str>,
    /// Its physical name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Keys, attributes, indexes and stream, as the members of a `CreateTable` request (with `TableName`).
    pub definition: Map<String, Value>,
    /// The attribute that holds an item's expiry, where time to live is enabled.
    pub time_to_live: Option<String>,
    /// The ARN of its stream, as the rest of the template knows it. Means nothing where no stream is enabled.
    pub stream_arn: String,
    /// What happens to the data when the table leaves the template.
    pub deletion_policy: DeletionPolicy,
}

/// What happens to a resource that leaves its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It goes with its data.
    Delete,
    /// Its data stay.
    Retain,
}
