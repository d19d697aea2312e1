//! `AWS::Lambda::Permission`: would API Gateway be allowed to call the function on AWS?
//!
//! Nothing is refused here, but a missing permission is the classic reason why an app that works locally answers
//! "Internal server error" once deployed.

use super::Piece;
use crate::resolver::Resolver;

/// The permissions of API Gateway among all resources.
#[derive(Debug)]
pub(super) struct Permissions(Vec<Permission>);

#[derive(Debug)]
struct Permission {
    function: String,
    source: Option<String>,
}

impl Permissions {
    pub(super) fn gather(resolver: &Resolver<'_>, pieces: &[Piece<'_>]) -> Self {
        let permissions = pieces
            .iter()
            .filter(|piece| piece.kind() == "AWS::Lambda::Permission")
            .filter(|piece| {
                matches!(piece.text("Principal").as_deref(), Some("apigateway.amazonaws.com" | "*"))
            })
            .filter(|piece| {
                matches!(
                    piece.text("Action").as_deref(),
                    Some("lambda:InvokeFunction" | "lambda:*" | "lambda:Invoke*" | "*")
                )
            })
            .map(|piece| Permission {
                function: resolver
                    .unit(piece.unit)
                    .scope
                    .function_arn(&piece.text("FunctionName").unwrap_or_default()),
                source: piece.text("SourceArn"),
            });
        Self(permissions.collect())
    }

    /// Whether the API may call `function` as `source` (`arn:…:execute-api:…:{api}/{stage}/{route key}`).
    pub(super) fn allow(&self, function: &str, source: &str) -> bool {
        self.0.iter().filter(|permission| permission.function == function).any(|permission| {
            permission.source.as_deref().is_none_or(|pattern| is_like(pattern, source))
        })
    }
}

/// `ArnLike`: `*` stands for any text, also with slashes, `?` for one character.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(character) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                // The last `*` takes one character more.
                Some((after_star, taken)) => {
                    p = after_star;
                    t = taken + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes_of_source_arns_match_what_they_should() {
        let api = "arn:aws:execute-api:us-east-1:1:abc";
        for (pattern, source, expected) in [
            ("/*$connect", "/dev/$connect", true),
            ("/*$connect", "/dev/$disconnect", false),
            ("/authorizers/x1", "/authorizers/x1", true),
            ("/authorizers/x1", "/authorizers/x2", false),
            ("/*/*", "/dev/chat", true),
            ("/dev/?hat", "/dev/chat", true),
            ("/*", "/dev/chat", true),
            ("", "/dev/chat", false),
        ] {
            let (pattern, source) = (format!("{api}{pattern}"), format!("{api}{source}"));
            assert_eq!(is_like(&pattern, &source), expected, "{pattern} {source}");
        }
    }
}
