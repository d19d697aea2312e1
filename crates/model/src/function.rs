//! Functions: code, runtime and settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{FunctionArn, LogLevel};

/// A deployed function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The stack it belongs to.
    pub stack: Arc<str>,
    /// Its logical id in the template.
    pub logical_id: Arc<str>,
    /// Its ARN; the last field is its name.
    pub arn: FunctionArn,
    /// Its version: [`LATEST`], or a number.
    pub version: Arc<str>,
    /// The ARN of its role, as it was given.
    pub role: Arc<str>,
    /// What runs it.
    pub runtime: Runtime,
    /// Where its entry point is, in the runtime's own notation (`websocket.handler`).
    pub handler: String,
    /// Where its code is.
    pub code: Code,
    /// What is merged into one folder besides its code; a later one wins.
    pub layers: Vec<Code>,
    /// The variables the template sets. Names reserved by Lambda are not among them.
    pub environment: BTreeMap<String, String>,
    /// Memory in MB.
    pub memory_mb: u32,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// How it writes its log.
    pub logging: Logging,
    /// How many invocations may run at once; `None` is no limit of its own, 0 never runs.
    pub reserved_concurrency: Option<u32>,
    /// Whether its environments begin after its code was loaded (`SnapStart`).
    pub snap_start: bool,
}

/// The version that is not published: what a function is now.
///
/// Source: AWS Lambda Developer Guide, "Manage Lambda function versions".
pub const LATEST: &str = "$LATEST";

/// A function with its published versions, and the names for them.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionRelease {
    /// What it is now.
    pub latest: Arc<Function>,
    /// Its published versions.
    pub versions: Vec<Arc<Function>>,
    /// Its aliases, by name.
    pub aliases: BTreeMap<String, Alias>,
}

/// A name for a version of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// The version.
    pub version: String,
    /// A second version and the share of invocations that goes to it, from 0 to 1.
    ///
    /// Source: AWS Lambda API, `AliasRoutingConfiguration` (one additional version at most).
    pub second: Option<(String, f64)>,
}

impl From<Arc<Function>> for FunctionRelease {
    /// A function of which nothing was published.
    fn from(latest: Arc<Function>) -> Self {
        Self { latest, versions: Vec::new(), aliases: BTreeMap::new() }
    }
}
/// Families of managed runtimes that run by the runtime client published for their language.
const RUN_BY_CLIENTS: [&str; 3] = ["java", "dotnet", "ruby"];

impl Function {
    /// Whether a process of `self` can go on as one of `other`: only how many there may be, and what they may do,
    /// differs, if anything.
    pub fn runs_as(&self, other: &Self) -> bool {
        let (reserved_concurrency, role) = (other.reserved_concurrency, Arc::clone(&other.role));
        Self { role, reserved_concurrency, ..self.clone() } == *other
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.arn.name()
    }

    /// Why Stillwire cannot run it, if it cannot, with the remedy.
    pub fn obstacle(&self) -> Option<String> {
        match (&self.code, &self.runtime) {
            (Code::Image(image), _) => Some(format!(
                "its code is a container image ({image}), which is not run here; \
                 declare it as a zip package or a folder (Code.from_asset)"
            )),
            (_, runtime) if !runtime.is_run_here() => {
                Some(format!("its runtime {runtime} is not run here; take provided.al2023"))
            }
            _ => None,
        }
    }
}

/// How a function writes its log (`LoggingConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logging {
    /// Whether its lines are JSON objects.
    pub json: bool,
    /// The least level of the lines that it writes; there is one only where lines are JSON.
    pub level: Option<LogLevel>,
    /// The same for what the platform writes about it.
    pub system_level: Option<LogLevel>,
    /// The name of its log group, where that is not the usual one.
    pub group: Option<String>,
}

impl Logging {
    /// What the members of a `LoggingConfig` mean; `member` gives the one of a name.
    ///
    /// Source: AWS Lambda Developer Guide, "Log-level filtering": only for JSON, where it is `INFO` unless it is said.
    pub fn new(member: impl Fn(&str) -> Option<String>) -> Self {
        let json = member("LogFormat").as_deref() == Some("JSON");
        let level = |name| {
            let level = member(name).and_then(|level| LogLevel::named(&level));
            json.then(|| level.unwrap_or(LogLevel::Info))
        };
        Self {
            json,
            level: level("ApplicationLogLevel"),
            system_level: level("SystemLogLevel"),
            group: member("LogGroup"),
        }
    }
}

/// Where the code of a function, or of a layer, is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A folder.
    Directory {
        /// The task root: what the deployed package holds.
        root: PathBuf,
        /// The folder its author edits, where that is another one whose files are all in `root` as well
        /// (a bundled asset: `root` has the dependencies besides). Files here win over those in `root`.
        source: Option<PathBuf>,
    },
    /// A zip archive.
    Archive(PathBuf),
    /// The text of one file (`ZipFile` in a template).
    Inline {
        /// The file's name, from the module part of the handler.
        file_name: String,
        /// Its content.
        text: String,
    },
    /// A container image, which is not run here.
    Image(String),
}

/// What runs a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// CPython 3 of this minor version (`python3.12` is 12).
    Python(u8),
    /// Node.js of this major version (`nodejs22.x` is 22).
    Node(u8),
    /// The function's own `bootstrap` (`provided.al2023`).
    Provided(String),
    /// Another managed runtime (`java21`, `dotnet8`, `ruby3.4`).
    Other(String),
}

/// A `Runtime` property that names none of Lambda's runtimes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Lambda runtime (python3.13, nodejs22.x, provided.al2023, …)")]
pub struct InvalidRuntime(pub String);

impl Runtime {
    /// Reads a runtime identifier as the template writes it.
    ///
    /// Source: AWS Lambda service model, `Runtime`.
    pub fn parse(text: &str) -> Result<Self, InvalidRuntime> {
        let number = |digits: &str| digits.parse::<u8>().ok();
        if let Some(minor) = text.strip_prefix("python3.").and_then(number) {
            return Ok(Self::Python(minor));
        }
        if let Some(major) =
            text.strip_prefix("nodejs").and_then(|rest| rest.strip_suffix(".x")).and_then(number)
        {
            return Ok(Self::Node(major));
        }
        if text.starts_with("provided") {
            return Ok(Self::Provided(text.to_owned()));
        }
        if ["java", "dotnet", "ruby", "go1"].iter().any(|family| text.starts_with(family)) {
            return Ok(Self::Other(text.to_owned()));
        }
        Err(InvalidRuntime(text.chars().take(80).collect()))
    }

    /// Whether functions of it can be run, given what they need.
    pub fn is_run_here(&self) -> bool {
        match self {
            Self::Other(other) => RUN_BY_CLIENTS.iter().any(|family| other.starts_with(family)),
            Self::Python(_) | Self::Node(_) | Self::Provided(_) => true,
        }
    }

    /// The files in which the entry point `handler` may be, below the function's folder; the first that exists is.
    ///
    /// Source: AWS Lambda Developer Guide, "Handler": `module.function`, with `/` between folders; in Python also with
    /// `.`, in Node.js the function may be in an object (`file.object.function`).
    pub fn entry_files(&self, handler: &str) -> Vec<String> {
        match self {
            Self::Python(_) => {
                let module = handler.rsplit_once('.').map_or(handler, |(module, _)| module);
                vec![format!("{}.py", module.replace('.', "/"))]
            }
            Self::Node(_) => {
                let name = handler.rfind('/').map_or(0, |slash| slash + 1);
                let dot = handler.get(name..).and_then(|name| name.find('.'));
                let module = handler.get(..dot.map_or(handler.len(), |dot| name + dot));
                ["js", "mjs", "cjs", "ts", "mts", "cts"]
                    .map(|extension| format!("{}.{extension}", module.unwrap_or(handler)))
                    .into()
            }
            Self::Provided(_) => vec!["bootstrap".to_owned()],
            Self::Other(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Python(minor) => write!(out, "python3.{minor}"),
            Self::Node(major) => write!(out, "nodejs{major}.x"),
            Self::Provided(text) | Self::Other(text) => out.write_str(text),
        }
    }
}

/// Variables that Lambda sets itself and refuses in a template.
///
/// Source: AWS Lambda Developer Guide, "Reserved environment variables".
const RESERVED_VARIABLES: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

/// A name that no environment variable of a function may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// Lambda sets it itself.
    #[error("the environment variable {0} is reserved by Lambda")]
    Reserved(String),
    /// It is not shaped like a name.
    #[error("{0:?} is not the name of an environment variable")]
    Shape(String),
}

/// Whether a function may have an environment variable of this name.
///
/// # Errors
/// When Lambda sets it itself, or it is no name.
///
/// Source: AWS Lambda, `EnvironmentVariableName` ([a-zA-Z]([a-zA-Z0-9_])+).
pub fn check_variable_name(name: &str) -> Result<(), InvalidVariable> {
    if RESERVED_VARIABLES.contains(&name) {
        return Err(InvalidVariable::Reserved(name.to_owned()));
    }
    let shaped = name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    shaped.then_some(()).ok_or_else(|| InvalidVariable::Shape(name.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_point_is_in_the_file_of_its_module() {
        let first = |runtime: &str, handler: &str| {
            Runtime::parse(runtime).unwrap().entry_files(handler).swap_remove(0)
        };
        assert_eq!(first("python3.12", "websocket.handler"), "websocket.py");
        assert_eq!(first("python3.12", "a/b.c.handler"), "a/b/c.py");
        assert_eq!(first("nodejs22.x", "dir.d/index.api.handler"), "dir.d/index.js");
        assert_eq!(first("nodejs22.x", "index"), "index.js");
        assert_eq!(first("provided.al2023", "x"), "bootstrap");
    }

    #[test]
    fn runtimes_read_back_as_written() {
        for text in ["python3.9", "python3.14", "nodejs22.x", "provided.al2023", "java21"] {
            assert_eq!(Runtime::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "python", "python2.7", "python3.x", "nodejs", "cobol85"] {
            assert!(Runtime::parse(text).is_err(), "{text:?}");
        }
    }
}
