//! What a template came to, as it is kept: the words of the port, in a form that can be written down.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use stillwire_model::{
    NestedStack, StackOutput, StackParameter, StackReading, StackRequest, StackResource,
};

/// What a template came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) description: Option<String>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) imports: Vec<String>,
    pub(crate) nested: BTreeMap<String, Nested>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Sums of its parts.
    pub(crate) fingerprints: BTreeMap<String, String>,
    pub(crate) is_retained: bool,
    pub(crate) note: Option<String>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Output {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

/// A parameter and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) resolved: Option<String>,
    pub(crate) no_echo: bool,
}

/// A stack inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nested {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) template: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) reading: Reading,
}

impl From<StackReading> for Reading {
    fn from(reading: StackReading) -> Self {
        let StackReading { description, resources, outputs, parameters, imports, nested } = reading;
        Self {
            description,
            resources: resources.into_iter().map(Resource::from).collect(),
            outputs: outputs.into_iter().map(Output::from).collect(),
            parameters: parameters.into_iter().map(Parameter::from).collect(),
            imports,
            nested: nested.into_iter().map(|(id, nested)| (id, nested.into())).collect(),
        }
    }
}

impl From<StackResource> for Resource {
    fn from(resource: StackResource) -> Self {
        let StackResource {
            logical_id,
            physical_id,
            resource_type: kind,
            fingerprints,
            is_retained,
            note,
        } = resource;
        // What they are of may be secret, and this is written down.
        let fingerprints = fingerprints.into_iter().map(|(part, text)| (part, sum(&text)));
        let fingerprints = fingerprints.collect();
        Self { logical_id, physical_id, kind, fingerprints, is_retained, note }
    }
}

fn sum(text: &str) -> String {
    BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()))
}

impl From<StackOutput> for Output {
    fn from(output: StackOutput) -> Self {
        let StackOutput { key, value, description, export } = output;
        Self { key, value, description, export }
    }
}

impl From<StackParameter> for Parameter {
    fn from(parameter: StackParameter) -> Self {
        let StackParameter { key, value, resolved, no_echo } = parameter;
        Self { key, value, resolved, no_echo }
    }
}

impl From<NestedStack> for Nested {
    fn from(nested: NestedStack) -> Self {
        let NestedStack { request, reading } = nested;
        let StackRequest { name, id, template, tags, parameters: _ } = request;
        Self {
            id: id.to_string(),
            name: name.name.to_string(),
            template: template.to_string(),
            tags,
            reading: reading.into(),
        }
    }
}

impl Reading {
    /// The names that other stacks may import.
    pub(crate) fn exports(&self) -> impl Iterator<Item = (&str, &Output)> {
        self.outputs.iter().filter_map(|output| Some((output.export.as_deref()?, output)))
    }

    pub(crate) fn parameter(&self, key: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.key == key)
    }
}
