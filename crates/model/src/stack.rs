//! Stacks as they are deployed by calls: what is asked for, and what a template comes to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Which stack: names are unique in an account's region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackName {
    /// The account, in digits.
    pub account: Arc<str>,
    /// The region (`eu-west-1`).
    pub region: Arc<str>,
    /// The name (`dev-Chat`).
    pub name: Arc<str>,
}

/// As people say it: `dev-Chat (999999999999, eu-west-1)`.
impl fmt::Display for StackName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}, {})", self.name, self.account, self.region)
    }
}

/// A stack as somebody wants it deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackRequest {
    /// Which stack.
    pub name: StackName,
    /// Its ARN, which ends in a UUID: a stack that was deleted and made again has another one.
    pub id: Arc<str>,
    /// The template as it was sent: JSON or YAML, with or without a transform. Bounded, else untrusted.
    pub template: Arc<str>,
    /// The values of its parameters, as texts. Parameters that are not here have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The tags of the stack.
    pub tags: BTreeMap<String, String>,
}

/// What a template comes to where it is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackReading {
    /// What the template says it is for.
    pub description: Option<String>,
    /// Its resources, in the order of the template, without those whose conditions are false.
    pub resources: Vec<StackResource>,
    /// Its outputs, in the order of the template, without those whose conditions are false.
    pub outputs: Vec<StackOutput>,
    /// The values of all parameters that it declares, in its order.
    pub parameters: Vec<StackParameter>,
    /// The names of the exports of other stacks that it imports.
    pub imports: Vec<String>,
    /// The stacks inside it (`AWS::CloudFormation::Stack`), by their logical ids. Each is also a resource, whose physical id
    /// is the nested stack's ARN.
    pub nested: BTreeMap<String, NestedStack>,
}

/// A stack that another one declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NestedStack {
    /// The stack, as its parent asks for it.
    pub request: StackRequest,
    /// What it comes to.
    pub reading: StackReading,
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Its logical id in the template.
    pub logical_id: String,
    /// Its physical id: what `Ref` gives.
    pub physical_id: String,
    /// Its type (`AWS::DynamoDB::Table`).
    pub resource_type: String,
    /// What tells a change from none: for each part of the resource a text that differs where it does, once everything in it
    /// is resolved. Parts are named as change sets name them: `Properties.TableName`, `Metadata`, `DeletionPolicy`.
    /// The texts may be sums of the values: they are compared, and shown to nobody.
    pub fingerprints: BTreeMap<String, String>,
    /// The resource stays with its data when it leaves the template or the stack goes (`DeletionPolicy: Retain`).
    pub is_retained: bool,
    /// What the caller should know of it: that it is not run here, and what that means.
    pub note: Option<String>,
}

/// An output of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackOutput {
    /// Its key in the template.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What the template says about it.
    pub description: Option<String>,
    /// The name under which other stacks import it.
    pub export: Option<String>,
}

/// A parameter of a stack, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackParameter {
    /// Its key in the template.
    pub key: String,
    /// Its value: what was given, or the default.
    pub value: String,
    /// What the value leads to, where it names a parameter of Systems Manager.
    pub resolved: Option<String>,
    /// Its value is shown to nobody.
    pub no_echo: bool,
}

/// What a template says about itself, before anything of it is resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateSummary {
    /// What it is for.
    pub description: Option<String>,
    /// The parameters that it declares, in its order.
    pub parameters: Vec<DeclaredParameter>,
    /// The logical ids and types of its resources, in its order and as it writes them: a transform may make others of them.
    pub resources: Vec<(String, String)>,
    /// The transforms that it asks for.
    pub transforms: Vec<String>,
    /// Its `Metadata` as JSON text.
    pub metadata: Option<String>,
}

/// A parameter as a template declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredParameter {
    /// Its key.
    pub key: String,
    /// Its type (`String`, `AWS::SSM::Parameter::Value<String>`).
    pub parameter_type: String,
    /// Its default.
    pub default: Option<String>,
    /// Its value is shown to nobody.
    pub no_echo: bool,
    /// What it is for.
    pub description: Option<String>,
    /// The values that it may have, where they are listed.
    pub allowed_values: Vec<String>,
}

/// What is wrong with a stack, or with deploying it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StackProblem {
    /// The resource that it is about; the stack as a whole where there is none.
    pub logical_id: Option<String>,
    /// That resource's type.
    pub resource_type: Option<String>,
    /// What is wrong, where, and the remedy: a sentence or two for the person who deploys.
    pub message: String,
}
