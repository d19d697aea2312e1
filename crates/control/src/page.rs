//! Lists, a page at a time.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::error::{Answered, bad_request};
use crate::request::Request;

/// Items of a page where the caller does not say. Choice: the service does not document its own number.
const ITEMS_DEFAULT: usize = 100;

/// Items of a page at most.
const ITEMS_MAX: usize = 500;

/// The page of `items` that a request asks for. A token says after which key it begins, so that what comes and goes
/// meanwhile neither repeats nor hides the others.
pub(crate) fn page(request: &Request, items: BTreeMap<String, Value>) -> Answered<Value> {
    let max = match request.queried("maxResults").first() {
        None => ITEMS_DEFAULT,
        Some(text) => match text.parse() {
            Ok(max @ 1..=ITEMS_MAX) => max,
            _ => return Err(bad_request(format!("maxResults is a number from 1 to {ITEMS_MAX}"))),
        },
    };
    let after = match request.queried("nextToken").first() {
        None => None,
        Some(token) => Some(read_token(token).ok_or_else(|| bad_request("Invalid nextToken"))?),
    };
    let mut rest =
        items.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let page: Vec<(String, Value)> = rest.by_ref().take(max).collect();
    let token =
        rest.next().and_then(|_| page.last()).map(|(key, _)| BASE64_URL_SAFE_NO_PAD.encode(key));
    let items: Vec<Value> = page.into_iter().map(|(_, item)| item).collect();
    Ok(match token {
        Some(token) => json!({ "items": items, "nextToken": token }),
        None => json!({ "items": items }),
    })
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
