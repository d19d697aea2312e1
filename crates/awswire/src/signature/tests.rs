//! Published vectors, and everything that must make a signature invalid.

use proptest::prelude::*;

use super::*;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z, the time of the public test suite.
const SUITE_TIME: i64 = 1_440_938_160;

fn secret_of(key: &str) -> Option<Secret> {
    (key == KEY).then(|| Secret::new(SECRET))
}

/// Method, path, query, headers, body, signature.
type Vector = (
    &'static str,
    &'static str,
    &'static str,
    Vec<(&'static str, &'static str)>,
    &'static str,
    &'static str,
);

/// Source: the public test suite of Signature Version 4; its signatures are facts.
#[test]
fn the_vectors_of_the_public_suite() {
    let host = ("Host", "example.amazonaws.com");
    let vectors: Vec<Vector> = vec![
        (
            "GET",
            "/",
            "",
            vec![host],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "/",
            "",
            vec![host],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "/",
            "Param2=value2&Param1=value1",
            vec![host],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "",
            vec![host],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "GET",
            "/\u{1234}",
            "",
            vec![host],
            "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "GET",
            "/./",
            "",
            vec![host],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/example/..",
            "",
            vec![host],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "//",
            "",
            vec![host],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/",
            "",
            vec![
                host,
                ("My-Header1", "value2"),
                ("My-Header1", "value2"),
                ("My-Header1", "value1"),
            ],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "GET",
            "/",
            "",
            vec![host, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            "",
            vec![host, ("Content-Type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ];
    let keys = Credentials::new(KEY, SECRET);
    let scope = SigningScope { region: "us-east-1", service: "service", epoch_seconds: SUITE_TIME };
    for (method, path, query, headers, body, wanted) in vectors {
        let payload = Payload::Body(body.as_bytes());
        let request = RawRequest { method, path, query, headers, payload };
        let made = sign(&request, &keys, &scope);
        let authorization = &made.last().unwrap().1;
        assert!(authorization.ends_with(&format!("Signature={wanted}")), "{path}: {authorization}");
        let mut complete = request.clone();
        complete.headers.extend(made.iter().map(|(name, value)| (*name, value.as_str())));
        let expected =
            Expected { region: Some("us-east-1"), ..Expected::new("service", SUITE_TIME) };
        assert_eq!(verify(&complete, &expected, &secret_of).unwrap().signed, SUITE_TIME, "{path}");
    }
}

/// Source: AWS General Reference, "Examples of the complete Version 4 signing process" (`ListUsers`).
#[test]
fn the_example_of_the_signing_process() {
    let request = RawRequest {
        query: "Action=ListUsers&Version=2010-05-08",
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
        ],
        ..RawRequest::new("GET", "/")
    };
    let scope = SigningScope { region: "us-east-1", service: "iam", epoch_seconds: SUITE_TIME };
    let made = sign(&request, &Credentials::new(KEY, SECRET), &scope);
    assert_eq!(
        made.last().unwrap().1,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

/// Source: Amazon S3 API Reference, "Authenticating requests: using query parameters" and "… the Authorization header".
#[test]
fn the_examples_of_s3() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let keys = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret);
    let scope = SigningScope { region: "us-east-1", service: "s3", epoch_seconds: 1_369_353_600 };
    let mut request = RawRequest::new("GET", "/test.txt");
    request.headers.push(("host", "examplebucket.s3.amazonaws.com"));
    let query = presign(&request, &keys, &scope, 86_400);
    let wanted = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert!(query.ends_with(wanted), "{query}");

    let presigned = RawRequest { query: &query, ..request.clone() };
    let secrets = |_: &str| Some(Secret::new(secret));
    let expected =
        Expected { unsigned_payload: true, ..Expected::new("s3", 1_369_353_600 + 86_400) };
    assert!(verify(&presigned, &expected, &secrets).unwrap().presigned);
    let late = Expected { now: expected.now + 1, ..expected };
    assert!(matches!(verify(&presigned, &late, &secrets), Err(SignatureError::Expired { .. })));
    let strict = Expected { unsigned_payload: false, ..expected };
    assert!(matches!(verify(&presigned, &strict, &secrets), Err(SignatureError::Payload(_))));

    request.headers.push(("range", "bytes=0-9"));
    let made = sign(&request, &keys, &scope);
    let wanted = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    assert!(made.last().unwrap().1.ends_with(wanted), "{made:?}");
}

/// Source: measured with SDKs: the path of a post is `@connections` and `%3D` on the wire, and encoded again to be signed.
#[test]
fn the_path_of_a_post_is_encoded_twice() {
    let mut request = RawRequest::new("POST", "/prod/@connections/R0oXAdfD0kwCH6w%3D");
    request.headers.push(("host", "h"));
    let text = canonical::request(&request, "", "execute-api", &["host"], "hash");
    assert_eq!(text, "POST\n/prod/%40connections/R0oXAdfD0kwCH6w%253D\n\nhost:h\n\nhost\nhash");
}

/// A signed request that owns its parts, so that tests can change one.
#[derive(Debug, Clone)]
struct Owned {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Owned {
    fn unsigned() -> Self {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            method: "POST".to_owned(),
            path: "/prod/@connections/Qm3vTdYxIAMCE4w%3D".to_owned(),
            query: "a=1&b=x%20y".to_owned(),
            headers: vec![header("Host", "localhost:7800"), header("X-Amz-Target", "Thing")],
            body: b"hello".to_vec(),
        }
    }

    fn keys() -> Credentials {
        Credentials { session_token: Some("token".to_owned()), ..Credentials::new(KEY, SECRET) }
    }

    fn scope() -> SigningScope<'static> {
        SigningScope { region: "eu-west-1", service: "execute-api", epoch_seconds: SUITE_TIME }
    }

    fn signed() -> Self {
        let mut request = Self::unsigned();
        let made = sign(&request.raw(), &Self::keys(), &Self::scope());
        request.headers.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
        request
    }

    fn presigned() -> Self {
        let mut request = Self::unsigned();
        request.query = presign(&request.raw(), &Self::keys(), &Self::scope(), 60);
        request
    }

    fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            payload: Payload::Body(&self.body),
        }
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(found, _)| found.eq_ignore_ascii_case(name));
        &mut found.unwrap().1
    }

    fn verify_at(&self, now: i64) -> Result<Verified, SignatureError> {
        let expected = Expected { region: Some("eu-west-1"), ..Expected::new("execute-api", now) };
        let secrets = |key: &str| {
            secret_of(key)
                .map(|secret| Secret { session_token: Some("token".to_owned()), ..secret })
        };
        verify(&self.raw(), &expected, &secrets)
    }

    fn verify(&self) -> Result<Verified, SignatureError> {
        self.verify_at(SUITE_TIME)
    }
}

#[test]
fn what_is_signed_verifies() {
    let verified = Owned::signed().verify().unwrap();
    assert_eq!(verified.scope.access_key, KEY);
    assert_eq!(verified.session_token.as_deref(), Some("token"));
    assert!(!verified.presigned);
    let verified = Owned::presigned().verify().unwrap();
    assert_eq!((verified.session_token.as_deref(), verified.presigned), (Some("token"), true));
}

#[test]
fn each_single_change_is_refused() {
    type Change = fn(&mut Owned);
    let changes: [(&str, Change); 13] = [
        ("method", |r| r.method = "GET".to_owned()),
        ("path", |r| r.path.push('x')),
        ("path encoding", |r| r.path = r.path.replace('@', "%40")),
        ("query value", |r| r.query = r.query.replace("a=1", "a=2")),
        ("query name", |r| r.query.push_str("&c=")),
        ("body", |r| r.body.push(b'!')),
        ("host", |r| *r.header("host") = "elsewhere".to_owned()),
        ("target", |r| *r.header("x-amz-target") = "Other".to_owned()),
        ("another value", |r| r.headers.push(("Host".to_owned(), "b".to_owned()))),
        ("no host", |r| r.headers.retain(|(name, _)| name != "Host")),
        ("unsigned header", |r| r.headers.push(("x-amz-meta".to_owned(), "b".to_owned()))),
        ("hash", |r| r.headers.push(("x-amz-content-sha256".to_owned(), "b".to_owned()))),
        ("unsigned payload", |r| {
            r.headers.push(("x-amz-content-sha256".to_owned(), UNSIGNED_PAYLOAD.to_owned()));
        }),
    ];
    for (name, change) in changes {
        for mut request in [Owned::signed(), Owned::presigned()] {
            change(&mut request);
            let error = request.verify().expect_err(name);
            assert_eq!(error.code(), "InvalidSignatureException", "{name}: {error}");
        }
    }
    let header_changes: [(&str, &str, &str, &str); 7] = [
        ("x-amz-date", "T1236", "T1237", "InvalidSignatureException"),
        ("x-amz-security-token", "token", "other", "InvalidSignatureException"),
        ("authorization", "eu-west-1", "eu-west-2", "InvalidSignatureException"),
        ("authorization", "execute-api", "lambda", "InvalidSignatureException"),
        ("authorization", "20150830", "20150831", "InvalidSignatureException"),
        ("authorization", "host;", "", "InvalidSignatureException"),
        ("authorization", KEY, "AKIDOTHER", "UnrecognizedClientException"),
    ];
    for (name, from, to, code) in header_changes {
        let mut request = Owned::signed();
        let value = request.header(name);
        *value = value.replace(from, to);
        assert_eq!(request.verify().unwrap_err().code(), code, "{name}: {from} to {to}");
    }
    for (from, to) in [
        ("X-Amz-Expires=60", "X-Amz-Expires=61"),
        ("T1236", "T1237"),
        ("Security-Token=token", "Security-Token=other"),
    ] {
        let mut request = Owned::presigned();
        request.query = request.query.replace(from, to);
        assert_eq!(request.verify().unwrap_err().code(), "InvalidSignatureException", "{from}");
    }
}

#[test]
fn what_does_not_change_the_meaning_is_accepted() {
    let mut request = Owned::signed();
    request.query = "b=x%20y&a=%31".to_owned();
    *request.header("x-amz-target") = "  Thing ".to_owned();
    request.headers.push(("User-Agent".to_owned(), "any".to_owned()));
    request.headers.reverse();
    assert!(request.verify().is_ok());
    request.path = format!("/.{}", request.path);
    assert!(request.verify().is_ok());
}

#[test]
fn a_signature_is_good_for_five_minutes_each_way() {
    let request = Owned::signed();
    assert!(request.verify_at(SUITE_TIME + 300).is_ok());
    assert!(request.verify_at(SUITE_TIME - 300).is_ok());
    assert_eq!(
        request.verify_at(SUITE_TIME + 301).unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
    );
    assert_eq!(
        request.verify_at(SUITE_TIME - 301).unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)"
    );
    let request = Owned::presigned();
    assert!(request.verify_at(SUITE_TIME + 60).is_ok());
    assert!(request.verify_at(SUITE_TIME + 61).is_err());
    assert!(request.verify_at(SUITE_TIME - 300).is_ok());
    assert!(request.verify_at(SUITE_TIME - 301).is_err());
    for now in [i64::MIN, i64::MAX, 0] {
        assert!(request.verify_at(now).is_err());
    }
}

#[test]
fn the_date_header_will_do() {
    let request = RawRequest {
        headers: vec![("host", "h"), ("Date", "Sun, 30 Aug 2015 12:36:00 GMT")],
        ..RawRequest::new("GET", "/")
    };
    let names = ["date", "host"];
    let canonical = canonical::request(&request, "", "service", &names, &request.payload.hash());
    let scope = "20150830/us-east-1/service/aws4_request";
    let text = string_to_sign("20150830T123600Z", scope, &canonical);
    let signature = signature(SECRET, "20150830", "us-east-1", "service", &text);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{scope},SignedHeaders=date;host,Signature={signature}"
    );
    let mut signed = request.clone();
    signed.headers.push(("Authorization", &authorization));
    let expected = Expected::new("service", SUITE_TIME);
    assert_eq!(verify(&signed, &expected, &secret_of).unwrap().signed, SUITE_TIME);
}

#[test]
fn what_is_incomplete_is_told_as_aws_tells_it() {
    let with = |authorization: &'static str| {
        let mut request = RawRequest::new("GET", "/");
        request.headers.extend([("host", "h"), ("x-amz-date", "20150830T123600Z")]);
        request.headers.push(("authorization", authorization));
        verify(&request, &Expected::new("service", SUITE_TIME), &secret_of).unwrap_err()
    };
    let error = with("Bearer x");
    assert_eq!(
        (error.code(), error.query_code()),
        ("IncompleteSignatureException", "IncompleteSignature")
    );
    assert!(
        error.to_string().starts_with(
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
             parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256"
        ),
        "{error}"
    );
    assert_eq!(
        with("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0").to_string(),
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'"
    );
    assert_eq!(
        with("AWS4-HMAC-SHA256 Credential=a/20150830/r/other/aws4_request, SignedHeaders=host, Signature=0").to_string(),
        "Credential should be scoped to correct service: 'service'."
    );
    assert_eq!(
        with("AWS4-HMAC-SHA256 Credential=a/20150831/r/service/aws4_request, SignedHeaders=host, Signature=0").to_string(),
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150831' != \
         '20150830', from '20150830T123600Z'."
    );
    let mut none = RawRequest::new("GET", "/");
    let expected = Expected::new("service", SUITE_TIME);
    let error = verify(&none, &expected, &secret_of).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("MissingAuthenticationTokenException", "Missing Authentication Token")
    );
    none.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20150830T123600Z";
    assert_eq!(
        verify(&none, &expected, &secret_of).unwrap_err().to_string(),
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include \
         'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string \
         parameters must include 'X-Amz-Expires'. Re-examine the query-string parameters."
    );
    for (expires, text) in
        [("0", "non-negative"), ("604801", "604800"), ("x", "number"), ("-1", "non-negative")]
    {
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Expires={expires}"
        );
        let request = RawRequest { query: &query, ..RawRequest::new("GET", "/") };
        let error = verify(&request, &expected, &secret_of).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn temporary_keys_end() {
    let request = Owned::signed();
    let expected = Expected::new("execute-api", SUITE_TIME);
    let with = |token: Option<&str>, expires| {
        let token = token.map(str::to_owned);
        let secrets =
            |_: &str| Some(Secret { session_token: token.clone(), expires, ..Secret::new(SECRET) });
        verify(&request.raw(), &expected, &secrets).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(with(Some("token"), Some(SUITE_TIME + 1)), Ok(()));
    assert_eq!(with(None, None), Ok(()));
    assert_eq!(with(Some("token"), Some(SUITE_TIME)), Err("ExpiredTokenException"));
    assert_eq!(with(Some("tokem"), None), Err("UnrecognizedClientException"));
}

#[test]
fn a_mismatch_explains_itself_without_secrets() {
    let mut request = Owned::signed();
    request.body.clear();
    let error = request.verify().unwrap_err();
    let text = error.explanation();
    assert!(text.starts_with("The request signature we calculated does not match"), "{text}");
    assert!(text.contains(
        "The Canonical String for this request should have been\n'POST\n/prod/%40connections"
    ));
    assert!(!text.contains(SECRET) && !format!("{:?}", Owned::keys()).contains(SECRET));
    assert!(!format!("{:?}", Secret::new(SECRET)).contains(SECRET));
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies_and_one_flipped_bit_does_not(
        path in "/[ -~]{0,30}",
        query in "([a-zA-Z0-9%+=&~/-]{0,30})",
        value in "[ -~]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..30),
        bit in 0_usize..256,
    ) {
        let mut request = Owned::unsigned();
        request.path = path.replace(['?', '#'], "_");
        request.query = query;
        *request.header("x-amz-target") = value;
        request.body = body;
        let made = sign(&request.raw(), &Owned::keys(), &Owned::scope());
        request.headers.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
        prop_assert!(request.verify().is_ok());

        let signature = request.header("authorization");
        let at = signature.len() - 64 + bit / 4;
        let digit = u32::from_str_radix(signature.get(at..=at).unwrap(), 16).unwrap() ^ (1 << (bit % 4));
        signature.replace_range(at..=at, &format!("{digit:x}"));
        prop_assert!(matches!(request.verify(), Err(SignatureError::Mismatch(_))));
    }

    #[test]
    fn any_request_is_verified_or_refused(
        authorization in ".{0,60}", query in ".{0,60}", path in ".{0,30}", date in ".{0,20}",
    ) {
        let mut request = RawRequest { query: &query, ..RawRequest::new("GET", &path) };
        request.headers.extend([("host", "h"), ("date", date.as_str())]);
        let _unsigned = verify(&request, &Expected::new("s", 0), &secret_of);
        let authorization = format!("AWS4-HMAC-SHA256 {authorization}");
        request.headers.push(("authorization", &authorization));
        prop_assert!(verify(&request, &Expected::new("s", 0), &secret_of).is_err());
    }
}
