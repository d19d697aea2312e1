//! One request as mappings and templates see it.

use std::borrow::Cow;

use stillwire_model::{Api, MappingSource, Stage};
use stillwire_velocity::{ContextValue, Input, ParamPlace};

use crate::context::Context;
use crate::request::Request;
use crate::route;

/// One request as mappings and templates see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) api: &'a Api,
    /// The text of the message; empty on `$connect` and `$disconnect`.
    pub(crate) body: &'a str,
    /// The handshake, on `$connect`.
    pub(crate) request: Option<&'a Request>,
}

impl<'a> Exchange<'a> {
    /// The same with another body: a backend's answer, for the templates of responses.
    pub(crate) fn with_body(self, body: &'a str) -> Self {
        Self { body, ..self }
    }

    /// The value of a mapping; `None` when there is none.
    pub(crate) fn value(&self, source: &MappingSource) -> Option<String> {
        match source {
            MappingSource::Literal(text) => Some(text.clone()),
            MappingSource::Header(name) => self.request?.header(name).map(str::to_owned),
            MappingSource::QueryString(name) => self.request?.query(name).map(str::to_owned),
            MappingSource::Body(expression) => route::select(expression, self.body),
            MappingSource::Context(name) => self.context.variable(name).map(Cow::into_owned),
            MappingSource::StageVariable(name) => self.stage()?.variables.get(name).cloned(),
        }
    }

    /// A URI with its `${stageVariables.NAME}` replaced; else the name of a variable that the stage does not have.
    pub(crate) fn with_stage_variables(&self, uri: &str) -> Result<String, String> {
        let mut resolved = String::new();
        let mut rest = uri;
        while let Some((before, after)) = rest.split_once("${stageVariables.") {
            let (name, tail) = after.split_once('}').ok_or_else(|| after.to_owned())?;
            let value = self.stage().and_then(|stage| stage.variables.get(name));
            resolved.push_str(before);
            resolved.push_str(value.ok_or_else(|| name.to_owned())?);
            rest = tail;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn stage(&self) -> Option<&'a Stage> {
        self.api.stages.get(self.context.peer.stage())
    }
}

/// The members of `$context`, for templates that go over all of them.
const MEMBERS: [&str; 13] = [
    "apiId",
    "connectedAt",
    "connectionId",
    "domainName",
    "eventType",
    "extendedRequestId",
    "identity",
    "messageId",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "routeKey",
    "stage",
];

impl Input for Exchange<'_> {
    fn body(&self) -> &str {
        self.body
    }

    fn context(&self, name: &str) -> ContextValue<'_> {
        let integer =
            |number: u64| ContextValue::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        match name {
            "connectedAt" => integer(self.context.peer.connected_at),
            "requestTimeEpoch" => integer(self.context.epoch_millis),
            "identity" | "error" => ContextValue::Branch,
            "authorizer" if self.context.peer.authorized.is_some() => ContextValue::Branch,
            name => self.context.variable(name).map_or(ContextValue::Missing, ContextValue::Text),
        }
    }

    fn context_names(&self, branch: &str) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let authorized = self.context.peer.authorized.as_deref();
        match branch {
            "" => {
                let mut names: Vec<String> = owned(&MEMBERS);
                names.extend(authorized.map(|_| "authorizer".to_owned()));
                names
            }
            "identity" => owned(&["sourceIp", "userAgent"]),
            "authorizer" => authorized.map_or_else(Vec::new, |authorized| {
                let properties = authorized.context.keys().cloned();
                std::iter::once("principalId".to_owned()).chain(properties).collect()
            }),
            _ => Vec::new(),
        }
    }

    fn stage_variable(&self, name: &str) -> Option<&str> {
        self.stage()?.variables.get(name).map(String::as_str)
    }

    fn stage_variable_names(&self) -> Vec<String> {
        self.stage().map_or_else(Vec::new, |stage| stage.variables.keys().cloned().collect())
    }

    fn params(&self, place: ParamPlace) -> Vec<(String, String)> {
        let Some(request) = self.request else { return Vec::new() };
        let all = match place {
            ParamPlace::Path => return Vec::new(),
            ParamPlace::QueryString => &request.query,
            ParamPlace::Header => &request.headers,
        };
        let last =
            |(name, values): &(String, Vec<String>)| Some((name.clone(), values.last()?.clone()));
        all.iter().filter_map(last).collect()
    }
}
