//! Signing, for our own clients.

use super::{ALGORITHM, RawRequest, TERMINATOR, UNSIGNED_PAYLOAD, canonical, time};

/// The keys of a caller.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret.
    pub secret: String,
    /// The token of temporary keys.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Keys without a session.
    pub fn new(access_key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret: secret.into(), session_token: None }
    }
}

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub struct SigningScope<'a> {
    /// The region.
    pub region: &'a str,
    /// The service's signing name, such as `execute-api`.
    pub service: &'a str,
    /// The time, in seconds since 1970.
    pub epoch_seconds: i64,
}

/// Headers that proxies and HTTP stacks change, so that they are not signed.
const NEVER_SIGNED: [&str; 6] =
    ["authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// Signs a request in the header form: the headers to add to it.
///
/// The request must have its `host` header, and none of those that this makes.
pub fn sign(
    request: &RawRequest<'_>,
    keys: &Credentials,
    scope: &SigningScope<'_>,
) -> Vec<(&'static str, String)> {
    let date = time::iso(scope.epoch_seconds);
    let hash = request.payload.hash();
    let mut made = vec![("x-amz-date", date.clone())];
    if let Some(token) = &keys.session_token {
        made.push(("x-amz-security-token", token.clone()));
    }
    if scope.service == "s3" {
        made.push(("x-amz-content-sha256", hash.clone()));
    }
    let mut complete = request.clone();
    complete.headers.extend(made.iter().map(|(name, value)| (*name, value.as_str())));
    let names = signed_names(&complete);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let query = canonical::query(request.query, None);
    let canonical = canonical::request(&complete, &query, scope.service, &names, &hash);
    let (scope_text, signature) = finish(keys, scope, &date, &canonical);
    made.push((
        "authorization",
        format!(
            "{ALGORITHM} Credential={}/{scope_text}, SignedHeaders={}, Signature={signature}",
            keys.access_key,
            names.join(";")
        ),
    ));
    made
}

/// Signs a request in the query form: its whole new query.
pub fn presign(
    request: &RawRequest<'_>,
    keys: &Credentials,
    scope: &SigningScope<'_>,
    expires_seconds: u32,
) -> String {
    let date = time::iso(scope.epoch_seconds);
    let names = signed_names(request);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let credential = format!("{}/{}", keys.access_key, scope_text(scope, &date));
    let mut query = request.query.to_owned();
    let mut add = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        canonical::encode(value.as_bytes(), &mut query);
    };
    add("X-Amz-Algorithm", ALGORITHM);
    add("X-Amz-Credential", &credential);
    add("X-Amz-Date", &date);
    add("X-Amz-Expires", &expires_seconds.to_string());
    add("X-Amz-SignedHeaders", &names.join(";"));
    if let Some(token) = &keys.session_token {
        add("X-Amz-Security-Token", token);
    }
    let hash = request.payload.hash();
    let hash = if scope.service == "s3" { UNSIGNED_PAYLOAD } else { &hash };
    let canonical_query = canonical::query(&query, None);
    let canonical = canonical::request(request, &canonical_query, scope.service, &names, hash);
    let (_, signature) = finish(keys, scope, &date, &canonical);
    format!("{query}&X-Amz-Signature={signature}")
}

fn signed_names(request: &RawRequest<'_>) -> Vec<String> {
    let names = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    let mut names: Vec<String> =
        names.filter(|name| !NEVER_SIGNED.contains(&name.as_str())).collect();
    names.sort();
    names.dedup();
    names
}

fn scope_text(scope: &SigningScope<'_>, date: &str) -> String {
    let day = date.get(..8).unwrap_or_default();
    format!("{day}/{}/{}/{TERMINATOR}", scope.region, scope.service)
}

fn finish(
    keys: &Credentials,
    scope: &SigningScope<'_>,
    date: &str,
    canonical: &str,
) -> (String, String) {
    let text = scope_text(scope, date);
    let to_sign = super::string_to_sign(date, &text, canonical);
    let day = date.get(..8).unwrap_or_default();
    let signature = super::signature(&keys.secret, day, scope.region, scope.service, &to_sign);
    (text, signature)
}
