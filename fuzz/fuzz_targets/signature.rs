//! Any `Authorization` header and any query is refused or verified, and what is signed verifies whatever it holds.
//!
//! An input is lines: header, method, path, query, value of a header, body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_awswire::{
    ConnectionId, CredentialScope, Credentials, Expected, Payload, RawRequest, Secret, SigningScope,
    presign, sign, verify,
};

const NOW: i64 = 1_440_938_160;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(6, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (authorization, method, path, query, value, body) =
        (next(), next(), next(), next(), next(), next());
    if let Ok(scope) = CredentialScope::parse(authorization) {
        assert!(!scope.service.is_empty() && !scope.region.is_empty());
    }
    if let Ok(id) = ConnectionId::parse(authorization) {
        assert_eq!(ConnectionId::parse(&id.to_string()), Ok(id));
    }

    let expected = Expected::new("service", NOW);
    // Nobody has this secret, so nothing foreign verifies.
    let stranger = |_: &str| Some(Secret::new("a secret that no input knows"));
    let payload = Payload::Body(body.as_bytes());
    let headers = vec![("host", "h"), ("x-amz-target", value)];
    let plain = RawRequest { method, path, query, headers, payload };
    assert!(verify(&plain, &expected, &stranger).is_err());
    let mut claimed = plain.clone();
    claimed.headers.extend([("x-amz-date", "20150830T123600Z"), ("authorization", authorization)]);
    assert!(verify(&claimed, &expected, &stranger).is_err());

    // A query that brings its own signature parameters is not ours to sign.
    if query.contains("mz-") || query.contains('%') {
        return;
    }
    let keys = Credentials::new("AKID", "secret");
    let scope = SigningScope { region: "us-east-1", service: "service", epoch_seconds: NOW };
    let secrets = |_: &str| Some(Secret::new("secret"));
    let made = sign(&plain, &keys, &scope);
    let mut signed = plain.clone();
    signed.headers.extend(made.iter().map(|(name, value)| (*name, value.as_str())));
    assert!(verify(&signed, &expected, &secrets).is_ok());
    let query = presign(&plain, &keys, &scope, 60);
    let presigned = RawRequest { query: &query, ..plain };
    assert!(verify(&presigned, &expected, &secrets).is_ok());
});
