//! What was understood: a row for every resource, and notices for what a person should know.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::problem::Location;

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceRow {
    /// The stack's name.
    pub stack: String,
    /// Its logical id in the template.
    pub logical_id: String,
    /// Its path in the CDK's construct tree.
    pub construct_path: Option<String>,
    /// Its type (`AWS::Lambda::Function`).
    pub kind: String,
    /// What is done with it.
    pub action: Action,
    /// What that means, in a few words.
    pub note: String,
    /// Where it is declared.
    pub location: Location,
    /// What `Ref` gives for it; `None` where it is not created.
    #[serde(skip)]
    pub physical_id: Option<String>,
    /// Whether it stays with its data when it leaves the template.
    #[serde(skip)]
    pub is_retained: bool,
    /// Its properties, without functions of the template language.
    #[serde(skip)]
    pub properties: Properties,
}

/// Properties with all that they lead to, secrets among it: they are compared, and shown to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Map<String, Value>);

impl fmt::Debug for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It runs here.
    Runs,
    /// References to it have values; it does nothing.
    ValueOnly,
    /// It has no meaning at run time here.
    Skipped,
    /// It would do something on AWS that does not happen here.
    NotRun,
}

/// A call of an SDK that a stack makes when it is created (`AwsCustomResource` of the CDK).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SdkCall {
    /// What it says, and where: the same text at every start, another one once the call is another.
    pub id: String,
    /// The stack's name.
    pub stack: String,
    /// The logical id of its resource.
    pub logical_id: String,
    /// The stack's account.
    pub account: String,
    /// The stack's region.
    pub region: String,
    /// The service, as SDKs name it (`dynamodb`).
    pub service: String,
    /// The action, as the service names it (`PutItem`).
    pub action: String,
    /// What is sent.
    pub parameters: Value,
}

/// Something a person should know; it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// What.
    pub text: String,
    /// What to do about it, if something is to be done.
    pub hint: Option<String>,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The app behaves as on AWS; good to know.
    Info,
    /// The app may behave differently than on AWS.
    Warning,
}

impl Notice {
    pub(crate) fn warning(location: Location, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, location, text: text.into(), hint: None }
    }

    pub(crate) fn info(location: Location, text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, location, text: text.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
