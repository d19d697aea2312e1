//! Who calls which service, as far as a request says so without its signature being checked.

/// The credential scope of a signed request.
///
/// Source: AWS Signature Version 4, `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialScope {
    /// The access key id.
    pub access_key: String,
    /// The region the caller means.
    pub region: String,
    /// The service the caller means (`dynamodb`, `execute-api`, `s3`, …).
    pub service: String,
}

/// An `Authorization` header that is not Signature Version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not a Signature Version 4")]
pub struct InvalidAuthorization;

impl CredentialScope {
    /// Reads the scope out of an `Authorization` header.
    pub fn parse(authorization: &str) -> Result<Self, InvalidAuthorization> {
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256").ok_or(InvalidAuthorization)?;
        let credential = fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix("Credential="))
            .ok_or(InvalidAuthorization)?;
        Self::of_credential(credential)
    }

    /// The scope of a request that is signed in its query (`X-Amz-Credential`), if it is.
    pub fn of_query(query: &str) -> Option<Self> {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, credential) = pairs.find(|(name, _)| name == "X-Amz-Credential")?;
        Self::of_credential(&credential).ok()
    }

    fn of_credential(credential: &str) -> Result<Self, InvalidAuthorization> {
        // The access key may hold slashes in no known case; the scope is the last four fields.
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [key, date, region, service, "aws4_request"]
                if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                let named = |text: &str| {
                    !text.is_empty()
                        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                };
                if key.is_empty() || !named(region) || !named(service) {
                    return Err(InvalidAuthorization);
                }
                Ok(Self {
                    access_key: (*key).to_owned(),
                    region: (*region).to_owned(),
                    service: (*service).to_owned(),
                })
            }
            _ => Err(InvalidAuthorization),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_scope_names_region_and_service() {
        let header = "AWS4-HMAC-SHA256 Credential=AKID/20250204/eu-west-1/s3/aws4_request, \
            SignedHeaders=host;x-amz-date, Signature=abc";
        let scope = CredentialScope::parse(header).unwrap();
        assert_eq!((scope.region.as_str(), scope.service.as_str()), ("eu-west-1", "s3"));
    }

    #[test]
    fn the_scope_may_be_in_the_query() {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20250204%2Feu-west-1%2Fs3%2Faws4_request&x=y";
        let scope = CredentialScope::of_query(query).unwrap();
        assert_eq!((scope.access_key.as_str(), scope.service.as_str()), ("AKID", "s3"));
        assert_eq!(CredentialScope::of_query("X-Amz-Credential=AKID&x=y"), None);
        assert_eq!(CredentialScope::of_query(""), None);
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for header in [
            "",
            "Bearer x",
            "AWS4-HMAC-SHA256 SignedHeaders=host",
            "AWS4-HMAC-SHA256 Credential=AKID/20250204/eu-west-1/s3",
            "AWS4-HMAC-SHA256 Credential=AKID/today/eu-west-1/s3/aws4_request",
            "AWS4-HMAC-SHA256 Credential=AKID/20250204/eu west/s3/aws4_request",
        ] {
            assert_eq!(CredentialScope::parse(header), Err(InvalidAuthorization), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_refused(header: String) {
            let _parsed = CredentialScope::parse(&format!("AWS4-HMAC-SHA256 Credential={header}"));
        }
    }
}
