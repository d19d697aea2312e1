//! What API Gateway adds: `$input`, `$context`, `$stageVariables`, `$util`, and the worked examples of its documentation.

mod support;

use stillwire_velocity::{Message, ParamPlace};
use support::check_with;

const BODY: &str = r#"{"action":"chat","text":"it's \"ok\"","n":1,"f":1.5,"yes":true,"nil":null,
  "tags":["a","b"],"user":{"name":"Zoë","roles":["x",{"id":7}]},"list":[{"id":"one"},{"id":"two"}]}"#;

fn message() -> Message {
    Message::new(BODY)
        .with_context("connectionId", "Qm3vTdYxIAMCE4w=")
        .with_context("connectedAt", "1738660353120")
        .with_context("authorizer.principalId", "user-17")
        .with_context("authorizer.tenant", "acme")
        .with_context("identity.sourceIp", "198.51.100.23")
        .with_stage_variable("backend", "v2")
        .with_stage_variable("host", "example.com")
        .with_param(ParamPlace::QueryString, "token", "abc")
        .with_param(ParamPlace::QueryString, "token", "last")
        .with_param(ParamPlace::Header, "X-Id", "h 1")
        .with_param(ParamPlace::Header, "token", "header")
}

fn check(cases: &[(&str, &str)]) {
    check_with(&message(), cases);
}

#[test]
fn the_body_is_the_text_of_the_message() {
    check(&[
        ("$input.body", BODY),
        ("$input.body.length()", &BODY.encode_utf16().count().to_string()),
    ]);
    check_with(&Message::new(""), &[("$input.body", "{}"), ("$input.json('$')", "{}")]);
    check_with(
        &Message::new(" {\"a\" : 1}"),
        &[("$input.body|$input.json('$')", " {\"a\" : 1}|{\"a\":1}")],
    );
}

#[test]
fn input_json_is_json_text() {
    check(&[
        ("$input.json('$.action')", "\"chat\""),
        ("$input.json('$.text')", r#""it's \"ok\"""#),
        ("$input.json('$.n') $input.json('$.f') $input.json('$.yes')", "1 1.5 true"),
        ("$input.json('$.nil')", "null"),
        ("$input.json('$.tags')", r#"["a","b"]"#),
        ("$input.json('$.user')", r#"{"name":"Zoë","roles":["x",{"id":7}]}"#),
        ("$input.json('$.list[*].id')", r#"["one","two"]"#),
        ("$input.json('$.missing')", "\"\""),
        ("$input.json(\"$.action\")", "\"chat\""),
        ("#set($k = 'action')$input.json(\"$.$k\")", "\"chat\""),
        ("$input.json('$[\"action\"]')", "\"chat\""),
    ]);
}

#[test]
fn input_path_is_a_value() {
    check(&[
        ("$input.path('$.action')", "chat"),
        ("$input.path('$.user').name", "Zoë"),
        ("$input.path('$').user.roles[1].id", "7"),
        ("$input.path('$.list')[0].id", "one"),
        ("$input.path('$.list').size() $input.path('$.tags').count()", "2 2"),
        ("#foreach($e in $input.path('$.list'))$e.id#if($foreach.hasNext),#end#end", "one,two"),
        ("$input.path('$.n') $input.path('$.f') $input.path('$.yes')", "1 1.5 true"),
        ("#set($n = $input.path('$.n') + 1)$n", "2"),
        ("$input.path('$.missing')|$input.path('$.nil')|", "||"),
        ("#if($input.path('$.missing'))a#{else}b#end", "b"),
        ("#if(\"$input.path('$.missing')\" != \"\")a#{else}b#end", "b"),
        ("#set($x = $input.path('$.missing'))[$x]", "[]"),
        ("#set($x = 'a')#set($x = $input.path('$').missing)[$x]", "[a]"),
        ("#if($input.path('$.action') == 'chat')a#end", "a"),
        ("#set($root = $input.path('$'))$root.action $root.none $!root.none", "chat $root.none "),
        ("#foreach($k in $input.path('$.user').keySet())$k #end", "name roles "),
        // Objects print as Java maps, lists as JSON.
        ("$input.path('$.tags')", r#"["a","b"]"#),
        ("$input.path('$.list')", r#"[{"id":"one"},{"id":"two"}]"#),
        ("$input.path('$.user')", r#"{name=Zoë, roles=["x",{"id":7}]}"#),
        // The same place is the same value.
        ("#set($ok = $input.path('$.tags').add('c'))$input.path('$.tags').size()", "3"),
    ]);
}

#[test]
fn a_body_that_is_no_json_is_one_text() {
    check_with(
        &Message::new("hello there"),
        &[
            ("$input.json('$')", "\"hello there\""),
            ("$input.path('$')", "hello there"),
            ("$input.path('$.a')|", "|"),
        ],
    );
}

#[test]
fn params_come_from_path_query_and_header() {
    check(&[
        ("$input.params('token')", "last"),
        ("$input.params('X-Id')", "h 1"),
        ("$input.params('none')|", "|"),
        ("#if($input.params('none') == '')empty#end", "empty"),
        ("$input.params().header.get('X-Id')", "h 1"),
        ("$input.params().querystring.token", "last"),
        ("$input.params().path", "{}"),
        ("$input.params()", "{path={}, querystring={token=last}, header={X-Id=h 1, token=header}}"),
        (
            "#foreach($t in $input.params().keySet())$t:#foreach($p in $input.params().get($t).keySet())$p #end;#end",
            "path:;querystring:token ;header:X-Id token ;",
        ),
    ]);
}

#[test]
fn context_is_asked_by_name() {
    check(&[
        ("$context.connectionId", "Qm3vTdYxIAMCE4w="),
        ("${context.connectionId}x", "Qm3vTdYxIAMCE4w=x"),
        ("$context.identity.sourceIp", "198.51.100.23"),
        ("$context.authorizer.principalId/$context.authorizer.get('tenant')", "user-17/acme"),
        ("$context['connectionId']", "Qm3vTdYxIAMCE4w="),
        ("$context.missing|$context.authorizer.missing|$context.a.b.c|", "|||"),
        ("#if($context.missing)a#{else}b#end", "b"),
        ("#if($context.missing == '')a#end#if($context.missing == $none)b#end", "ab"),
        ("#if($context.missing != '')a#end#if('x' == $context.missing)b#end", ""),
        ("#set($t = $context.authorizer.missing)[$t]", "[]"),
        ("#set($t = 'id-' + $context.missing)$t", "id-"),
        ("#set($m = {'t': $context.missing})$m", "{t=}"),
        ("#if($context.authorizer)a#end", "a"),
        ("$context.authorizer.keySet()", "[principalId, tenant]"),
        (
            "#foreach($k in $context.authorizer.keySet())$k=$context.authorizer[$k];#end",
            "principalId=user-17;tenant=acme;",
        ),
        ("$context.authorizer", "{principalId=user-17, tenant=acme}"),
        ("#set($context = {'own': 1})$context.own $context.missing", "1 $context.missing"),
        ("\\$context.connectionId", "$context.connectionId"),
    ]);
}

#[test]
fn stage_variables() {
    check(&[
        ("$stageVariables.backend", "v2"),
        ("$stageVariables['backend'] ${stageVariables['backend']}", "v2 v2"),
        ("https://${stageVariables.host}/x", "https://example.com/x"),
        ("$stageVariables.missing|", "|"),
        ("$stageVariables.get('host') $stageVariables.containsKey('x')", "example.com false"),
        (
            "#foreach($k in $stageVariables.keySet())$k=$stageVariables.get($k) #end",
            "backend=v2 host=example.com ",
        ),
    ]);
}

#[test]
fn utilities() {
    check(&[
        ("$util.escapeJavaScript('a\"b')", "a\\\"b"),
        ("$util.escapeJavaScript(\"it's\")", "it\\'s"),
        ("$util.escapeJavaScript(\"it's\").replaceAll(\"\\\\'\", \"'\")", "it's"),
        ("$util.escapeJavaScript($input.json('$.user.roles'))", "[\\\"x\\\",{\\\"id\\\":7}]"),
        ("$util.escapeJavaScript('a/b\\c')", "a\\/b\\\\c"),
        ("$util.escapeJavaScript(\"l\n\tü😀\")", "l\\n\\t\\u00FC\\uD83D\\uDE00"),
        ("$util.urlEncode('a b&c=d/é~*')", "a+b%26c%3Dd%2F%C3%A9%7E*"),
        ("$util.urlDecode('a+b%26c%3Dd%2F%C3%A9')", "a b&c=d/é"),
        ("$util.base64Encode('Hello, Zoë')", "SGVsbG8sIFpvw6s="),
        ("$util.base64Decode('SGVsbG8sIFpvw6s=')", "Hello, Zoë"),
        ("$util.parseJson('{\"a\":{\"b\":[1,2]}}').a.b[1]", "2"),
        ("#set($o = $util.parseJson($input.body))$o.user.name", "Zoë"),
        ("$util.parseJson('[1]') $util.parseJson('{\"a\":1}')", "[1] {a=1}"),
        ("$util.urlEncode($context.missing)|", "|"),
        ("$util.none('a')|", "|"),
    ]);
}

#[test]
fn overrides_are_collected() {
    let rendered = support::render(
        "#set($context.responseOverride.status = 404)\n\
         #set($context.responseOverride.header.X-Id = \"$context.connectionId\")\n\
         #set($context.requestOverride.header['a b'] = 'c')\n\
         $context.responseOverride.status",
        &message(),
    )
    .unwrap();
    assert_eq!(rendered.text, "404");
    let overrides: Vec<_> =
        rendered.overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        overrides,
        [
            ("responseOverride.status", "404"),
            ("responseOverride.header.X-Id", "Qm3vTdYxIAMCE4w="),
            ("requestOverride.header.a b", "c"),
        ]
    );
}

/// Source: API Gateway Developer Guide, examples for WebSocket APIs (a table written from `$connect`, a queue, a state
/// machine, an asynchronous function, a mock).
#[test]
fn the_worked_examples_render() {
    check(&[
        (
            r#"{"TableName":"Connections","Item":{"id":{"S":"$context.connectionId"},"user":{"S":"$context.authorizer.principalId"},"ttl":{"N":"$context.connectedAt"}}}"#,
            r#"{"TableName":"Connections","Item":{"id":{"S":"Qm3vTdYxIAMCE4w="},"user":{"S":"user-17"},"ttl":{"N":"1738660353120"}}}"#,
        ),
        (
            r#"{"connectionId":"$context.connectionId","body":$input.json('$.tags')}"#,
            r#"{"connectionId":"Qm3vTdYxIAMCE4w=","body":["a","b"]}"#,
        ),
        (r#"{"statusCode":200}"#, r#"{"statusCode":200}"#),
        (r#"{"pong":true}"#, r#"{"pong":true}"#),
    ]);
    let small = Message::new(r#"{"a":"x y"}"#).with_context("connectionId", "Qm3vTdYxIAMCE4w=");
    check_with(
        &small,
        &[
            (
                "Action=SendMessage&MessageBody=$util.urlEncode($input.body)&MessageAttribute.1.Name=connectionId&MessageAttribute.1.Value.StringValue=$context.connectionId&MessageAttribute.1.Value.DataType=String",
                "Action=SendMessage&MessageBody=%7B%22a%22%3A%22x+y%22%7D&MessageAttribute.1.Name=connectionId&MessageAttribute.1.Value.StringValue=Qm3vTdYxIAMCE4w=&MessageAttribute.1.Value.DataType=String",
            ),
            (
                r#"{"stateMachineArn":"arn","input":"$util.escapeJavaScript($input.json('$'))"}"#,
                r#"{"stateMachineArn":"arn","input":"{\"a\":\"x y\"}"}"#,
            ),
            (
                r#"{"connectionId":"$context.connectionId","body":$input.body}"#,
                r#"{"connectionId":"Qm3vTdYxIAMCE4w=","body":{"a":"x y"}}"#,
            ),
        ],
    );
}

/// Assertion A-66 of the conformance list, in one template.
#[test]
fn one_template_uses_everything() {
    let template = r##"#set($list = $input.path('$.list'))
{
  "json": $input.json('$.n'),
  "first": "$input.path('$.list')[0].id",
  "connection": "$context.connectionId",
  "backend": "$stageVariables.backend",
  "escaped": "$util.escapeJavaScript($input.path('$.text'))",
  "encoded": "$util.urlEncode('a b')",
  "base64": "$util.base64Encode('a') $util.base64Decode('YQ==')",
  "parsed": "$util.parseJson('{"k":"v"}').k",
  "ids": [#foreach($item in $list)"$item.id"#if($foreach.hasNext), #end#end],
#if($list.size() > 1)
  "many": true
#else
  "many": false
#end
}"##;
    let wanted = r#"{
  "json": 1,
  "first": "one",
  "connection": "Qm3vTdYxIAMCE4w=",
  "backend": "v2",
  "escaped": "it\'s \"ok\"",
  "encoded": "a+b",
  "base64": "YQ== a",
  "parsed": "v",
  "ids": ["one", "two"],
  "many": true
}"#;
    check(&[(template, wanted)]);
}

/// The template that the console offers for passing everything on, with its macro-like loops.
#[test]
fn the_pass_through_template_renders() {
    let template = "#set($allParams = $input.params())\n{\n\"params\" : {\n#foreach($type in $allParams.keySet())\n    #set($params = $allParams.get($type))\n\"$type\" : {\n    #foreach($paramName in $params.keySet())\n    \"$paramName\" : \"$util.escapeJavaScript($params.get($paramName))\"\n        #if($foreach.hasNext),#end\n    #end\n}\n    #if($foreach.hasNext),#end\n#end\n}\n}";
    let rendered = support::render(template, &message()).unwrap().text;
    let compact: String = rendered.split_whitespace().collect();
    assert_eq!(
        compact,
        r#"{"params":{"path":{},"querystring":{"token":"last"},"header":{"X-Id":"h1","token":"header"}}}"#
    );
}
