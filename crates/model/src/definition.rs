//! APIs and functions as they are written: parts with ids and properties, before anything is checked or served.
//!
//! Templates and the control planes both end here, so that one reader makes [`Api`](crate::Api)s of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{ApiId, Function, StageName};

/// An API as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiDefinition {
    /// Its id.
    pub id: ApiId,
    /// The account its ARNs carry.
    pub account: String,
    /// The region its ARNs carry.
    pub region: String,
    /// The API's own properties, and all parts but its stages, as they are now.
    pub parts: Vec<ApiPart>,
    /// Its stages.
    pub stages: BTreeMap<StageName, StageDefinition>,
}

/// A part of an API, with the properties that CloudFormation gives its type.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiPart {
    /// The last word of its type (`Route` of `AWS::ApiGatewayV2::Route`); `Api` for the API itself.
    pub kind: String,
    /// Its id, by which other parts name it.
    pub id: String,
    /// Its properties, without functions of the template language.
    pub properties: Map<String, Value>,
}

/// A stage as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct StageDefinition {
    /// Its properties.
    pub properties: Map<String, Value>,
    /// What it serves.
    pub serves: Serves,
}

/// Which version of its API a stage serves.
///
/// Source: API Gateway v2, `CreateDeployment`: a deployment is a snapshot of an API; the settings and variables of a
/// stage are no part of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Serves {
    /// The API as it is now.
    Latest,
    /// These parts: the API as it was once.
    Snapshot(Vec<ApiPart>),
    /// Nothing was deployed to it.
    Nothing,
}

/// A custom domain name as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainDefinition {
    /// The name; `*.example.com` for all names of one label before it.
    pub name: String,
    /// What its paths lead to.
    pub mappings: Vec<MappingDefinition>,
}

/// An API mapping as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingDefinition {
    /// Its id.
    pub id: String,
    /// The first segment of the path; empty for paths that no other mapping takes.
    pub key: String,
    /// The API.
    pub api: ApiId,
    /// Its stage.
    pub stage: StageName,
}

/// A function as a template writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDefinition {
    /// What runs.
    pub function: Arc<Function>,
    /// Its properties, without functions of the template language.
    pub properties: Map<String, Value>,
    /// What else the template says about it.
    pub parts: Vec<FunctionPart>,
}

/// A version, alias, permission or another resource about a function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionPart {
    /// The last word of its type (`Alias` of `AWS::Lambda::Alias`).
    pub kind: String,
    /// Its logical id.
    pub id: String,
    /// Its properties, as above.
    pub properties: Map<String, Value>,
}
