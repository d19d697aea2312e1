//! The variables a function sees: Lambda's, the template's and ours; nothing of the daemon's own.
//!
//! Source: AWS Lambda Developer Guide, "Defined runtime environment variables".

use std::collections::BTreeMap;
use std::path::Path;

use stillwire_model::{Function, LOCAL_KEYS, Runtime, function_key};

use crate::supervisor::{MARK, mark};

/// What distinguishes one environment of a function from another.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Its mark, which finds its processes.
    pub(crate) id: u64,
    /// Its log stream.
    pub(crate) log_stream: &'a str,
    /// Where the code is.
    pub(crate) task_root: &'a Path,
    /// What its runtime needs.
    pub(crate) runtime: &'a BTreeMap<String, String>,
    /// Its own folder for temporary files.
    pub(crate) tmp: &'a Path,
}

/// The complete environment of a process of `function`.
///
/// Later groups win: what may be overridden, the runtime's, ours for this function, the template's, then the
/// reserved names.
pub(crate) fn variables(
    function: &Function,
    ours: &BTreeMap<String, String>,
    place: &Place<'_>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |name: &str, value: &str| drop(all.insert(name.to_owned(), value.to_owned()));
    let tmp = place.tmp.to_string_lossy();
    put("LANG", "en_US.UTF-8");
    put("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin");
    put("TZ", ":UTC");
    put("HOME", &tmp);
    put("TMPDIR", &tmp);
    put("NO_PROXY", "127.0.0.1,localhost,::1");
    put("no_proxy", "127.0.0.1,localhost,::1");
    put("AWS_EC2_METADATA_DISABLED", "true");
    put("AWS_CONFIG_FILE", "/dev/null");
    put("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    put("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    put("AWS_LAMBDA_LOG_FORMAT", if function.logging.json { "JSON" } else { "Text" });
    if let Some(level) = function.logging.level {
        put("AWS_LAMBDA_LOG_LEVEL", level.as_str());
    }
    for (name, value) in place.runtime.iter().chain(ours).chain(&function.environment) {
        put(name, value);
    }
    put("_HANDLER", &function.handler);
    put("AWS_REGION", function.arn.region());
    put("AWS_DEFAULT_REGION", function.arn.region());
    put("AWS_ACCESS_KEY_ID", &function_key(&function.arn));
    put("AWS_SECRET_ACCESS_KEY", LOCAL_KEYS.secret);
    put("AWS_SESSION_TOKEN", LOCAL_KEYS.session_token);
    // Keys of the user's own, for functions whose tables are elsewhere. Without a token there is none.
    if let Some(key) = ours.get("AWS_ACCESS_KEY_ID") {
        put("AWS_ACCESS_KEY_ID", key);
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            put(name, ours.get(name).map_or("", String::as_str));
        }
    }
    put("AWS_LAMBDA_FUNCTION_NAME", function.name());
    put("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string());
    put("AWS_LAMBDA_FUNCTION_VERSION", &function.version);
    let initialization = if function.snap_start { "snap-start" } else { "on-demand" };
    put("AWS_LAMBDA_INITIALIZATION_TYPE", initialization);
    let usual = || format!("/aws/lambda/{}", function.name());
    put("AWS_LAMBDA_LOG_GROUP_NAME", &function.logging.group.clone().unwrap_or_else(usual));
    put("AWS_LAMBDA_LOG_STREAM_NAME", place.log_stream);
    put("LAMBDA_TASK_ROOT", &place.task_root.to_string_lossy());
    put("LAMBDA_RUNTIME_DIR", "/var/runtime");
    put(MARK, &mark(place.id));
    if matches!(function.runtime, Runtime::Python(_) | Runtime::Node(_) | Runtime::Other(_)) {
        put("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", function.runtime));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stillwire_model::{Code, FunctionArn, LATEST};

    use super::*;

    #[test]
    fn the_template_wins_over_ours_but_not_over_reserved_names() {
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let function = Function {
            stack: "s".into(),
            logical_id: "F".into(),
            arn: FunctionArn::new("aws", "eu-west-1", "1", "chat"),
            version: LATEST.into(),
            role: "".into(),
            runtime: Runtime::Python(11),
            handler: "a.b".to_owned(),
            code: Code::Image(String::new()),
            layers: Vec::new(),
            logging: stillwire_model::Logging::new(|name| match name {
                "LogFormat" => Some("JSON".to_owned()),
                "LogGroup" => Some("/mine".to_owned()),
                _ => None,
            }),
            environment: pairs(&[("TZ", "Europe/Berlin"), ("AWS_ENDPOINT_URL", "http://mine")]),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            reserved_concurrency: None,
            snap_start: false,
        };
        let ours = pairs(&[("AWS_ENDPOINT_URL", "http://ours"), ("AWS_REGION", "no")]);
        let place = Place {
            id: 7,
            log_stream: "stream",
            task_root: Path::new("/code"),
            runtime: &pairs(&[("NODE_PATH", "/lib"), ("LANG", "C")]),
            tmp: Path::new("/tmp/x"),
        };
        let all = variables(&function, &ours, &place);
        for (name, value) in [
            ("TZ", "Europe/Berlin"),
            ("NODE_PATH", "/lib"),
            ("LANG", "C"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/mine"),
            ("AWS_ENDPOINT_URL", "http://mine"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
            ("HOME", "/tmp/x"),
        ] {
            assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(all["AWS_ACCESS_KEY_ID"], function_key(&function.arn));
    }
}
