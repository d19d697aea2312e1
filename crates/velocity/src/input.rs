//! What a template may ask: the message, its context, and the parameters of the handshake.

use std::borrow::Cow;

/// What the caller knows. Each question is asked when a template asks it, and only then.
pub trait Input {
    /// The text of the message; empty when there is none, as on `$connect`.
    fn body(&self) -> &str;

    /// The variable of `$context` by its dotted name, for instance `connectionId` or `identity.sourceIp`.
    fn context(&self, name: &str) -> ContextValue<'_>;

    /// The names of the members of `$context` (`""`) or of a branch of it (`authorizer`): for templates that go over
    /// all of them.
    fn context_names(&self, branch: &str) -> Vec<String>;

    /// A variable of the stage.
    fn stage_variable(&self, name: &str) -> Option<&str>;

    /// The names of all variables of the stage.
    fn stage_variable_names(&self) -> Vec<String>;

    /// The parameters of a place, in order; a name that repeats counts with its last value.
    fn params(&self, place: ParamPlace) -> Vec<(String, String)>;
}

/// Where a parameter of the handshake came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamPlace {
    /// The path. A WebSocket API has none.
    Path,
    /// The query string.
    QueryString,
    /// A header.
    Header,
}

impl ParamPlace {
    /// All places, in the order in which `$input.params('name')` searches them.
    ///
    /// Source: API Gateway Developer Guide, mapping template reference: "path, query string, or header value (searched
    /// in that order)".
    pub const ALL: [Self; 3] = [Self::Path, Self::QueryString, Self::Header];

    /// Its key in `$input.params()`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::QueryString => "querystring",
            Self::Header => "header",
        }
    }
}

/// What a name of `$context` leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum ContextValue<'a> {
    /// Nothing: it prints nothing, and is false in a condition.
    Missing,
    /// A text.
    Text(Cow<'a, str>),
    /// A number, for instance `connectedAt`.
    Integer(i64),
    /// A truth.
    Boolean(bool),
    /// A branch with members of its own, for instance `identity`.
    Branch,
}

/// What a template rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What the template assigned below `$context.requestOverride` and `$context.responseOverride`, by dotted name
    /// (`responseOverride.status`), in order.
    ///
    /// Source: REST APIs; believed to mean nothing in a WebSocket API.
    pub overrides: Vec<(String, String)>,
}
