//! What a client gets of a backend's answer.

use regex_lite::Regex;
use stillwire_model::{Integration, IntegrationResponse, IntegrationTarget, ResponseKey};

use crate::exchange::Exchange;
use crate::integration::backend::Answered;
use crate::integration::content;
use crate::rescue::Failure;
use crate::response::ProxyResponse;
use crate::route;
use crate::shared::Shared;

/// Makes the answer: unchanged by a proxy, else by the integration response that is for it.
pub(super) fn make(
    integration: &Integration,
    answered: Answered,
    exchange: &Exchange<'_>,
    shared: &Shared,
) -> Result<ProxyResponse, Failure> {
    let is_proxy = matches!(integration.target, IntegrationTarget::Http { proxy: true, .. });
    // Choice: an integration without any response passes its answer on; the CDK makes MOCK integrations like that.
    if is_proxy || integration.responses.is_empty() {
        return Ok(unchanged(answered));
    }
    let Some(response) = choose(&integration.responses, &answered) else {
        return Err(Failure::NoIntegrationResponse);
    };
    let answered = content::as_text(response.content_handling, answered);
    let text = String::from_utf8_lossy(&answered.body);
    let key = response
        .selection
        .as_ref()
        .and_then(|selection| route::select_with(selection, exchange.body, Some(&answered)));
    let keys = key.as_deref().into_iter().chain(["$default", "application/json"]);
    let body = match keys.into_iter().find_map(|key| response.templates.get(key)) {
        None => answered.body.clone(),
        Some(template) => shared.templates.render(template, &exchange.with_body(&text))?.into(),
    };
    let body = content::as_binary(response.content_handling, body)?;
    Ok(unchanged(Answered { body, ..answered }))
}

fn unchanged(answered: Answered) -> ProxyResponse {
    let body = (!answered.body.is_empty()).then_some(answered.body);
    ProxyResponse { status: answered.status, headers: Vec::new(), body }
}

/// The response for an answer: an exact key, then a pattern, then `$default`.
fn choose<'a>(
    responses: &'a [IntegrationResponse],
    answered: &Answered,
) -> Option<&'a IntegrationResponse> {
    let status = answered.status.to_string();
    let subject = answered.error.as_deref().unwrap_or(&status);
    let by = |wanted: &dyn Fn(&ResponseKey) -> bool| responses.iter().find(|one| wanted(&one.key));
    by(&|key| matches!(key, ResponseKey::Exactly(text) if text == subject))
        .or_else(|| {
            by(&|key| matches!(key, ResponseKey::Matching(pattern) if matches(pattern, subject)))
        })
        .or_else(|| by(&|key| *key == ResponseKey::Default))
}

/// Whether all of a text matches, as Java's `matches` has it.
fn matches(pattern: &str, subject: &str) -> bool {
    match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) => regex.is_match(subject),
        Err(error) => {
            tracing::warn!(pattern, %error, "an integration response's key is no regular expression");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;

    fn chosen(keys: &[&str], status: u16, error: Option<&str>) -> Option<String> {
        let responses: Vec<_> = keys
            .iter()
            .map(|key| IntegrationResponse {
                key: ResponseKey::parse(key).unwrap(),
                templates: BTreeMap::from([("k".to_owned(), (*key).to_owned())]),
                selection: None,
                content_handling: None,
            })
            .collect();
        let mut answered = Answered::new(status, Bytes::new());
        answered.error = error.map(str::to_owned);
        choose(&responses, &answered).map(|response| response.templates["k"].clone())
    }

    #[test]
    fn the_status_or_the_error_chooses_the_response() {
        let keys = ["/2\\d\\d/", "/4\\d\\d/", "404", "$default"];
        assert_eq!(chosen(&keys, 201, None).as_deref(), Some("/2\\d\\d/"));
        assert_eq!(chosen(&keys, 403, None).as_deref(), Some("/4\\d\\d/"));
        assert_eq!(chosen(&keys, 404, None).as_deref(), Some("404"));
        assert_eq!(chosen(&keys, 500, None).as_deref(), Some("$default"));
        assert_eq!(chosen(&["/2\\d\\d/"], 500, None), None);
        let keys = ["/.*not found.*/", "$default"];
        assert_eq!(chosen(&keys, 200, Some("user not found")).as_deref(), Some("/.*not found.*/"));
        assert_eq!(chosen(&keys, 200, Some("other")).as_deref(), Some("$default"));
        assert_eq!(chosen(&["/20/"], 200, None), None, "all of it must match");
    }
}
