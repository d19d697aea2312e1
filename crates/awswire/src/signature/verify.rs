//! Verification of a request as it came in.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::Mismatch;
use super::{
    ALGORITHM, CredentialScope, RawRequest, SignatureError, TERMINATOR, UNSIGNED_PAYLOAD,
    canonical, time,
};

/// How far a signature's time may be from ours, in seconds.
///
/// Source: AWS IAM User Guide, "Signature Version 4": within five minutes.
const SKEW: i64 = 300;

/// How long a presigned request may be good for, in seconds.
///
/// Source: Amazon S3 API Reference, `X-Amz-Expires`: 1 to 604800.
const EXPIRES_MAX: i64 = 604_800;

/// What a service expects of a signature.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The service's signing name.
    pub service: &'a str,
    /// The region; `None` takes any, for services whose region picks the data.
    pub region: Option<&'a str>,
    /// What time it is, in seconds since 1970.
    pub now: i64,
    /// Whether a body may be unsigned (`UNSIGNED-PAYLOAD`), as S3 allows.
    pub unsigned_payload: bool,
}

impl<'a> Expected<'a> {
    /// Signatures for a service in any region, with signed bodies.
    pub fn new(service: &'a str, now: i64) -> Self {
        Self { service, region: None, now, unsigned_payload: false }
    }
}

/// The secret of an access key.
#[derive(Clone)]
pub struct Secret {
    /// The secret.
    pub secret: String,
    /// The session token that belongs to it, if it is a temporary key: the request must have the same.
    pub session_token: Option<String>,
    /// When a temporary key ends, in seconds since 1970.
    pub expires: Option<i64>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Secret").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Secret {
    /// A secret that lasts.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), session_token: None, expires: None }
    }
}

/// A caller whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key, region and service.
    pub scope: CredentialScope,
    /// The session token that came with the request.
    pub session_token: Option<String>,
    /// When it was signed, in seconds since 1970.
    pub signed: i64,
    /// Whether the signature was in the query.
    pub presigned: bool,
}

/// Verifies a request.
///
/// The work for a key that is not known is the same as for a wrong signature.
///
/// # Errors
/// When the signature is absent, incomplete, out of scope or time, or not ours.
pub fn verify(
    request: &RawRequest<'_>,
    expected: &Expected<'_>,
    secrets: &dyn Fn(&str) -> Option<Secret>,
) -> Result<Verified, SignatureError> {
    let claim = Claim::read(request)?;
    let scope = claim.scope(expected)?;
    claim.check_time(expected.now)?;
    claim.check_headers(request)?;
    let hash = claim.payload_hash(request, expected)?;

    let without = claim.presigned.is_some().then_some("X-Amz-Signature");
    let query = canonical::query(request.query, without);
    let canonical =
        canonical::request(request, &query, &scope.service, &claim.signed_headers(), &hash);
    let date = time::iso(claim.signed);
    let day = date.get(..8).unwrap_or_default();
    let scope_text = format!("{day}/{}/{}/{TERMINATOR}", scope.region, scope.service);
    let to_sign = super::string_to_sign(&date, &scope_text, &canonical);

    let known = secrets(&scope.access_key);
    // A key that nobody has is checked against a secret that nobody has.
    let secret = known.as_ref().map_or("", |known| known.secret.as_str());
    let ours = super::signature(secret, day, &scope.region, &scope.service, &to_sign);
    let same = verify_slices_are_equal(ours.as_bytes(), claim.signature.as_bytes()).is_ok();

    let Some(known) = known else { return Err(SignatureError::UnknownKey) };
    if !same {
        return Err(SignatureError::Mismatch(Box::new(Mismatch {
            canonical_request: canonical,
            string_to_sign: to_sign,
        })));
    }
    if let Some(token) = &known.session_token {
        let given = claim.session_token.as_deref().unwrap_or_default();
        if verify_slices_are_equal(token.as_bytes(), given.as_bytes()).is_err() {
            return Err(SignatureError::UnknownKey);
        }
    }
    if known.expires.is_some_and(|expires| expires <= expected.now) {
        return Err(SignatureError::ExpiredToken);
    }
    Ok(Verified {
        scope,
        session_token: claim.session_token,
        signed: claim.signed,
        presigned: claim.presigned.is_some(),
    })
}

/// What a request claims, before anything of it is believed.
struct Claim {
    credential: String,
    signed_headers: String,
    signature: String,
    session_token: Option<String>,
    /// When it was signed.
    signed: i64,
    /// The seconds it is good for, in the query form.
    presigned: Option<i64>,
}

impl Claim {
    fn read(request: &RawRequest<'_>) -> Result<Self, SignatureError> {
        if let Some(authorization) = header(request, "authorization")? {
            return Self::from_header(request, authorization);
        }
        if request.query.contains("X-Amz-") {
            let parameters = Parameters::read(request.query)?;
            if !parameters.0.is_empty() {
                return Self::from_query(parameters);
            }
        }
        Err(SignatureError::Missing)
    }

    fn from_header(request: &RawRequest<'_>, authorization: &str) -> Result<Self, SignatureError> {
        let fields = authorization.strip_prefix(ALGORITHM).unwrap_or_default();
        let field = |name: &str| {
            let mut values = fields.split(',').filter_map(|field| {
                field.trim().strip_prefix(name).and_then(|field| field.strip_prefix('='))
            });
            // A field that is there twice is as good as none.
            values.next().filter(|_| values.next().is_none()).filter(|value| !value.is_empty())
        };
        let (credential, headers, signature) =
            (field("Credential"), field("SignedHeaders"), field("Signature"));
        let iso = header(request, "x-amz-date")?;
        let signed = match iso {
            Some(text) => time::parse_iso(text),
            None => header(request, "date")?.and_then(time::parse_date),
        };
        let (Some(credential), Some(headers), Some(signature), Some(signed)) =
            (credential, headers, signature, signed)
        else {
            let mut text = String::new();
            for (name, found) in [
                ("Credential", credential.is_some()),
                ("Signature", signature.is_some()),
                ("SignedHeaders", headers.is_some()),
            ] {
                if !found {
                    text.push_str(
                        &["Authorization header requires '", name, "' parameter. "].concat(),
                    );
                }
            }
            if signed.is_none() {
                text.push_str(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
                );
            }
            let hash =
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, authorization.as_bytes());
            let hash = BASE64_STANDARD.encode(hash);
            text.push_str("(Hashed with SHA-256 and encoded with Base64) Authorization=");
            text.push_str(&hash);
            return Err(SignatureError::Incomplete(text));
        };
        Ok(Self {
            credential: credential.to_owned(),
            signed_headers: headers.to_owned(),
            signature: signature.to_owned(),
            session_token: header(request, "x-amz-security-token")?.map(str::to_owned),
            signed,
            presigned: None,
        })
    }

    fn from_query(mut parameters: Parameters) -> Result<Self, SignatureError> {
        let algorithm = parameters.take("X-Amz-Algorithm").filter(|found| found == ALGORITHM);
        let credential = parameters.take("X-Amz-Credential");
        let signature = parameters.take("X-Amz-Signature");
        let headers = parameters.take("X-Amz-SignedHeaders");
        let date = parameters.take("X-Amz-Date");
        let expires = parameters.take("X-Amz-Expires");
        let signed = date.as_deref().and_then(time::parse_iso);
        let missing: Vec<&str> = [
            ("X-Amz-Algorithm", algorithm.is_some()),
            ("X-Amz-Credential", credential.is_some()),
            ("X-Amz-Signature", signature.is_some()),
            ("X-Amz-SignedHeaders", headers.is_some()),
            ("X-Amz-Date", signed.is_some()),
            ("X-Amz-Expires", expires.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, found)| (!found).then_some(name))
        .collect();
        let (Some(credential), Some(signature), Some(headers), Some(signed), Some(expires), []) =
            (credential, signature, headers, signed, expires, missing.as_slice())
        else {
            let mut text = String::new();
            for name in missing {
                text.push_str(
                    &["AWS query-string parameters must include '", name, "'. "].concat(),
                );
            }
            text.push_str("Re-examine the query-string parameters.");
            return Err(SignatureError::Incomplete(text));
        };
        let refused = |text: &str| Err(SignatureError::Incomplete(text.to_owned()));
        let presigned = match expires.parse::<i64>() {
            Err(_) => return refused("X-Amz-Expires should be a number"),
            Ok(seconds) if seconds < 1 => return refused("X-Amz-Expires must be non-negative"),
            Ok(seconds) if seconds > EXPIRES_MAX => {
                return refused(
                    "X-Amz-Expires must be less than a week (in seconds); that is, the given \
                     X-Amz-Expires must be less than 604800 seconds",
                );
            }
            Ok(seconds) => seconds,
        };
        Ok(Self {
            credential,
            signed_headers: headers,
            signature,
            session_token: parameters.take("X-Amz-Security-Token"),
            signed,
            presigned: Some(presigned),
        })
    }

    /// The scope, if it is the expected one.
    fn scope(&self, expected: &Expected<'_>) -> Result<CredentialScope, SignatureError> {
        let parts: Vec<&str> = self.credential.split('/').collect();
        let [key, day, region, service, terminator] = parts.as_slice() else {
            return Err(SignatureError::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{}'",
                self.credential
            )));
        };
        let refused = |text: String| Err(SignatureError::Scope(text));
        if expected.region.is_some_and(|expected| expected != *region) || region.is_empty() {
            return refused("Credential should be scoped to a valid region.".to_owned());
        }
        if expected.service != *service {
            return refused(format!(
                "Credential should be scoped to correct service: '{}'.",
                expected.service
            ));
        }
        if *terminator != TERMINATOR {
            return refused(format!(
                "Credential should be scoped with a valid terminator: '{TERMINATOR}', not \
                 '{terminator}'."
            ));
        }
        let signed = time::iso(self.signed);
        let signed_day = signed.get(..8).unwrap_or_default();
        if *day != signed_day {
            return refused(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{day}' != '{signed_day}', from '{signed}'."
            ));
        }
        Ok(CredentialScope {
            access_key: (*key).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
        })
    }

    fn check_time(&self, now: i64) -> Result<(), SignatureError> {
        let signed = self.signed;
        let tolerance = self.presigned.unwrap_or(SKEW);
        if now.saturating_sub(signed) > tolerance {
            return Err(SignatureError::Expired { signed, now, tolerance });
        }
        if signed.saturating_sub(now) > SKEW {
            return Err(SignatureError::NotYetCurrent { signed, now, tolerance: SKEW });
        }
        Ok(())
    }

    fn signed_headers(&self) -> Vec<&str> {
        self.signed_headers.split(';').collect()
    }

    /// What must be signed is signed, and what is signed is there.
    fn check_headers(&self, request: &RawRequest<'_>) -> Result<(), SignatureError> {
        let signed = self.signed_headers();
        let refused = |text: String| Err(SignatureError::UnsignedHeader(text));
        if !signed.contains(&"host") {
            return refused(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
                    .to_owned(),
            );
        }
        // The names must be in their one order, or one request would have several signatures.
        if !signed.is_sorted_by(|before, after| before < after) {
            return refused("The names in SignedHeaders must be sorted.".to_owned());
        }
        for (name, _) in &request.headers {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-amz-") && !signed.contains(&name.as_str()) {
                return refused(format!(
                    "There were headers present in the request which were not signed: {name}"
                ));
            }
        }
        for name in signed {
            if !request.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name)) {
                return refused(format!("The signed header '{name}' is not in the request."));
            }
        }
        Ok(())
    }

    /// What stands for the body in the canonical request.
    fn payload_hash(
        &self,
        request: &RawRequest<'_>,
        expected: &Expected<'_>,
    ) -> Result<String, SignatureError> {
        let told = header(request, "x-amz-content-sha256")?;
        let told = match told {
            None if self.presigned.is_some() && expected.service == "s3" => Some(UNSIGNED_PAYLOAD),
            told => told,
        };
        let refused = |text: &str| Err(SignatureError::Payload(text.to_owned()));
        match told {
            Some(UNSIGNED_PAYLOAD) if expected.unsigned_payload => Ok(UNSIGNED_PAYLOAD.to_owned()),
            // The body comes in chunks, each with a signature of its own or none.
            Some(told) if expected.unsigned_payload && told.starts_with("STREAMING-") => {
                Ok(told.to_owned())
            }
            Some(UNSIGNED_PAYLOAD) => refused("The body of this request must be signed."),
            told => {
                let hash = request.payload.hash();
                if told.is_some_and(|told| told != hash) {
                    return refused(
                        "The provided 'x-amz-content-sha256' header does not match what was computed.",
                    );
                }
                Ok(hash)
            }
        }
    }
}

/// The one value of a header that may be there once.
fn header<'r>(request: &RawRequest<'r>, name: &str) -> Result<Option<&'r str>, SignatureError> {
    let mut values = request.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    let first = values.next().map(|(_, value)| value.trim());
    if values.next().is_some() {
        return Err(SignatureError::Incomplete(format!("The header '{name}' is there twice.")));
    }
    Ok(first)
}

/// The `X-Amz-` parameters of a query, decoded.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Result<Self, SignatureError> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |part: &str| String::from_utf8_lossy(&canonical::decode(part)).into_owned();
            let name = text(name);
            if !name.starts_with("X-Amz-") {
                continue;
            }
            if found.iter().any(|(before, _)| *before == name) {
                let text = format!("The parameter '{name}' is there twice.");
                return Err(SignatureError::Incomplete(text));
            }
            found.push((name, text(value)));
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(at).1)
    }
}
