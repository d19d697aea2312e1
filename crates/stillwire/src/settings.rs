//! What the environment says: the only place that reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::credentials::Places;

/// Settings from the environment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where the certificate authority and the history of `connect` are kept, per user.
    pub(crate) state_dir: PathBuf,
    /// Where what can be made again is kept: libraries for functions.
    pub(crate) cache_dir: PathBuf,
    /// `AWS_ENDPOINT_URL_<SERVICE>` variables: services that the user runs elsewhere.
    pub(crate) services: BTreeMap<String, String>,
    /// Where the user's own keys for AWS may be.
    pub(crate) keys: Places,
    /// Filter of the log (`STILLWIRE_LOG`), in the notation of `tracing`.
    pub(crate) log: Option<String>,
    /// Whether colours are unwanted (`NO_COLOR`).
    pub(crate) no_color: bool,
    /// Where programs are looked for (`PATH`).
    pub(crate) path: Option<String>,
    /// The user's own folder.
    pub(crate) home: PathBuf,
}

/// The environment, for configurations of apps that read it themselves.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Settings {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        Self::from_variables(environment().into_iter())
    }

    /// The endpoints of services that the user runs elsewhere, by the service's name in lower case (`sqs`).
    pub(crate) fn endpoints(&self) -> BTreeMap<String, String> {
        let named = |(name, url): (&String, &String)| {
            let service = name.strip_prefix("AWS_ENDPOINT_URL_")?;
            Some((service.to_ascii_lowercase(), url.clone()))
        };
        self.services.iter().filter_map(named).collect()
    }

    /// Settings of a test.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self::from_variables(variables)
    }

    fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let all: BTreeMap<String, String> =
            variables.filter(|(_, value)| !value.is_empty()).collect();
        let get = |name: &str| all.get(name).cloned();
        let home = get("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = |own: &str, base: &str, fallback: &str| match (get(own), get(base)) {
            (Some(own), _) => PathBuf::from(own),
            (None, Some(base)) => PathBuf::from(base).join("stillwire"),
            (None, None) => home.join(fallback).join("stillwire"),
        };
        let services = all
            .iter()
            .filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL_"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self {
            state_dir: folder("STILLWIRE_STATE_DIR", "XDG_STATE_HOME", ".local/state"),
            cache_dir: folder("STILLWIRE_CACHE_DIR", "XDG_CACHE_HOME", ".cache"),
            services,
            keys: Places {
                variables: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
                    .map(get),
                file: get("AWS_SHARED_CREDENTIALS_FILE")
                    .map_or_else(|| home.join(".aws/credentials"), PathBuf::from),
                profile: get("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()),
            },
            log: get("STILLWIRE_LOG"),
            no_color: get("NO_COLOR").is_some(),
            path: get("PATH"),
            home,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::of(variables)
    }

    #[test]
    fn folders_follow_the_desktop_conventions_and_can_be_set() {
        let home = settings(&[("HOME", "/home/ada")]);
        assert_eq!(home.state_dir, PathBuf::from("/home/ada/.local/state/stillwire"));
        assert_eq!(home.cache_dir, PathBuf::from("/home/ada/.cache/stillwire"));
        let xdg = settings(&[("HOME", "/home/ada"), ("XDG_CACHE_HOME", "/c")]);
        assert_eq!(xdg.cache_dir, PathBuf::from("/c/stillwire"));
        let own = settings(&[("STILLWIRE_CACHE_DIR", "/x"), ("XDG_CACHE_HOME", "/c")]);
        assert_eq!(own.cache_dir, PathBuf::from("/x"));
    }

    #[test]
    fn services_that_run_elsewhere_are_known_by_the_sdks_own_variables() {
        let settings = settings(&[
            ("AWS_ENDPOINT_URL_SQS", "http://localhost:9324"),
            ("AWS_ENDPOINT_URL_S3", ""),
            ("AWS_ENDPOINT_URL", "http://everything"),
        ]);
        let names: Vec<_> = settings.services.keys().collect();
        assert_eq!(names, ["AWS_ENDPOINT_URL_SQS"]);
    }
}
