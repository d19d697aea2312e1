//! The Query protocol: requests are forms, answers are XML.
//!
//! Source: Smithy, "AWS query protocol": lists are `Name.member.N`, structures `Name.Member`; all counted from 1.

use std::collections::BTreeMap;

use crate::Xml;

/// Parameters of one request. Choice: the largest sensible request, a stack with 200 parameters, has 600.
const PARAMETERS_MAX: usize = 4000;

/// A form that is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// It has more parameters than any operation takes.
    #[error("the request has more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// It says no operation.
    #[error("the request names no Action")]
    NoAction,
}

/// The parameters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    action: String,
    parameters: Parameters,
}

/// Parameters by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Query {
    /// Reads a form.
    ///
    /// # Errors
    /// When it names no operation, or has too many parameters.
    pub fn parse(form: &[u8]) -> Result<Self, InvalidQuery> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            parameters.insert(name.into_owned(), value.into_owned());
            if parameters.len() > PARAMETERS_MAX {
                return Err(InvalidQuery::TooMany);
            }
        }
        let action = parameters.remove("Action").ok_or(InvalidQuery::NoAction)?;
        Ok(Self { action, parameters: Parameters(parameters) })
    }

    /// The operation.
    pub fn action(&self) -> &str {
        &self.action
    }
}

impl std::ops::Deref for Query {
    type Target = Parameters;

    fn deref(&self) -> &Parameters {
        &self.parameters
    }
}

impl Parameters {
    /// A parameter that has a value; an empty one has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter as it was sent, empty or not.
    pub fn sent(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that says yes or no.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The texts of a list, in their order.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{name}.member.");
        let mut all: Vec<(u32, &str)> = self
            .below(&prefix)
            .filter_map(|(rest, value)| Some((rest.parse().ok()?, value)))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, value)| value).collect()
    }

    /// The structures of a list, in their order.
    pub fn structures(&self, name: &str) -> Vec<Self> {
        let prefix = format!("{name}.member.");
        let mut all: BTreeMap<u32, Self> = BTreeMap::new();
        for (rest, value) in self.below(&prefix) {
            let Some((number, member)) = rest.split_once('.') else { continue };
            let Ok(number) = number.parse() else { continue };
            all.entry(number).or_default().0.insert(member.to_owned(), value.to_owned());
        }
        all.into_values().collect()
    }

    /// The pairs of a list of structures that have a key and a value each, such as tags.
    pub fn pairs(&self, name: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let pair = |one: &Self| {
            Some((one.get(key)?.to_owned(), one.sent(value).unwrap_or_default().to_owned()))
        };
        self.structures(name).iter().filter_map(pair).collect()
    }

    /// The parameters whose names begin so, by the rest of their names.
    fn below<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = self.0.range(prefix.to_owned()..);
        from.map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}

/// An answer of an operation.
pub fn query_answer(
    action: &str,
    namespace: &str,
    request_id: &str,
    result: impl FnOnce(&mut Xml),
) -> String {
    Xml::document(&format!("{action}Response"), namespace, |xml| {
        xml.node(&format!("{action}Result"), result);
        xml.node("ResponseMetadata", |xml| _ = xml.text("RequestId", request_id));
    })
}

/// A refusal: the caller's fault below 500, else the service's.
pub fn query_refusal(
    (status, code, message): (u16, &str, &str),
    namespace: &str,
    request_id: &str,
) -> String {
    let fault = if status < 500 { "Sender" } else { "Receiver" };
    Xml::document("ErrorResponse", namespace, |xml| {
        xml.node("Error", |xml| {
            xml.text("Type", fault).text("Code", code).text("Message", message);
        });
        xml.text("RequestId", request_id);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_an_action_with_lists_and_structures() {
        let form = b"Action=CreateStack&Version=1&A.member.10=j&A.member.2=b&A.member.1=a&Empty=&Yes=True\
            &P.member.1.ParameterKey=K&P.member.1.ParameterValue=a%20b&P.member.2.ParameterKey=L&A=";
        let query = Query::parse(form).unwrap();
        assert_eq!(query.action(), "CreateStack");
        assert_eq!(query.texts("A"), ["a", "b", "j"]);
        assert_eq!((query.get("Empty"), query.sent("Empty")), (None, Some("")));
        assert_eq!(query.flag("Yes"), Some(true));
        let pairs = query.pairs("P", "ParameterKey", "ParameterValue");
        let expected = [("K".to_owned(), "a b".to_owned()), ("L".to_owned(), String::new())];
        assert_eq!(pairs, expected.into());
        assert_eq!(query.structures("P").len(), 2);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(Query::parse(b"Version=1"), Err(InvalidQuery::NoAction));
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|number| format!("p{number}=")).collect();
        assert_eq!(Query::parse(many.join("&").as_bytes()), Err(InvalidQuery::TooMany));
    }
}
