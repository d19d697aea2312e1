//! What is JSON, what is not, and where it fails.

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    Node::parse_json(text).unwrap_err().to_string()
}

#[test]
fn every_value_knows_its_line_and_column() {
    let node = Node::parse_json("{\n  \"ä\": [1,\n \"x\"] }").unwrap();
    let list = node.get("ä").unwrap();
    assert_eq!(list.at, Position { line: 2, column: 8 });
    assert_eq!(list.as_list().unwrap()[1].at, Position { line: 3, column: 2 });
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "1:1: a value is expected here, not the end of the text"),
        ("{\"a\":1,}", "1:8: a name in quotes is expected here, not '}'"),
        ("{\n\"a\": tru }", "2:6: a value is expected here, not 't'"),
        ("[1 2]", "1:4: `,` or `]` is expected here, not '2'"),
        ("{\"a\":1,\n \"a\":2}", "2:2: the name \"a\" appears twice"),
        ("01", "1:2: a number does not begin with 0"),
        ("1.", "1:3: a digit is expected here, not the end of the text"),
        ("\"a", "1:3: the text ends within quotes"),
        ("\"\t\"", "1:2: a control character in a text must be escaped"),
        (r#""\ud800x""#, "1:2: half of a surrogate pair"),
        (r#""\u12""#, "1:2: `\\u` needs four hexadecimal digits"),
        ("{} {}", "1:4: there is more text after the end of the JSON value"),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
}

#[test]
fn nesting_deeper_than_the_limit_is_refused_and_does_not_overflow() {
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Node::parse_json(&deep(DEPTH_MAX)).is_ok());
    assert!(error(&deep(DEPTH_MAX + 1)).ends_with("nested deeper than 128 levels"));
    assert!(error(&"[".repeat(1_000_000)).contains("nested deeper"));
}

#[test]
fn numbers_stay_as_they_were_written() {
    let node = Node::parse_json("[1.10, 99999999999999999999, -0e5]").unwrap();
    let texts: Vec<_> = node.as_list().unwrap().iter().filter_map(Node::scalar).collect();
    assert_eq!(texts, ["1.10", "99999999999999999999", "-0e5"]);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_another_library_wrote(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        prop_assert_eq!(Node::parse_json(&text.unwrap()).unwrap().to_json(), value);
    }

    #[test]
    fn agrees_with_another_library_on_what_is_json(text in r#"[\[\]{}:," \\u0-9a-fnrtlse.+-]{0,12}"#) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let ours = Node::parse_json(&text);
        // Theirs takes a name twice; ours does not.
        if !matches!(&ours, Err(error) if error.problem.ends_with("twice")) {
            // Numbers beyond f64 are refused there and kept as text here.
            prop_assert!(ours.is_ok() == theirs || text.contains('e') || text.contains('E'), "{text:?}");
        }
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        // The result does not matter; that there is one does.
        prop_assert!(Node::parse_json(&text).map_or_else(|error| error.at.line, |node| node.at.line) >= 1);
    }
}
