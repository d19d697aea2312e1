//! Whose tables, and where: an account and a region, and the ARNs that follow from them.

use serde_json::Value;

/// An account in a region. Its tables are one store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The account: 12 digits on AWS; templates are taken at their word.
    pub(crate) account: String,
    /// The region: `eu-west-1`.
    pub(crate) region: String,
}

/// How the engine begins every ARN: it has one account and region of its own.
const ENGINE_PREFIX: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// The longest name of a region or account that is taken, in bytes. Source: none; the longest of AWS has 14.
const NAME_BYTES_MAX: usize = 32;

impl Place {
    /// A place, if both are what they should be.
    pub(crate) fn new(account: &str, region: &str) -> Option<Self> {
        // Both become parts of a file's name.
        let fits = |name: &str, more: &dyn Fn(u8) -> bool| {
            (1..=NAME_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_digit() || more(byte))
        };
        let region_has = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        (fits(account, &|_| false) && fits(region, &region_has))
            .then(|| Self { account: account.to_owned(), region: region.to_owned() })
    }

    /// How ARNs of this place begin: all before `table/`.
    pub(crate) fn arn_prefix(&self) -> String {
        let partition = match &self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:dynamodb:{}:{}:", self.region, self.account)
    }

    /// A table's ARN.
    pub(crate) fn table_arn(&self, table: &str) -> String {
        format!("{}table/{table}", self.arn_prefix())
    }

    /// A stream's ARN.
    pub(crate) fn stream_arn(&self, table: &str, label: &str) -> String {
        format!("{}/stream/{label}", self.table_arn(table))
    }

    /// The place that an ARN names.
    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').skip(3);
        let region = parts.next()?;
        Self::new(parts.next()?, region)
    }

    /// The table and label that a stream's ARN names, if it is one of this place.
    pub(crate) fn parse_stream_arn<'a>(&self, arn: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = arn.strip_prefix(self.arn_prefix().as_str())?.strip_prefix("table/")?;
        rest.split_once("/stream/")
    }

    /// Every ARN of the engine in an answer, as the world knows it.
    pub(crate) fn outward(&self, value: &mut Value) {
        each_text(value, &|text| {
            let rest = text.strip_prefix(ENGINE_PREFIX)?;
            Some(format!("{}{rest}", self.arn_prefix()))
        });
    }

    /// Every ARN of this place in a request, as the engine knows it.
    pub(crate) fn inward(&self, value: &mut Value) {
        let prefix = self.arn_prefix();
        each_text(value, &|text| {
            let rest = text.strip_prefix(prefix.as_str())?;
            Some(format!("{ENGINE_PREFIX}{rest}"))
        });
    }
}

/// Changes texts wherever they stand. The depth was bounded when the text was parsed.
fn each_text(value: &mut Value, change: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(changed) = change(text) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(members) => members.values_mut().for_each(|item| each_text(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_digits_and_a_region() {
        assert!(Place::new("999999999999", "eu-west-1").is_some());
        for (account, region) in
            [("", "eu-west-1"), ("99999999999a", "x"), ("999999999999", "../x")]
        {
            assert_eq!(Place::new(account, region), None, "{account} {region}");
        }
    }

    #[test]
    fn arns_are_translated_both_ways() {
        let place = Place::new("999999999999", "cn-north-1").unwrap();
        let mut value = serde_json::json!({ "a": [format!("{ENGINE_PREFIX}table/Chat")] });
        place.outward(&mut value);
        assert_eq!(value["a"][0], "arn:aws-cn:dynamodb:cn-north-1:999999999999:table/Chat");
        place.inward(&mut value);
        assert_eq!(value["a"][0], format!("{ENGINE_PREFIX}table/Chat"));
    }

    #[test]
    fn a_streams_arn_names_its_table_and_label() {
        let place = Place::new("999999999999", "eu-west-1").unwrap();
        let arn = place.stream_arn("Chat", "2026-01-02T03:04:05.678");
        assert_eq!(place.parse_stream_arn(&arn), Some(("Chat", "2026-01-02T03:04:05.678")));
        assert_eq!(place.parse_stream_arn(&place.table_arn("Chat")), None);
    }
}
