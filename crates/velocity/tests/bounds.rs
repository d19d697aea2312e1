//! Nothing that a template or a body holds makes an evaluation run away.

mod support;

use proptest::prelude::*;
use stillwire_velocity::{Message, Template, limits};
use support::render;

fn fails_with(template: &str, wanted: &str) {
    match render(template, &Message::default()) {
        Ok(rendered) => panic!("renders {} bytes", rendered.text.len()),
        Err(error) => assert!(error.to_string().contains(wanted), "{error}"),
    }
}

#[test]
fn every_limit_is_named_with_its_line() {
    for (template, wanted) in [
        (
            "\n#foreach($i in [1..1001])x#end",
            "line 2, column 1: the limit of #foreach iterations (1000)",
        ),
        ("\n#macro(m)#m()#end\n#m()", "line 2, column 10: the limit of depth of calls (20)"),
        ("#define($d)$d#end\n$d", "column 12: the limit of depth of calls (20)"),
        ("#set($t = '#evaluate($t)')\n#evaluate($t)", "the limit of depth of calls (20)"),
        ("\n#set($x = [1..100000000])", "line 2, column 6: the limit of steps (600000)"),
        ("#foreach($i in [1..1000])#foreach($j in [1..1000])\n$i$j#end#end", "line 2, column"),
        ("#set($s = 'ab')#foreach($i in [1..30])\n#set($s = \"$s$s\")#end", "line 2"),
        (
            "#set($s = 'ab')#foreach($i in [1..30])#set($s = $s.replace('a', $s))#end",
            "the limit of bytes of a text (1048576)",
        ),
        ("#set($s = 'a')$s.repeat(2000000)", "the limit of bytes of a text (1048576)"),
        ("#set($l = [])#set($ok = $l.add($l))$l", "the limit of nesting of a value (128)"),
        (
            "#set($a = [])#set($b = [$a])#set($ok = $a.add($b))#if([$a] == [$b])x#end",
            "the limit of",
        ),
    ] {
        match render(template, &Message::default()) {
            Ok(rendered) => panic!("{template:?} renders {} bytes", rendered.text.len()),
            Err(error) => {
                assert!(error.to_string().contains(wanted), "{template:?}: {error}");
                assert!(error.problem.is_limit(), "{error}");
            }
        }
    }
}

/// A pattern's work grows with its states, which a repeat count multiplies.
#[test]
fn a_pattern_with_many_states_cannot_look_through_a_large_body() {
    let body = Message::new("a".repeat(120_000));
    for (pattern, allowed) in [("[aeiou]", true), ("\\\\'", true), ("(a{30}){20}b", false)] {
        let template = format!("$input.body.replaceAll(\"{pattern}\", '').length()");
        let rendered = render(&template, &body);
        assert_eq!(rendered.is_ok(), allowed, "{pattern}: {rendered:?}");
    }
}

#[test]
fn the_largest_loop_turns() {
    let rendered = render("#foreach($i in [1..1000])x#end", &Message::default()).unwrap();
    assert_eq!(rendered.text.len(), limits::LOOP_ITERATIONS_MAX);
}

#[test]
fn size_and_nesting_of_a_template_are_bounded() {
    assert!(Template::parse(&"x".repeat(limits::TEMPLATE_BYTES_MAX)).is_ok());
    fails_with(&"x".repeat(limits::TEMPLATE_BYTES_MAX + 1), "template bytes (307200)");
    let repeated = |open: &str, close: &str| open.repeat(20_000) + &close.repeat(20_000);
    for template in [
        repeated("#if(true)", "#end"),
        format!("#set($x = {}1", "(".repeat(50_000)),
        format!("#set($x = {}1", "[".repeat(50_000)),
        format!("#set($x = {}1", "!".repeat(50_000)),
        format!("#set($x = {}1", "{1:".repeat(50_000)),
        format!("#set($x = {}1", "not ".repeat(50_000)),
        "$a.b(".repeat(50_000),
        "$a[".repeat(50_000),
        "#macro(m)".repeat(20_000),
        "#foreach($i in [1])".repeat(15_000),
    ] {
        fails_with(&template, "the limit of nesting (48)");
    }
}

/// The deepest template that is read must fit the stack of a thread, and so must its evaluation.
#[test]
fn the_deepest_evaluation_fits_a_thread() {
    let depth = limits::NESTING_MAX - 4;
    let parentheses = format!("#set($x = {}1{})$x", "(1 + 2 * ".repeat(depth), ")".repeat(depth));
    let lists = format!("#set($x = {}1{})$x", "[".repeat(depth), "]".repeat(depth));
    let ifs = format!("{}x{}", "#if(true)".repeat(depth), "#end".repeat(depth));
    let macros = format!("#macro(m){}#m(){}#end#m()", "#if(true)".repeat(40), "#end".repeat(40));
    let calls = format!("{}1{}", "$input.path(".repeat(depth), ")".repeat(depth));
    let work = move || {
        assert!(render(&parentheses, &Message::default()).is_ok());
        assert!(render(&lists, &Message::default()).is_ok());
        assert!(render(&ifs, &Message::default()).is_ok());
        fails_with(&macros, "the limit of depth of");
        let _any = render(&calls, &Message::default());
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn long_chains_are_no_depth() {
    let sum = format!("#set($x = 0{})$x", " + 1".repeat(50_000));
    assert_eq!(render(&sum, &Message::default()).unwrap().text, "50000");
    let arms = format!("#if(false)a{}#end", "#elseif(false)b".repeat(15_000));
    assert_eq!(render(&arms, &Message::default()).unwrap().text, "");
    let steps = format!("#set($x = 'a')$x{}", ".trim()".repeat(20_000));
    assert_eq!(render(&steps, &Message::default()).unwrap().text, "a");
}

#[test]
fn a_deep_body_is_refused_as_json() {
    let body = "[".repeat(100_000);
    let rendered = render("$input.path('$').length()", &Message::new(body)).unwrap();
    assert_eq!(rendered.text, "100000");
}

/// Words that a template is made of; random texts of them reach further than random characters.
const WORDS: [&str; 60] = [
    "$",
    "$x",
    "$!x",
    "${x}",
    "$y.z",
    "$x.size()",
    "$x.get(0)",
    "$input.body",
    "$input.json('$')",
    "$input.path('$..*')",
    "$context.a",
    "$stageVariables",
    "$util.escapeJavaScript($x)",
    "#",
    "##",
    "#*",
    "*#",
    "#[[",
    "]]#",
    "#set($x = ",
    "#set($y = $x)",
    "#if(",
    "#if($x)",
    "#elseif($x)",
    "#else",
    "#end",
    "#foreach($x in ",
    "#foreach($i in [1..3])",
    "$foreach.index",
    "#break",
    "#stop",
    "#macro(m $x)",
    "#m(",
    "#m($x)",
    "#@m($x)",
    "#define($d)",
    "$d",
    "#evaluate($x)",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    ",",
    ":",
    "..",
    ".",
    "1",
    "-2.5",
    "'a'",
    " + ",
    " == ",
    " && ",
    "!",
    "\\",
    "\n",
    " ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_template_renders_within_bounds_or_is_refused(
        words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..40),
        body in "[a-z0-9{}\\[\\]\":, ]{0,30}",
    ) {
        let template = words.concat();
        match Template::parse(&template) {
            Err(error) => prop_assert!(error.place.line >= 1 && error.place.column >= 1),
            Ok(parsed) => {
                let input = Message::new(body).with_context("a", "b");
                if let Ok(rendered) = parsed.evaluate(&input) {
                    prop_assert!(rendered.text.len() <= limits::OUTPUT_BYTES_MAX);
                }
            }
        }
    }

    #[test]
    fn text_without_signs_is_itself(text in "[^$#\\\\]{0,80}") {
        prop_assert_eq!(render(&text, &Message::default()).unwrap().text, text);
    }

    #[test]
    fn any_text_in_a_literal_block_is_itself(text in "[^\\]]{0,80}") {
        let template = format!("#[[{text}]]#");
        prop_assert_eq!(render(&template, &Message::default()).unwrap().text, text);
    }

    #[test]
    fn any_body_survives_the_utilities(body in ".{0,40}") {
        let input = Message::new(format!("x{body}"));
        let rendered = render(
            "$util.urlDecode($util.urlEncode($input.body))|$util.base64Decode($util.base64Encode($input.body))",
            &input,
        );
        prop_assert_eq!(rendered.unwrap().text, format!("x{body}|x{body}"));
    }
}
