//! One type per kind of name, each with one door: `parse`.

use std::fmt;
use std::sync::Arc;

/// A name that is not what its kind requires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidId {
    /// The text that was refused, cut to a readable length.
    pub text: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

impl InvalidId {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), expected }
    }
}

/// The id of an API: lower-case letters and digits, ten of them in practice.
///
/// Source: API Gateway, `apiId` as it appears in `{apiId}.execute-api.{region}.amazonaws.com`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiId(Arc<str>);

impl ApiId {
    /// Accepts 1 to 32 lower-case letters and digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        fits.then(|| Self(text.into()))
            .ok_or_else(|| InvalidId::new(text, "an API id (lower-case letters and digits)"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a stage: letters, digits, `-` and `_`, or `$default`.
///
/// Source: API Gateway, known issues, "stage name" (`[A-Za-z0-9_-]{1,128}`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(Arc<str>);

impl StageName {
    /// Accepts 1 to 128 of `[A-Za-z0-9_-]`, or `$default`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = text == "$default"
            || (1..=128).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.into()))
            .ok_or_else(|| InvalidId::new(text, "a stage name ([A-Za-z0-9_-], at most 128)"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ARN of a function, without a qualifier: `arn:{partition}:lambda:{region}:{account}:function:{name}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionArn(Arc<str>);

/// A text that is not the ARN of a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ARN of a function (arn:aws:lambda:REGION:ACCOUNT:function:NAME)")]
pub struct InvalidArn(pub String);

impl FunctionArn {
    /// Accepts an unqualified function ARN, and one with a qualifier (`:live`, `:7`), which is returned beside it.
    pub fn parse(text: &str) -> Result<(Self, Option<String>), InvalidArn> {
        let invalid = || InvalidArn(text.chars().take(200).collect());
        let fields: Vec<&str> = text.split(':').collect();
        let (head, qualifier) = match fields.as_slice() {
            [head @ .., last] if fields.len() == 8 => (head.join(":"), Some((*last).to_owned())),
            _ if fields.len() == 7 => (text.to_owned(), None),
            _ => return Err(invalid()),
        };
        match fields.as_slice() {
            ["arn", partition, "lambda", region, account, "function", name, ..]
                if ![partition, region, account, name].iter().any(|field| field.is_empty()) =>
            {
                Ok((Self(head.into()), qualifier))
            }
            _ => Err(invalid()),
        }
    }

    /// Builds the ARN of a function from its parts.
    pub fn new(partition: &str, region: &str, account: &str, name: &str) -> Self {
        Self(format!("arn:{partition}:lambda:{region}:{account}:function:{name}").into())
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The function's name: the last field.
    pub fn name(&self) -> &str {
        self.field(6)
    }

    /// The region in the ARN.
    pub fn region(&self) -> &str {
        self.field(3)
    }

    /// The account in the ARN.
    pub fn account(&self) -> &str {
        self.field(4)
    }

    fn field(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

macro_rules! text_of {
    ($($kind:ident),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
        impl fmt::Debug for $kind {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({})", stringify!($kind), self.0)
            }
        }
    )*};
}
text_of!(ApiId, StageName, FunctionArn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_id_is_lower_case_base_36() {
        assert!(ApiId::parse("a1b2c3d4e5").is_ok());
        for text in ["", "A1", "a/b", "a.b", &"a".repeat(33)] {
            assert!(ApiId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_path_is_not_a_stage_name() {
        assert!(StageName::parse("dev").is_ok());
        assert!(StageName::parse("$default").is_ok());
        for text in ["", "a/b", "$other", "a b"] {
            assert!(StageName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_function_arn_gives_its_parts_and_its_qualifier() {
        let (arn, qualifier) =
            FunctionArn::parse("arn:aws:lambda:us-east-1:999999999999:function:chat:live").unwrap();
        assert_eq!(arn.as_str(), "arn:aws:lambda:us-east-1:999999999999:function:chat");
        assert_eq!(
            (arn.name(), arn.region(), arn.account()),
            ("chat", "us-east-1", "999999999999")
        );
        assert_eq!(qualifier.as_deref(), Some("live"));
        for text in ["chat", "arn:aws:lambda:us-east-1:9:function:", "arn:aws:s3:::b:c:d"] {
            assert!(FunctionArn::parse(text).is_err(), "{text:?}");
        }
    }
}
