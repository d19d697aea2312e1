//! Draft 4, keyword by keyword.

use proptest::prelude::*;
use serde_json::{Value, json};
use stillwire_schema::{Schema, limits};

/// Checks values that a schema takes and values that it refuses.
fn check(schema: Value, valid: &[Value], invalid: &[Value]) {
    let parsed = Schema::parse(&schema.to_string()).expect("the schema is one");
    for value in valid {
        assert_eq!(parsed.validate(value), Ok(()), "{schema} takes {value}");
    }
    for value in invalid {
        let problems = parsed.validate(value).expect_err(&format!("{schema} refuses {value}"));
        assert!(!problems.is_empty(), "{schema} says why it refuses {value}");
    }
}

#[test]
fn types() {
    let all = [json!(null), json!(true), json!(1), json!(1.5), json!("a"), json!([]), json!({})];
    for (name, takes) in [
        ("null", vec![0]),
        ("boolean", vec![1]),
        ("integer", vec![2]),
        ("number", vec![2, 3]),
        ("string", vec![4]),
        ("array", vec![5]),
        ("object", vec![6]),
    ] {
        let pick = |wanted: bool| -> Vec<Value> {
            let all = all.iter().enumerate();
            all.filter(|(at, _)| takes.contains(at) == wanted)
                .map(|(_, value)| value.clone())
                .collect()
        };
        check(json!({ "type": name }), &pick(true), &pick(false));
    }
    check(json!({"type": ["string", "null"]}), &[json!("a"), json!(null)], &[json!(1), json!([])]);
    check(json!({"type": "integer"}), &[json!(-1), json!(u64::MAX)], &[json!(1.0)]);
    check(json!({}), &all, &[]);
}

#[test]
fn objects() {
    check(
        json!({"properties": {"a": {"type": "string"}}, "required": ["a", "b"]}),
        &[json!({"a": "x", "b": 1}), json!("no object"), json!([1])],
        &[json!({"a": 1, "b": 1}), json!({"a": "x"}), json!({})],
    );
    check(
        json!({"properties": {"a": {}}, "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": false}),
        &[json!({}), json!({"a": 1}), json!({"x-b": 2})],
        &[json!({"b": 1}), json!({"x-b": "2"})],
    );
    check(
        json!({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}),
        &[json!({"a": "x", "b": 1})],
        &[json!({"b": "x"})],
    );
    check(json!({"additionalProperties": true}), &[json!({"a": 1})], &[]);
    check(
        json!({"minProperties": 1, "maxProperties": 2}),
        &[json!({"a": 1}), json!(5)],
        &[json!({}), json!({"a": 1, "b": 2, "c": 3})],
    );
    check(
        json!({"dependencies": {"a": ["b"]}}),
        &[json!({}), json!({"a": 1, "b": 2}), json!({"b": 1})],
        &[json!({"a": 1})],
    );
    check(
        json!({"dependencies": {"a": {"required": ["c"]}}}),
        &[json!({"b": 1}), json!({"a": 1, "c": 2})],
        &[json!({"a": 1})],
    );
    // A property that the pattern takes, too, must satisfy both.
    check(
        json!({"properties": {"aa": {"minimum": 5}}, "patternProperties": {"a+": {"maximum": 9}}}),
        &[json!({"aa": 7}), json!({"a": 1})],
        &[json!({"aa": 3}), json!({"aa": 10})],
    );
}

#[test]
fn arrays() {
    check(
        json!({"items": {"type": "integer"}}),
        &[json!([1, 2]), json!([]), json!("x")],
        &[json!([1, "2"])],
    );
    check(
        json!({"items": [{"type": "integer"}, {"type": "string"}]}),
        &[json!([1]), json!([1, "a"]), json!([1, "a", null])],
        &[json!(["a"]), json!([1, 2])],
    );
    check(
        json!({"items": [{}, {}], "additionalItems": false}),
        &[json!([1, 2])],
        &[json!([1, 2, 3])],
    );
    check(
        json!({"items": [{}], "additionalItems": {"type": "null"}}),
        &[json!([1, null])],
        &[json!([1, 2])],
    );
    check(json!({"items": {}, "additionalItems": false}), &[json!([1, 2, 3])], &[]);
    check(json!({"additionalItems": false}), &[json!([1, 2])], &[]);
    check(
        json!({"minItems": 1, "maxItems": 2}),
        &[json!([1]), json!([1, 2])],
        &[json!([]), json!([1, 2, 3])],
    );
    check(
        json!({"uniqueItems": true}),
        &[
            json!([1, 2]),
            json!([1, "1"]),
            json!([{"a": 1}, {"a": 2}]),
            json!([[1], [2]]),
            json!([false, 0]),
        ],
        &[
            json!([1, 1]),
            json!([1, 1.0]),
            json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]),
            json!([[1], [1]]),
        ],
    );
    check(json!({"uniqueItems": false}), &[json!([1, 1])], &[]);
}

#[test]
fn numbers() {
    check(
        json!({"minimum": 1, "maximum": 3}),
        &[json!(1), json!(2.5), json!(3), json!("x")],
        &[json!(0.9), json!(4), json!(-1)],
    );
    check(json!({"minimum": 1, "exclusiveMinimum": true}), &[json!(1.1)], &[json!(1), json!(0)]);
    check(
        json!({"maximum": 3, "exclusiveMaximum": true}),
        &[json!(2.9)],
        &[json!(3), json!(3.0), json!(4)],
    );
    check(json!({"exclusiveMaximum": true}), &[json!(3)], &[]);
    check(
        json!({"minimum": 9_007_199_254_740_993_u64}),
        &[json!(9_007_199_254_740_993_u64)],
        &[json!(9_007_199_254_740_992_u64)],
    );
    check(
        json!({"multipleOf": 2}),
        &[json!(4), json!(0), json!(-2), json!(4.0)],
        &[json!(3), json!(4.5)],
    );
    check(
        json!({"multipleOf": 0.01}),
        &[json!(0.07), json!(4.35), json!(1), json!(1.1)],
        &[json!(0.075), json!(0.001)],
    );
    check(json!({"multipleOf": 0.0001}), &[json!(0.0075)], &[json!(0.007_51)]);
    check(json!({"multipleOf": 1e-8}), &[json!(12_391_239.123_312_39)], &[]);
    check(json!({"multipleOf": 3}), &[json!(3e100)], &[json!(1e-300)]);
}

#[test]
fn texts() {
    check(
        json!({"minLength": 2, "maxLength": 3}),
        &[json!("ab"), json!("abc"), json!("😀😀"), json!(5)],
        &[json!("a"), json!("abcd"), json!("😀")],
    );
    check(json!({"pattern": "^a*$"}), &[json!("aaa"), json!(""), json!(5)], &[json!("abc")]);
    check(json!({"pattern": "b"}), &[json!("abc")], &[json!("ac")]);
    check(json!({"pattern": "^\\d{3}-\\w+\\/x$"}), &[json!("123-ab/x")], &[json!("12-ab/x")]);
    check(json!({"format": "email"}), &[json!("no mail")], &[]);
}

#[test]
fn combinations() {
    check(
        json!({"enum": [1, "a", null, {"k": [1]}]}),
        &[json!(1), json!(1.0), json!("a"), json!(null), json!({"k": [1]})],
        &[json!(2), json!("A"), json!({"k": [2]}), json!(false)],
    );
    check(json!({"allOf": [{"minimum": 2}, {"maximum": 4}]}), &[json!(3)], &[json!(1), json!(5)]);
    check(
        json!({"anyOf": [{"type": "string"}, {"minimum": 2}]}),
        &[json!("x"), json!(2)],
        &[json!(1)],
    );
    check(
        json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}),
        &[json!(1), json!(2.5)],
        &[json!(3), json!(1.5)],
    );
    check(json!({"not": {"type": "integer"}}), &[json!("x")], &[json!(1)]);
    check(json!({"not": {"not": {"type": "integer"}}}), &[json!(1)], &[json!("x")]);
    check(
        json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        &[json!({"a": 1}), json!({"b": 1})],
        &[json!({}), json!({"a": 1, "b": 1})],
    );
}

#[test]
fn references() {
    check(
        json!({"definitions": {"id": {"type": "string", "minLength": 1}}, "properties": {"a": {"$ref": "#/definitions/id"}}}),
        &[json!({"a": "x"})],
        &[json!({"a": ""}), json!({"a": 1})],
    );
    check(
        json!({"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}, "additionalProperties": false}),
        &[json!({"value": 1, "next": {"value": 2, "next": {}}})],
        &[json!({"next": {"next": {"value": "x"}}}), json!({"next": {"other": 1}})],
    );
    check(
        json!({"definitions": {"a/b~c d": {"type": "null"}}, "$ref": "#/definitions/a~1b~0c%20d"}),
        &[json!(null)],
        &[json!(1)],
    );
    check(
        json!({"items": [{"type": "integer"}, {"$ref": "#/items/0"}]}),
        &[json!([1, 2])],
        &[json!([1, "x"])],
    );
    // What stands beside a reference is ignored.
    check(
        json!({"properties": {"a": {"$ref": "#/definitions/any", "type": "null"}}, "definitions": {"any": {}}}),
        &[json!({"a": 1})],
        &[],
    );
    // A property may have the name of a keyword.
    check(
        json!({"properties": {"$ref": {"type": "string"}}}),
        &[json!({"$ref": "x"})],
        &[json!({"$ref": 1})],
    );
}

#[test]
fn references_to_other_models() {
    let models = |name: &str| {
        match name {
        "Message" => Some(json!({"type": "object", "properties": {"to": {"$ref": "#/definitions/id"}}, "definitions": {"id": {"type": "string"}}}).to_string()),
        _ => None,
    }
    };
    let address = "https://apigateway.amazonaws.com/restapis/a1b2c3d4e5/models";
    let schema = json!({"items": {"$ref": format!("{address}/Message")}});
    let schema = Schema::parse_with_models(&schema.to_string(), &models).unwrap();
    assert!(schema.validate(&json!([{"to": "x"}])).is_ok());
    assert!(schema.validate(&json!([{"to": 1}])).is_err());
    let schema = json!({"$ref": format!("{address}/Message#/definitions/id")});
    let schema = Schema::parse_with_models(&schema.to_string(), &models).unwrap();
    assert!(schema.validate(&json!("x")).is_ok() && schema.validate(&json!(1)).is_err());
    let schema = json!({"$ref": format!("{address}/None")}).to_string();
    let error = Schema::parse_with_models(&schema, &models).unwrap_err();
    assert_eq!(error.to_string(), "schema #/$ref: this API has no model \"None\"");
}

/// Source: the texts of the validator behind API Gateway.
#[test]
fn problems_are_told_in_the_words_of_api_gateway() {
    for (schema, value, problem) in [
        (
            json!({"required": ["b", "a", "c"]}),
            json!({"c": 1}),
            r#"object has missing required properties (["a","b"])"#,
        ),
        (
            json!({"type": ["string", "null"]}),
            json!(1),
            r#"instance type (integer) does not match any allowed primitive type (allowed: ["null","string"])"#,
        ),
        (
            json!({"enum": ["a", "b"]}),
            json!("c"),
            r#"instance value ("c") not found in enum (possible values: ["a","b"])"#,
        ),
        (
            json!({"additionalProperties": false}),
            json!({"z": 1, "a": 1}),
            r#"object instance has properties which are not allowed by the schema: ["a","z"]"#,
        ),
        (
            json!({"minLength": 3}),
            json!("ab"),
            r#"string "ab" is too short (length: 2, required minimum: 3)"#,
        ),
        (
            json!({"maxLength": 1}),
            json!("ab"),
            r#"string "ab" is too long (length: 2, maximum allowed: 1)"#,
        ),
        (
            json!({"pattern": "^x"}),
            json!("ab"),
            r#"ECMA 262 regex "^x" does not match input string "ab""#,
        ),
        (
            json!({"minimum": 3}),
            json!(1),
            "numeric instance is lower than the required minimum (minimum: 3, found: 1)",
        ),
        (
            json!({"maximum": 3}),
            json!(5),
            "numeric instance is greater than the required maximum (maximum: 3, found: 5)",
        ),
        (
            json!({"minItems": 1}),
            json!([]),
            "array is too short: must have at least 1 elements but instance has 0 elements",
        ),
        (json!({"uniqueItems": true}), json!([1, 1]), "array must not contain duplicate elements"),
        (
            json!({"oneOf": [{}, {}]}),
            json!(1),
            "instance failed to match exactly one schema (matched 2 out of 2)",
        ),
        (json!({"multipleOf": 2}), json!(3), "remainder of division is not zero (3 / 2)"),
        (json!({"not": {}}), json!(3), "instance matched a schema which it should not have"),
    ] {
        let problems = Schema::parse(&schema.to_string()).unwrap().validate(&value).unwrap_err();
        assert_eq!(problems, [problem], "{schema}");
    }
    let all = json!({"required": ["a"], "properties": {"b": {"type": "string"}}});
    let problems = Schema::parse(&all.to_string()).unwrap().validate(&json!({"b": 1})).unwrap_err();
    assert_eq!(problems.len(), 2);
}

#[test]
fn a_schema_that_cannot_be_used_says_where() {
    for (schema, problem) in [
        ("{", "schema #: this is not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "schema #: a schema of draft 4 is an object"),
        (
            r#"{"type":"text"}"#,
            "schema #/type: no type of draft 4; array, boolean, integer, null, number, object and string are",
        ),
        (
            r#"{"properties":{"a":{"required":true}}}"#,
            "schema #/properties/a/required: a list of names belongs here, beside `properties`",
        ),
        (
            r#"{"exclusiveMinimum":5}"#,
            "schema #/exclusiveMinimum: true or false belongs here, as in draft 4",
        ),
        (r#"{"properties":{"a":true}}"#, "schema #/properties/a: a schema of draft 4 is an object"),
        (r#"{"minLength":-1}"#, "schema #/minLength: an integer from 0 belongs here"),
        (r#"{"multipleOf":0}"#, "schema #/multipleOf: a number above 0 belongs here"),
        (r#"{"anyOf":[]}"#, "schema #/anyOf: a list of schemas belongs here"),
        (r#"{"enum":[]}"#, "schema #/enum: a list of values belongs here"),
        (
            r##"{"$ref":"#/definitions/a"}"##,
            "schema #/definitions/a: there is nothing here; correct the $ref",
        ),
        (
            r##"{"$ref":"#name"}"##,
            "schema #/$ref: \"#name\" is no JSON pointer; write #/definitions/…",
        ),
        (
            r#"{"items":{"$ref":"http://example.com/s.json"}}"#,
            "schema #/items/$ref: \"http://example.com/s.json\" leads out of this API, where nothing is read; refer to #/definitions/… or to a model",
        ),
    ] {
        assert_eq!(Schema::parse(schema).unwrap_err().to_string(), problem, "{schema}");
    }
    let error = Schema::parse(r#"{"pattern":"(?=a)"}"#).unwrap_err().to_string();
    assert!(error.starts_with("schema #/pattern: the pattern \"(?=a)\" is refused"), "{error}");
}

#[test]
fn the_work_is_bounded() {
    let circle = Schema::parse(r##"{"allOf":[{"$ref":"#"}]}"##).unwrap();
    assert_eq!(
        circle.validate(&json!(1)).unwrap_err(),
        ["the schema refers to itself without end"]
    );
    let itself = Schema::parse(r##"{"$ref":"#"}"##).unwrap();
    assert!(itself.validate(&json!(1)).is_err());

    let mut definitions = serde_json::Map::new();
    for at in 0..30 {
        let next = json!({"$ref": format!("#/definitions/d{}", at + 1)});
        definitions.insert(format!("d{at}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d30".to_owned(), json!({}));
    let doubling = json!({"definitions": definitions, "$ref": "#/definitions/d0"}).to_string();
    let problems = Schema::parse(&doubling).unwrap().validate(&json!(1)).unwrap_err();
    assert_eq!(problems, ["the validation is too much work"]);

    let states = Schema::parse(r#"{"pattern":"(a{30}){20}b"}"#).unwrap();
    let problems = states.validate(&json!("a".repeat(120_000))).unwrap_err();
    assert_eq!(problems, ["the validation is too much work"]);
    let simple = Schema::parse(r#"{"pattern":"^[a-z]+$"}"#).unwrap();
    assert_eq!(simple.validate(&json!("a".repeat(120_000))), Ok(()));

    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(limits::SCHEMA_BYTES_MAX));
    assert!(Schema::parse(&large).unwrap_err().problem.starts_with("it is larger than 32768"));
    let items = Schema::parse(r#"{"items":{"type":"string"}}"#).unwrap();
    let problems = items.validate(&json!(vec![1; 1000])).unwrap_err();
    assert_eq!(problems.len(), limits::PROBLEMS_MAX);
}

/// Values of a few levels.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters, which every reader of JSON reads exactly.
        any::<i32>().prop_map(|number| json!(f64::from(number) / 4.0)),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_is_in_its_own_enum_and_not_in_its_negation(value in values()) {
        let is = Schema::parse(&json!({"enum": [value]}).to_string()).unwrap();
        let is_not = Schema::parse(&json!({"not": {"enum": [value]}}).to_string()).unwrap();
        prop_assert!(is.validate(&value).is_ok());
        prop_assert!(is_not.validate(&value).is_err());
    }

    #[test]
    fn any_text_is_a_schema_or_refused(text in "[\\[{}\\]\":,a-z$#/0-9]{0,60}", value in values()) {
        if let Ok(schema) = Schema::parse(&text) {
            let _valid = schema.validate(&value);
        }
    }

    #[test]
    fn any_value_of_keywords_is_a_schema_or_refused(
        name in proptest::sample::select(vec![
            "type", "enum", "properties", "required", "additionalProperties", "patternProperties",
            "items", "additionalItems", "minimum", "maximum", "exclusiveMinimum", "minLength",
            "pattern", "allOf", "anyOf", "oneOf", "not", "$ref", "dependencies", "uniqueItems",
            "multipleOf", "minProperties",
        ]),
        keyword in values(),
        value in values(),
    ) {
        if let Ok(schema) = Schema::parse(&json!({name: keyword}).to_string()) {
            let _valid = schema.validate(&value);
        }
    }
}
