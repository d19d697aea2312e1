//! `JSONPath`, Jayway's dialect.

use proptest::prelude::*;
use serde_json::{Value, json};
use stillwire_velocity::JsonPath;

fn store() -> Value {
    json!({
        "store": {
            "book": [
                {"category": "reference", "author": "Nigel Rees", "price": 8.95},
                {"category": "fiction", "author": "Evelyn Waugh", "price": 12.99, "isbn": "1"},
                {"category": "fiction", "author": "Herman Melville", "price": 8.99, "isbn": "2"}
            ],
            "bicycle": {"color": "red", "price": 19.95}
        },
        "expensive": 10,
        "my-key": "dash", "my key": "space", "it's": "quote",
        "nested": [[1, 2], [3, [4]]],
        "nil": null
    })
}

#[test]
fn definite_paths_give_the_value() {
    let store = store();
    for (path, wanted) in [
        ("$", Some(store.clone())),
        ("$.expensive", Some(json!(10))),
        ("expensive", Some(json!(10))),
        ("$.store.book[0].author", Some(json!("Nigel Rees"))),
        ("$['store']['book'][1]['author']", Some(json!("Evelyn Waugh"))),
        ("$[\"expensive\"]", Some(json!(10))),
        ("$.store.book[-1].author", Some(json!("Herman Melville"))),
        ("$.my-key", Some(json!("dash"))),
        ("$['my key']", Some(json!("space"))),
        ("$['it\\'s']", Some(json!("quote"))),
        ("$.nil", Some(Value::Null)),
        ("$.nested[1][1][0]", Some(json!(4))),
        ("$.missing", None),
        ("$.missing.deeper[0]", None),
        ("$.store.book[7]", None),
        ("$.store.book[-7]", None),
        ("$.store.book.author", None),
        ("$.expensive.x", None),
        ("$.store.book.length()", Some(json!(3))),
        ("$.store.size()", Some(json!(2))),
        ("$.expensive.length()", None),
        ("$.store.bicycle['color','price']", Some(json!({"color": "red", "price": 19.95}))),
    ] {
        let found = JsonPath::parse(path).unwrap().select(&store).unwrap();
        assert_eq!(found.value(), wanted.as_ref(), "{path}");
    }
}

#[test]
fn indefinite_paths_give_a_list() {
    let store = store();
    for (path, wanted) in [
        ("$.store.book[*].price", json!([8.95, 12.99, 8.99])),
        ("$.store.*.color", json!(["red"])),
        ("$..price", json!([8.95, 12.99, 8.99, 19.95])),
        ("$..book[0].author", json!(["Nigel Rees"])),
        ("$.store.book[0,2].price", json!([8.95, 8.99])),
        ("$.store.book[:2].price", json!([8.95, 12.99])),
        ("$.store.book[1:].price", json!([12.99, 8.99])),
        ("$.store.book[-1:].price", json!([8.99])),
        ("$.store.book[1:2].price", json!([12.99])),
        ("$.store.book[5:9].price", json!([])),
        ("$.nested[*][0]", json!([1, 3])),
        (
            "$..[1]",
            json!([{"category": "fiction", "author": "Evelyn Waugh", "price": 12.99, "isbn": "1"}, [3, [4]], 2, [4]]),
        ),
        ("$..missing", json!([])),
        ("$.missing[*]", json!([])),
        ("$.store.book[?(@.isbn)].isbn", json!(["1", "2"])),
        ("$.store.book[?(!@.isbn)].price", json!([8.95])),
        ("$.store.book[?(@.price < 10)].price", json!([8.95, 8.99])),
        ("$.store.book[?(@.price <= $.expensive)].price", json!([8.95, 8.99])),
        ("$.store.book[?(@.category == 'fiction' && @.price > 10)].price", json!([12.99])),
        ("$.store.book[?(@.price < 8.96 || @.price > 12)].price", json!([8.95, 12.99])),
        ("$.store.book[?((@.isbn == '1') || (@.isbn == '2'))].isbn", json!(["1", "2"])),
        ("$.store.book[?(@.author =~ /.*rees/i)].price", json!([8.95])),
        ("$.store.book[?(@.category in ['reference', 'x'])].price", json!([8.95])),
        ("$.store.book[?(@.category nin ['reference'])].price", json!([12.99, 8.99])),
        ("$.store.book[?('fiction' == @.category)].isbn", json!(["1", "2"])),
        ("$.store.book[?(@['price'] != 8.95)].isbn", json!(["1", "2"])),
        (
            "$.store.book[*]['author','isbn']",
            json!([{"author": "Nigel Rees"}, {"author": "Evelyn Waugh", "isbn": "1"}, {"author": "Herman Melville", "isbn": "2"}]),
        ),
        ("$.store.bicycle[?(@.color == 'red')].price", json!([19.95])),
    ] {
        let found = JsonPath::parse(path).unwrap().select(&store).unwrap();
        assert_eq!(found.value(), Some(&wanted), "{path}");
    }
}

#[test]
fn a_malformed_path_says_where() {
    for (path, problem) in [
        ("", "character 1: a name is missing here"),
        ("$.", "character 3: a name is missing here"),
        ("$x", "character 2: a path cannot go on like this"),
        ("$[", "character 3: an index, a slice, a quoted name, * or ?() belongs here"),
        ("$['a", "character 5: a text does not end"),
        ("$[0", "character 4: `]` belongs here"),
        ("$.a.sum()", "character 8: the function sum() is not there; length() and size() are"),
        (
            "$[?(@.a ==)]",
            "character 11: a number, a quoted text, true, false, null or a path belongs here",
        ),
        ("$[?(1)]", "character 6: an operator belongs here"),
    ] {
        assert_eq!(JsonPath::parse(path).unwrap_err().problem, problem, "{path}");
    }
}

#[test]
fn the_work_is_bounded() {
    let mut deep = json!(0);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let wide = json!({"a": vec![json!({"a": [1, 2, 3]}); 2000], "d": deep});
    let error = JsonPath::parse("$..*..*..*..*").unwrap().select(&wide).unwrap_err();
    assert!(error.problem.starts_with("it looks at more than"), "{error}");
    assert!(JsonPath::parse(&"a".repeat(2000)).is_err());
    let nested = format!("$[?{}@.a{}]", "(".repeat(400), ")".repeat(400));
    assert!(JsonPath::parse(&nested).is_err());
    let filters = format!("{}1{}", "$[?(@".repeat(150), ")]".repeat(150));
    assert!(JsonPath::parse(&filters).is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_path_or_refused(path in r#"[$@.a-c*\[\]0-9'":,?()&|!=<>~/ -]{0,40}"#) {
        if let Ok(parsed) = JsonPath::parse(&path) {
            let selected = parsed.select(&store()).map(|found| found.value().cloned());
            prop_assert!(!parsed.is_definite() || selected.is_ok());
        }
    }
}
