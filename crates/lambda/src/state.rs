//! What there is: functions with their versions, aliases, policies and settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillwire_model::{
    Alias as ReleasedAlias, Code, Function as Released, FunctionArn, FunctionRelease, LATEST,
    Logging, Runtime,
};

use crate::error::{Answered, Refused};
use crate::mappings::Mapping;
use crate::name::{Named, qualified};
use crate::request::Members;

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// By their ARNs.
    pub(crate) functions: BTreeMap<String, Function>,
    /// By their UUIDs.
    #[serde(default)]
    pub(crate) mappings: BTreeMap<String, Mapping>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Function {
    #[serde(with = "arn_text")]
    pub(crate) arn: FunctionArn,
    /// What it is now.
    pub(crate) latest: Configuration,
    /// Its published versions, by their numbers.
    pub(crate) versions: BTreeMap<u64, Configuration>,
    /// The highest number that was ever given.
    pub(crate) last_version: u64,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// By version or alias; empty for the function itself.
    pub(crate) policies: BTreeMap<String, Policy>,
    /// By version or alias; [`LATEST`] for the function itself.
    pub(crate) event_settings: BTreeMap<String, EventSettings>,
    pub(crate) reserved: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The stack and logical id of one that comes from a template, and goes with it.
    #[serde(skip)]
    pub(crate) origin: Option<(Arc<str>, Arc<str>)>,
}

/// A version of a function: its settings and its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// [`LATEST`], or a number.
    pub(crate) version: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) environment: BTreeMap<String, String>,
    /// All other members, as they were given: kept and shown.
    pub(crate) members: Members,
    pub(crate) code: StoredCode,
    /// What its template merges into it.
    #[serde(skip)]
    pub(crate) layers: Vec<Code>,
    pub(crate) modified: String,
    pub(crate) revision: String,
}

/// The code of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum StoredCode {
    /// An archive that was sent, as it is kept.
    Kept {
        /// The name of its file in the folder of code.
        file: String,
        /// The SHA-256 of the archive, in base64.
        sha256: String,
        /// Its bytes.
        size: u64,
    },
    /// Where a template has it: it is read there as it is now.
    #[serde(skip)]
    Template(Code),
}

/// A name for a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alias {
    pub(crate) version: String,
    pub(crate) description: String,
    /// A second version and its share.
    pub(crate) second: Option<(String, f64)>,
    pub(crate) revision: String,
}

/// Who may invoke.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) statements: Vec<Value>,
    pub(crate) revision: String,
}

/// What is done with events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventSettings {
    pub(crate) retries: Option<u32>,
    pub(crate) age_seconds: Option<u32>,
    pub(crate) on_success: Option<String>,
    pub(crate) on_failure: Option<String>,
    /// Seconds since 1970.
    pub(crate) modified: u64,
}

impl State {
    /// The function that a caller has named.
    pub(crate) fn find(&self, named: &Named, home: &crate::Home) -> Answered<&Function> {
        let mut meant = self.functions.values().filter(|function| named.is(&function.arn));
        // Of functions of one name in several regions, the one at home.
        let at_home = meant.clone().find(|function| function.arn.region() == home.region);
        at_home
            .or_else(|| meant.next())
            .ok_or_else(|| Refused::no_function(&named.arn(&home.region, &home.account)))
    }

    /// The function of an ARN.
    pub(crate) fn get(&self, arn: &FunctionArn) -> Option<&Function> {
        self.functions.get(arn.as_str())
    }

    /// What outlives this run: what templates brought comes with them again.
    pub(crate) fn to_keep(&self) -> Self {
        let kept = self.functions.iter().filter(|(_, function)| function.origin.is_none());
        let mappings = self.mappings.iter().filter(|(_, mapping)| !mapping.of_template);
        Self {
            functions: kept.map(|(arn, function)| (arn.clone(), function.clone())).collect(),
            mappings: mappings.map(|(id, mapping)| (id.clone(), mapping.clone())).collect(),
        }
    }

    /// What runs.
    pub(crate) fn releases(&self, code: &Path) -> Vec<FunctionRelease> {
        self.functions.values().map(|function| function.release(code)).collect()
    }
}

impl Function {
    /// The version that a version or alias leads to; the first one where an alias has two.
    pub(crate) fn configuration(&self, qualifier: Option<&str>) -> Answered<&Configuration> {
        let number = |text: &str| text.parse().ok().and_then(|number| self.versions.get(&number));
        let found = match qualifier {
            None | Some(LATEST) => Some(&self.latest),
            Some(name) => number(name).or_else(|| match self.aliases.get(name)?.version.as_str() {
                LATEST => Some(&self.latest),
                version => number(version),
            }),
        };
        found.ok_or_else(|| Refused::no_function(&qualified(self.arn.as_str(), qualifier)))
    }

    /// What is done with its events.
    pub(crate) fn events(&self, qualifier: Option<&str>) -> EventSettings {
        self.event_settings.get(qualifier.unwrap_or(LATEST)).cloned().unwrap_or_default()
    }

    /// Where failed events go beside their destination.
    pub(crate) fn dead_letter(&self, qualifier: Option<&str>) -> Option<String> {
        let configuration = self.configuration(qualifier).ok()?;
        let target = configuration.members.get("DeadLetterConfig")?.get("TargetArn")?.as_str()?;
        Some(target.to_owned()).filter(|target| !target.is_empty())
    }

    fn release(&self, code: &Path) -> FunctionRelease {
        let aliases = self.aliases.iter().map(|(name, alias)| {
            let (version, second) = (alias.version.clone(), alias.second.clone());
            (name.clone(), ReleasedAlias { version, second })
        });
        FunctionRelease {
            latest: Arc::new(self.released(&self.latest, code)),
            versions: self
                .versions
                .values()
                .map(|version| Arc::new(self.released(version, code)))
                .collect(),
            aliases: aliases.collect(),
        }
    }

    /// A version as it runs. `code` is the folder of kept code.
    pub(crate) fn released(&self, version: &Configuration, code: &Path) -> Released {
        let (stack, logical_id) = match &self.origin {
            Some((stack, id)) => (Arc::clone(stack), Arc::clone(id)),
            None => (Arc::from(""), Arc::from(self.arn.name())),
        };
        Released {
            stack,
            logical_id,
            arn: self.arn.clone(),
            version: version.version.as_str().into(),
            role: version.members.get("Role").and_then(Value::as_str).unwrap_or_default().into(),
            runtime: Runtime::parse(&version.runtime)
                .unwrap_or_else(|_| Runtime::Other(version.runtime.clone())),
            handler: version.handler.clone(),
            code: match &version.code {
                StoredCode::Kept { file, .. } => Code::Archive(code.join(file)),
                StoredCode::Template(code) => code.clone(),
            },
            layers: version.layers.clone(),
            environment: version.environment.clone(),
            logging: version.logging(),
            memory_mb: version.memory_mb,
            timeout: Duration::from_secs(version.timeout_seconds.into()),
            reserved_concurrency: self.reserved,
            snap_start: version.members.get("SnapStart").and_then(|own| own.get("ApplyOn"))
                == Some(&Value::from("PublishedVersions")),
        }
    }
}

impl Configuration {
    fn logging(&self) -> Logging {
        Logging::new(|name| {
            let config = self.members.get("LoggingConfig")?;
            config.get(name).and_then(Value::as_str).map(str::to_owned)
        })
    }

    /// Whether publishing it again would make the same version.
    ///
    /// Source: AWS Lambda API, `PublishVersion`: nothing is published when code and configuration did not change.
    pub(crate) fn is_same_as(&self, published: &Self) -> bool {
        let bare = |configuration: &Self| Self {
            version: String::new(),
            modified: String::new(),
            revision: String::new(),
            members: {
                let mut members = configuration.members.clone();
                members.remove("Description");
                members
            },
            ..configuration.clone()
        };
        bare(self) == bare(published)
    }
}

/// ARNs as text.
mod arn_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use stillwire_model::FunctionArn;

    pub(super) fn serialize<S: Serializer>(
        arn: &FunctionArn,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(arn.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<FunctionArn, D::Error> {
        let text = String::deserialize(deserializer)?;
        FunctionArn::parse(&text).map(|(arn, _)| arn).map_err(D::Error::custom)
    }
}
