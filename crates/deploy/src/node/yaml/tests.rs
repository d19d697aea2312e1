//! Templates in YAML as they are written, and as nobody should write them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value(text: &str) -> serde_json::Value {
    read(text).unwrap_or_else(|error| panic!("{error}")).to_json()
}

fn error(text: &str) -> String {
    read(text).expect_err("an error").to_string()
}

#[test]
fn short_forms_are_their_long_forms() {
    let text = r#"
a: !Ref Table
b: !GetAtt Nested.Outputs.Name
c: !Sub
  - "${X}/${AWS::Region}"
  - X: !GetAtt A.B
d: !Join [/, [integrations, !Ref I]]
e: !If [Verbose, !Base64 hello, !Ref "AWS::NoValue"]
f: !And [!Condition One, !Not [!Equals [!Ref S, Prod]]]
g: !Select [1, !Split [",", "a,b"]]
h: !FindInMap [Limits, !Ref S, Rate]
i: !Cidr [!ImportValue X, 2, 8]
j: !Sub |
  two
  ${Lines}
k:
  Fn::GetAZs: !Ref AWS::Region
"#;
    assert_eq!(
        value(text),
        json!({
            "a": { "Ref": "Table" },
            "b": { "Fn::GetAtt": "Nested.Outputs.Name" },
            "c": { "Fn::Sub": ["${X}/${AWS::Region}", { "X": { "Fn::GetAtt": "A.B" } }] },
            "d": { "Fn::Join": ["/", ["integrations", { "Ref": "I" }]] },
            "e": { "Fn::If": ["Verbose", { "Fn::Base64": "hello" }, { "Ref": "AWS::NoValue" }] },
            "f": { "Fn::And": [{ "Condition": "One" },
                { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "S" }, "Prod"] }] }] },
            "g": { "Fn::Select": [1, { "Fn::Split": [",", "a,b"] }] },
            "h": { "Fn::FindInMap": ["Limits", { "Ref": "S" }, "Rate"] },
            "i": { "Fn::Cidr": [{ "Fn::ImportValue": "X" }, 2, 8] },
            "j": { "Fn::Sub": "two\n${Lines}\n" },
            "k": { "Fn::GetAZs": { "Ref": "AWS::Region" } },
        })
    );
}

#[test]
fn what_only_some_yaml_takes_for_numbers_dates_and_booleans_stays_text() {
    let text = "a: 2010-09-09\nb: 012345678901\nc: on\nd: yes\ne: 0x1F\nf: 1_000\ng: 1.10\nh: '5'\ni: 12\nj: true\nk: ~\nl: !Sub 12\nm: 1:30\nn: .5\no: -3\np: !!str 7\n123: q\n";
    assert_eq!(
        value(text),
        json!({ "a": "2010-09-09", "b": "012345678901", "c": "on", "d": "yes", "e": "0x1F",
            "f": "1_000", "g": 1.10, "h": "5", "i": 12, "j": true, "k": null, "l": { "Fn::Sub": "12" },
            "m": "1:30", "n": ".5", "o": -3, "p": "7", "123": "q" })
    );
    let node = read("a: 1.10\nb: -0\nc: 1e5").unwrap();
    assert_eq!(node.get("a").and_then(Node::scalar).as_deref(), Some("1.10"));
    assert_eq!(node.get("c").and_then(Node::scalar).as_deref(), Some("1e5"));
}

#[test]
fn aliases_and_merge_keys_copy_what_they_name() {
    let text = "base: &b { A: 1, B: 2 }\nuse: { <<: *b, B: 3 }\nagain: *b\nmore:\n  <<: [*b, { C: 4, A: 9 }]\n'<<': plain\n&k key: 1\n";
    assert_eq!(
        value(text),
        json!({ "base": { "A": 1, "B": 2 }, "use": { "B": 3, "A": 1 }, "again": { "A": 1, "B": 2 },
            "more": { "A": 1, "B": 2, "C": 4 }, "<<": "plain", "key": 1 })
    );
}

#[test]
fn every_value_knows_its_place() {
    let node = read("A:\n  B: !Ref X\n  Ü: [1,\n    2]\n").unwrap();
    let a = node.get("A").unwrap();
    let at = |node: &Node| (node.at.line, node.at.column);
    assert_eq!(at(a), (2, 3));
    assert_eq!(a.get("B").map(|node| node.at.line), Some(2));
    let list = a.get("Ü").and_then(Node::as_list).unwrap();
    assert_eq!(list.iter().map(at).collect::<Vec<_>>(), [(3, 7), (4, 5)]);
}

#[test]
fn mistakes_are_told_with_their_place() {
    assert_eq!(error("a: 1\nb: 2\na: 3\n"), "3:1: the name \"a\" appears twice");
    assert!(error("a: !Reff X\n").ends_with("`!Reff` is not the short form of a function"));
    assert!(error("a: !!binary aGk=\n").contains("`!!binary` is not a value of templates"));
    assert_eq!(error("a: 1\n---\nb: 2\n"), "2:1: a second document begins here; one is read");
    assert!(error("").ends_with("it is empty"));
    assert!(error("# nothing\n").ends_with("it is empty"));
    assert!(error("? [a]\n: 1\n").ends_with("a name is a text"));
    assert!(error("a: &x [*x]\n").ends_with("this alias stands within what it names"));
    assert!(error("a: *nobody\n").starts_with("1:4:"));
    assert!(error("a:\n\t- b\n").starts_with("2:"));
    assert!(error("a: [1, 2\nb: 3\n").starts_with("2:"));
    assert!(error("a: {<<: 3}").ends_with("`<<` merges objects"));
}

#[test]
fn depth_and_copies_are_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(DEPTH_MAX)).is_ok());
    assert!(error(&nested(DEPTH_MAX + 1)).contains("nested deeper than 128"));
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
    }
    assert!(error(&laughs).ends_with("its aliases stand for more than 16 MB"));
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        tower.extend([format!("a{level}: &a{level} [[[*a{}]]]\n", level - 1)]);
    }
    assert!(error(&tower).contains("nested deeper than 128"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "[-a!&*<:,{}\\[\\]'\"|>#% \n0-9~?]{0,60}") {
        if let Err(error) = read(&text) {
            prop_assert!(error.at.line >= 1 && error.at.column >= 1);
        }
    }

    #[test]
    fn json_is_yaml(text in any_json()) {
        let written = serde_json::to_string_pretty(&text).unwrap();
        prop_assert_eq!(value(&written), text);
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[ -~]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[ -~]{1,8}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
