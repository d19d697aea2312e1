//! What patterns mean, and that no text is too much for them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn matches(pattern: &Value, event: &Value) -> bool {
    Pattern::from_value(pattern).unwrap().matches(event)
}

#[test]
fn each_operator_accepts_and_refuses() {
    for (conditions, accepted, refused) in [
        (json!(["a", "b"]), json!("b"), json!("c")),
        (json!([null]), json!(null), json!("")),
        (json!([""]), json!(""), json!("x")),
        (json!([5]), json!(5), json!("5")),
        (json!([true]), json!(true), json!("true")),
        (json!([{"prefix": "lob"}]), json!("lobby"), json!("Lobby")),
        (json!([{"prefix": {"equals-ignore-case": "LOB"}}]), json!("lobby"), json!("a lobby")),
        (json!([{"suffix": ".png"}]), json!("a.png"), json!("a.jpg")),
        (json!([{"suffix": {"equals-ignore-case": ".PNG"}}]), json!("a.png"), json!("png")),
        (json!([{"equals-ignore-case": "Ada"}]), json!("aDA"), json!("Bob")),
        (json!([{"anything-but": ["a", 1]}]), json!("b"), json!("a")),
        (json!([{"anything-but": "a"}]), json!(3), json!("a")),
        (json!([{"anything-but": {"prefix": "x"}}]), json!("ax"), json!("xa")),
        (json!([{"anything-but": {"suffix": ["1", "2"]}}]), json!("a3"), json!("a2")),
        (json!([{"anything-but": {"equals-ignore-case": "a"}}]), json!("b"), json!("A")),
        (json!([{"numeric": ["=", 5]}]), json!(5.0), json!(6)),
        (json!([{"numeric": [">", 0, "<=", 5]}]), json!(5), json!(0)),
        (json!([{"numeric": ["<", 0]}]), json!(-1), json!("-1")),
        (json!([{"exists": true}]), json!(0), json!({"deeper": 1})),
        (json!([{"exists": false}]), json!({"deeper": 1}), json!(0)),
        (json!(["a", {"numeric": [">=", 7]}]), json!(["x", 7]), json!(["x", 6])),
    ] {
        let pattern = json!({ "v": conditions });
        assert!(matches(&pattern, &json!({ "v": accepted })), "{pattern} {accepted}");
        assert!(!matches(&pattern, &json!({ "v": refused })), "{pattern} {refused}");
    }
}

#[test]
fn a_member_that_is_not_there_meets_only_its_absence() {
    let nothing = json!({ "other": 1 });
    for conditions in
        [json!(["a"]), json!([{"anything-but": "a"}]), json!([{"exists": true}]), json!([null])]
    {
        assert!(!matches(&json!({ "v": conditions }), &nothing), "{conditions}");
    }
    assert!(matches(&json!({ "v": [{"exists": false}] }), &nothing));
    assert!(matches(&json!({ "v": { "deeper": [{"exists": false}] } }), &nothing));
    assert!(!matches(&json!({ "v": { "deeper": ["x"] } }), &nothing));
}

#[test]
fn all_members_must_match_and_of_an_or_one_alternative() {
    let pattern = json!({ "a": [1], "$or": [{ "b": [2] }, { "c": { "d": [3] }, "e": [4] }] });
    for (event, expected) in [
        (json!({ "a": 1, "b": 2 }), true),
        (json!({ "a": 1, "c": { "d": 3 }, "e": 4 }), true),
        (json!({ "a": 1, "c": { "d": 3 } }), false),
        (json!({ "b": 2 }), false),
    ] {
        assert_eq!(matches(&pattern, &event), expected, "{event}");
    }
    // A member may be called so.
    assert!(matches(&json!({ "$or": ["x"] }), &json!({ "$or": "x" })));
}

#[test]
fn one_object_of_a_list_must_match_as_a_whole() {
    let pattern = json!({ "items": { "kind": ["a"], "size": [1] } });
    assert!(matches(&pattern, &json!({ "items": [{"kind": "b"}, {"kind": "a", "size": 1}] })));
    assert!(!matches(&pattern, &json!({ "items": [{"kind": "a"}, {"kind": "b", "size": 1}] })));
}

#[test]
fn what_is_no_pattern_is_refused_with_its_place() {
    for (text, said) in [
        ("", "EOF"),
        ("[]", "the pattern is not an object"),
        ("{}", "the pattern is empty"),
        (r#"{"a":{}}"#, "a is empty"),
        (r#"{"a":{"b":1}}"#, "a.b is neither an object nor a list of values"),
        (r#"{"a":[]}"#, "a is an empty list"),
        (r#"{"a":[["x"]]}"#, "a has a list in its list"),
        (r#"{"a":[{"like":"x"}]}"#, "a has an operator that is not known: `like`"),
        (r#"{"a":[{"prefix":1}]}"#, "a has a `prefix` that is no text"),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "one operator"),
        (r#"{"a":[{"numeric":[">"]}]}"#, "one or two comparisons"),
        (r#"{"a":[{"numeric":[">","1"]}]}"#, "one or two comparisons"),
        (r#"{"a":[{"exists":"yes"}]}"#, "neither true nor false"),
        (r#"{"a":[{"anything-but":[]}]}"#, "neither texts nor numbers"),
        (r#"{"$or":[{"a":1},{"b":[1]}]}"#, "$or.a is neither"),
    ] {
        let error = Pattern::parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
    assert!(Pattern::parse(&deep).is_err());
}

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(
                "[ab]|exists|prefix|numeric|anything-but|\\$or",
                inner,
                0..4
            )
            .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_pattern_and_no_event_is_too_much(pattern in any_json(), event in any_json()) {
        if let Ok(pattern) = Pattern::from_value(&pattern) {
            // The same question has the same answer.
            prop_assert_eq!(pattern.matches(&event), pattern.matches(&event));
        }
    }

    #[test]
    fn a_flat_event_matches_the_pattern_that_is_made_of_it(
        event in prop::collection::hash_map("[a-d]", -5_i64..5, 1..4)
    ) {
        let event: serde_json::Map<String, Value> =
            event.into_iter().map(|(name, value)| (name, value.into())).collect();
        let listed = event.iter().map(|(name, value)| (name.clone(), json!([value])));
        let pattern = Value::Object(listed.collect());
        prop_assert!(matches(&pattern, &Value::Object(event.clone())));
        // One member less, and it does not.
        let mut less = event;
        let first = less.keys().next().cloned().unwrap();
        less.remove(&first);
        prop_assert!(!matches(&pattern, &Value::Object(less)));
    }

    #[test]
    fn anything_but_is_the_opposite_for_texts(value in "[ab]{0,3}", test in "[ab]{1,2}") {
        for operator in ["prefix", "suffix", "equals-ignore-case"] {
            let is = matches(&json!({ "v": [{ operator: &test }] }), &json!({ "v": &value }));
            let not = json!({ "v": [{ "anything-but": { operator: &test } }] });
            prop_assert_eq!(is, !matches(&not, &json!({ "v": &value })));
        }
    }
}
