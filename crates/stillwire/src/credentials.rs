//! The user's own keys for AWS: of the environment, or of the file that the AWS CLI writes.

use std::path::{Path, PathBuf};

use stillwire_awswire::Credentials;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where keys may be.
///
/// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers": the environment comes first, then
/// the shared credentials file.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub(crate) variables: [Option<String>; 3],
    /// `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
    pub(crate) file: PathBuf,
    /// `AWS_PROFILE`, or `default`.
    pub(crate) profile: String,
}

impl Places {
    /// The first keys that are there.
    ///
    /// # Errors
    /// When there are none; the text says where they were looked for.
    pub(crate) fn find(&self) -> Result<Credentials, String> {
        if let [Some(access_key), Some(secret), session_token] = &self.variables {
            return Ok(Credentials {
                access_key: access_key.clone(),
                secret: secret.clone(),
                session_token: session_token.clone(),
            });
        }
        let (file, profile) = (self.file.display(), &self.profile);
        let text = read(&self.file).unwrap_or_default();
        profile_of(&text, profile).ok_or_else(|| {
            format!(
                "there are no keys for AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and {file} has no \
                 profile [{profile}] with keys"
            )
        })
    }
}

fn read(file: &Path) -> Option<String> {
    let size = std::fs::metadata(file).ok()?.len();
    (size <= FILE_BYTES_MAX).then(|| std::fs::read_to_string(file).ok())?
}

fn profile_of(text: &str, profile: &str) -> Option<Credentials> {
    let section = format!("[{profile}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != section).skip(1);
    let pairs: Vec<(&str, &str)> = lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let get = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| (*value).to_owned())
    };
    Some(Credentials {
        access_key: get("aws_access_key_id")?,
        secret: get("aws_secret_access_key")?,
        session_token: get("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_ends_where_the_next_begins() {
        let text = "[default]\naws_access_key_id = A\n\n[work]\naws_access_key_id=B\naws_secret_access_key = s=1\n";
        assert!(profile_of(text, "default").is_none(), "it has no secret");
        let work = profile_of(text, "work").unwrap();
        assert_eq!((work.access_key.as_str(), work.secret.as_str()), ("B", "s=1"));
        assert!(profile_of(text, "other").is_none());
    }

    #[test]
    fn the_environment_comes_first_and_what_is_missing_is_named() {
        let mut places = Places { profile: "default".into(), ..Places::default() };
        let told = places.find().unwrap_err();
        assert!(told.contains("AWS_ACCESS_KEY_ID") && told.contains("[default]"), "{told}");
        places.variables = [Some("A".into()), Some("s".into()), None];
        assert_eq!(places.find().unwrap().access_key, "A");
    }
}
