//! Physical names and ids: what a deployment would make up, made up the same way every time.
//!
//! AWS ends generated names with random characters. Here they come from a hash of account, region, stack and
//! logical id, so that a restart finds its tables again and two stages never share one.

use aws_lc_rs::digest;
use stillwire_model::DECLARED_STREAM_LABEL;

use crate::template::Scope;

const UPPER: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LOWER: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A name as `CloudFormation` generates it: `{stack}-{logical id}-{12 characters}`, cut to `max` characters.
pub(crate) fn name(scope: &Scope, logical_id: &str, max: usize) -> String {
    let suffix = spell(scope, "name", logical_id, UPPER, 12);
    let mut head = format!("{}-{logical_id}", scope.stack);
    let room = max.saturating_sub(suffix.len() + 1);
    if head.len() > room {
        // Both halves stay recognisable, as on AWS.
        let half = room / 2;
        let stack: String = scope.stack.chars().take(half.saturating_sub(1)).collect();
        let id: String = logical_id.chars().take(room.saturating_sub(stack.len() + 1)).collect();
        head = format!("{stack}-{id}");
    }
    format!("{head}-{suffix}")
}

/// The ARN of a table's stream: its label is in the shape of a time stamp, and the same at every start.
pub(crate) fn stream_arn(scope: &Scope, table: &str) -> String {
    scope.arn("dynamodb", &format!("table/{table}/stream/{DECLARED_STREAM_LABEL}"))
}

/// The id of an API: ten lower-case letters and digits, beginning with a letter (it becomes a host name).
pub(crate) fn api_id(scope: &Scope, logical_id: &str) -> String {
    if scope.given_ids {
        return logical_id.to_owned();
    }
    let text = spell(scope, "api", logical_id, LOWER, 10);
    let (first, rest) = text.split_at(1);
    let letter = first.bytes().next().filter(u8::is_ascii_lowercase).unwrap_or(b'a');
    format!("{}{rest}", char::from(letter))
}

/// The id of a part of an API (route, integration, authorizer, …): seven lower-case letters and digits.
pub(crate) fn part_id(scope: &Scope, logical_id: &str) -> String {
    if scope.given_ids {
        return logical_id.to_owned();
    }
    spell(scope, "part", logical_id, LOWER, 7)
}

/// The id of an API key: ten lower-case letters and digits.
pub(crate) fn api_key_id(scope: &Scope, logical_id: &str) -> String {
    spell(scope, "api key id", logical_id, LOWER, 10)
}

/// The value of an API key that AWS would make up: forty letters and digits. Choice: lower-case ones.
pub(crate) fn api_key_value(scope: &Scope, logical_id: &str) -> String {
    let half = |purpose| spell(scope, purpose, logical_id, LOWER, 20);
    half("api key value") + &half("api key value, second half")
}

/// A UUID, for ids that are one on AWS.
pub(crate) fn uuid(scope: &Scope, purpose: &str, logical_id: &str) -> String {
    let digest = hash(scope, purpose, logical_id);
    let half = digest.iter().take(16).flat_map(|byte| [byte >> 4, byte & 0xF]);
    let hex: String = half.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// Ten letters and digits that change when a text does: tools end logical ids with such, where a change makes a new
/// resource.
pub(crate) fn fingerprint(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let nibbles = digest.as_ref().iter().take(5).flat_map(|byte| [byte >> 4, byte & 0xF]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

fn hash(scope: &Scope, purpose: &str, logical_id: &str) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in [purpose, &scope.account, &scope.region, &scope.stack, logical_id] {
        // The length keeps `a`,`bc` apart from `ab`,`c`.
        context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(field.as_bytes());
    }
    context.finish().as_ref().to_vec()
}

fn spell(
    scope: &Scope,
    purpose: &str,
    logical_id: &str,
    letters: &[u8; 36],
    length: usize,
) -> String {
    hash(scope, purpose, logical_id)
        .iter()
        .take(length)
        .filter_map(|byte| letters.get(usize::from(*byte) % letters.len()))
        .map(|letter| char::from(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(stack: &str) -> Scope {
        Scope::new(stack, "999999999999", "us-east-1")
    }

    #[test]
    fn names_are_the_same_after_a_restart_and_differ_between_stages() {
        let dev = name(&scope("dev-Chat"), "Connections", 255);
        assert_eq!(dev, name(&scope("dev-Chat"), "Connections", 255));
        assert!(dev.starts_with("dev-Chat-Connections-"));
        assert_eq!(dev.len(), "dev-Chat-Connections-".len() + 12);
        assert_ne!(dev, name(&scope("prod-Chat"), "Connections", 255));
        assert_ne!(api_id(&scope("dev-Chat"), "Api"), api_id(&scope("prod-Chat"), "Api"));
    }

    #[test]
    fn ids_have_the_shapes_of_the_services() {
        let scope = scope("s");
        for id in ["A", "B", "Api", "WebsocketAPI6F215259"] {
            let api = api_id(&scope, id);
            assert!(stillwire_model::ApiId::parse(&api).is_ok() && api.len() == 10, "{api}");
            assert!(api.starts_with(|first: char| first.is_ascii_lowercase()), "{api}");
            assert_eq!(part_id(&scope, id).len(), 7);
            assert_eq!(api_key_id(&scope, id).len(), 10);
            assert_eq!(api_key_value(&scope, id).len(), 40);
            assert_eq!(uuid(&scope, "stack", id).len(), 36);
        }
    }

    #[test]
    fn a_long_name_is_cut_so_that_both_halves_stay_recognisable() {
        let name = name(&scope(&"stack".repeat(20)), &"Logical".repeat(20), 64);
        assert!(name.len() <= 64, "{name}");
        assert!(name.starts_with("stackstack") && name.contains("-LogicalLogical"), "{name}");
    }
}
