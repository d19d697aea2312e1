//! The order of records.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The sequence number of a record: a decimal number of 21 to 40 digits.
///
/// Source: Amazon DynamoDB Streams API, `SequenceNumber`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sequence(Arc<str>);

impl Sequence {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        let digits = |text: &Self| text.0.trim_start_matches('0').len();
        let value = |text: &Self| text.0.trim_start_matches('0').to_owned();
        digits(self).cmp(&digits(other)).then_with(|| value(self).cmp(&value(other)))
    }
}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sequences_are_ordered_as_numbers(a: u128, b: u128, zeros in 0_usize..5) {
            let text = |number: u128| Sequence::new(&format!("{}{number}", "0".repeat(zeros)));
            prop_assert_eq!(text(a).cmp(&Sequence::new(&b.to_string())), a.cmp(&b));
        }
    }
}
