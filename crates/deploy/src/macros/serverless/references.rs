//! References to parts of SAM's resources: `!Ref Api.Stage`, `${Function.Alias}`.

use std::collections::BTreeMap;

use crate::node::{Node, Value};

/// Leads every reference in a value to what was made for it.
pub(super) fn rename(node: &mut Node, renamed: &BTreeMap<String, String>) {
    if renamed.is_empty() {
        return;
    }
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::Map(map) => {
            for member in &mut map.0 {
                match (member.name.as_str(), &mut member.node.value) {
                    ("Ref", Value::Text(name)) => {
                        if let Some(made) = renamed.get(name) {
                            name.clone_from(made);
                        }
                    }
                    ("Fn::Sub", Value::Text(text)) => *text = in_text(text, renamed),
                    ("Fn::Sub", Value::List(items)) => {
                        for item in items {
                            match &mut item.value {
                                Value::Text(text) => *text = in_text(text, renamed),
                                _ => rename(item, renamed),
                            }
                        }
                    }
                    ("Fn::GetAtt", Value::List(items)) => {
                        // [Function, Alias.Name] or [Function.Alias, Name]: one of them is what was made.
                        let texts: Vec<&str> = items.iter().filter_map(Node::as_text).collect();
                        if let Some((made, rest)) = attribute(&texts.join("."), renamed) {
                            let at = member.node.at;
                            *items = vec![Node::text(at, made), Node::text(at, rest)];
                        }
                    }
                    ("Fn::GetAtt", Value::Text(text)) => {
                        if let Some((made, rest)) = attribute(text, renamed) {
                            *text = format!("{made}.{rest}");
                        }
                    }
                    _ => rename(&mut member.node, renamed),
                }
            }
        }
        _ => {}
    }
}

fn attribute(text: &str, renamed: &BTreeMap<String, String>) -> Option<(String, String)> {
    renamed.iter().find_map(|(name, made)| {
        let rest = text.strip_prefix(name.as_str())?.strip_prefix('.')?;
        Some((made.clone(), rest.to_owned()))
    })
}

fn in_text(text: &str, renamed: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, made) in renamed {
        text = text.replace(&format!("${{{name}}}"), &format!("${{{made}}}"));
        text = text.replace(&format!("${{{name}."), &format!("${{{made}."));
    }
    text
}
