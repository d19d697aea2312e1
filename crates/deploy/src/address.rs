//! Addresses of APIs in finished texts: from AWS's host name to ours.
//!
//! Functions build on `wss://{api}.execute-api.{region}.amazonaws.com/{stage}`, written out by the CDK or joined
//! by hand. Only finished texts are rewritten: a pseudo parameter could not help, because the CDK writes the
//! region out. The scheme stays, so that an app that replaces `wss` by `https` still works.

use std::sync::Arc;

use stillwire_model::{ApiId, App};

/// Rewrites every address of an API for which `host` knows a `host:port`, in the environment of every function
/// and in every output. The path, and whatever surrounds the address, stays.
pub fn rewrite_addresses(app: &mut App, host: &dyn Fn(&ApiId) -> Option<String>) {
    for stack in &mut app.stacks {
        for output in &mut stack.outputs {
            if let Some(text) = rewrite(&output.value, host) {
                output.value = text;
            }
        }
        for function in &mut stack.functions {
            if function.environment.values().all(|value| rewrite(value, host).is_none()) {
                continue;
            }
            for value in Arc::make_mut(function).environment.values_mut() {
                if let Some(text) = rewrite(value, host) {
                    *value = text;
                }
            }
        }
    }
}

/// The text with its addresses rewritten; `None` when there are none.
pub(crate) fn rewrite(text: &str, host: &dyn Fn(&ApiId) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        rest = after;
        if !ends_with_scheme(before) {
            continue;
        }
        if let Some((id, remainder)) = api_host(after)
            && let Some(replacement) = ApiId::parse(id).ok().and_then(|id| host(&id))
        {
            out.push_str(&replacement);
            rest = remainder;
            changed = true;
        }
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// Whether the text before `://` ends with one of the four schemes, and not with a longer word.
fn ends_with_scheme(before: &str) -> bool {
    let word =
        before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    matches!(word.into_iter().next(), Some("wss" | "ws" | "https" | "http"))
}

/// Splits `{id}.execute-api.{region}.{suffix}[:port]` from what follows; gives the id and what follows.
fn api_host(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.')))
        .unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    // The dot that ends a sentence is not part of the host.
    let trimmed = host.trim_end_matches('.');
    let dots = text.get(trimmed.len()..end)?;
    let mut labels = trimmed.split('.');
    let (id, service, region) = (labels.next()?, labels.next()?, labels.next()?);
    let suffix: Vec<&str> = labels.collect();
    let fits = service == "execute-api"
        && !region.is_empty()
        && !suffix.is_empty()
        && suffix.iter().all(|label| !label.is_empty());
    if !fits {
        return None;
    }
    if !dots.is_empty() {
        return Some((id, text.get(trimmed.len()..)?));
    }
    let rest = match rest.strip_prefix(':') {
        Some(port) => {
            let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
            if digits == 0 { rest } else { port.get(digits..)? }
        }
        None => rest,
    };
    // `user@host`, `host_name`: this was not the host after all.
    if rest.starts_with(['@', '_', '%']) { None } else { Some((id, rest)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn local(id: &ApiId) -> Option<String> {
        (id.as_str() == "a1b2c3d4e5").then(|| "127.0.0.1:3001".to_owned())
    }

    fn after(text: &str) -> String {
        rewrite(text, &local).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn the_host_is_replaced_and_scheme_and_path_stay() {
        for scheme in ["wss", "ws", "https", "http"] {
            for host in [
                "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
                "a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn",
                "a1b2c3d4e5.execute-api.eu-west-1.localhost:4510",
            ] {
                let text = format!("{scheme}://{host}/dev?x=1");
                assert_eq!(after(&text), format!("{scheme}://127.0.0.1:3001/dev?x=1"));
            }
        }
        assert_eq!(
            after("wss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"),
            "wss://127.0.0.1:3001"
        );
    }

    #[test]
    fn an_address_within_other_text_is_found() {
        let host = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com";
        assert_eq!(
            after(&format!("{{\"url\":\"wss://{host}/dev\",\"b\":\"https://{host}\"}}")),
            "{\"url\":\"wss://127.0.0.1:3001/dev\",\"b\":\"https://127.0.0.1:3001\"}"
        );
        assert_eq!(after(&format!("see https://{host}.")), "see https://127.0.0.1:3001.");
    }

    #[test]
    fn what_is_not_an_address_of_a_known_api_stays() {
        for text in [
            "wss://zzzzzzzzzz.execute-api.us-east-1.amazonaws.com/dev",
            "wss://a1b2c3d4e5.execute-api.us-east-1",
            "wss://a1b2c3d4e5.execute-api..amazonaws.com",
            "wss://xa1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "wss://x.a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "xwss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "git+https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "ftp://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com@evil.example/",
            "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "https://sqs.us-east-1.amazonaws.com/a1b2c3d4e5",
            "",
        ] {
            assert_eq!(rewrite(text, &local), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn surrounding_text_is_kept_to_the_byte(before in "[^a-zA-Z0-9+.-]{0,12}", after_it in "(/\\PC{0,20})?") {
            let text = format!("{before}wss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com{after_it}");
            prop_assert_eq!(after(&text), format!("{before}wss://127.0.0.1:3001{after_it}"));
        }

        #[test]
        fn rewriting_twice_changes_nothing_more(text in "(wss://|https://|a1b2c3d4e5\\.execute-api\\.|us-east-1\\.|amazonaws\\.com|:|/|\\.|\\PC){0,12}") {
            let once = after(&text);
            prop_assert_eq!(after(&once), once);
        }
    }
}
