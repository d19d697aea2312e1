//! The Java methods that templates call.

mod support;

use stillwire_velocity::Message;
use support::{check, check_errors, check_with};

/// Each expression and what it prints.
fn values(cases: &[(&str, &str)]) {
    for (expression, wanted) in cases {
        let template = format!("#set($x = 'Hello World')#set($e = '')#set($r = {expression})$!r");
        check_with(&Message::default(), &[(&template, wanted)]);
    }
}

#[test]
fn of_texts() {
    values(&[
        ("$x.length()", "11"),
        ("$x.substring(6)", "World"),
        ("$x.substring(0, 5)", "Hello"),
        ("$x.substring(11)", ""),
        ("$x.indexOf('o')", "4"),
        ("$x.indexOf('o', 5)", "7"),
        ("$x.indexOf('z')", "-1"),
        ("$x.lastIndexOf('o')", "7"),
        ("$x.contains('World')", "true"),
        ("$x.startsWith('Hell')", "true"),
        ("$x.endsWith('x')", "false"),
        ("$x.replace('o', '0')", "Hell0 W0rld"),
        ("$x.replaceAll('[aeiou]', '*')", "H*ll* W*rld"),
        ("$x.replaceAll('(\\w+) (\\w+)', '$2 $1')", "World Hello"),
        ("$x.replaceFirst('l', 'L')", "HeLlo World"),
        ("$x.trim().toLowerCase()", "hello world"),
        ("$x.toUpperCase()", "HELLO WORLD"),
        ("$x.equals('Hello World')", "true"),
        ("$x.equals(5)", "false"),
        ("$x.equalsIgnoreCase('HELLO world')", "true"),
        ("$x.isEmpty()", "false"),
        ("$e.isEmpty()", "true"),
        ("$e.empty", "true"),
        ("$x.matches('Hello.*')", "true"),
        ("$x.matches('Hello')", "false"),
        ("$x.concat('!')", "Hello World!"),
        ("$x.charAt(4)", "o"),
        ("$x.toString()", "Hello World"),
        ("$x.hashCode()", "-862545276"),
        ("$x.compareTo('Hello')", "1"),
        ("$x.split(' ')", "[Hello, World]"),
        ("$x.split('o')", "[Hell,  W, rld]"),
        ("$x.split('d')", "[Hello Worl]"),
        ("$x.split('d', -1)", "[Hello Worl, ]"),
        ("$x.split('o', 2)", "[Hell,  World]"),
        ("$x.split(' ').size()", "2"),
        ("$x.split(' ')[1]", "World"),
        ("$e.split(',').size()", "1"),
    ]);
}

#[test]
fn of_texts_count_utf16_units() {
    check(&[
        ("#set($x = '😀b')$x.length() $x.indexOf('b') $x.substring(2)", "3 2 b"),
        ("#set($x = 'a.b.c')$x.split('\\.')", "[a, b, c]"),
        ("#set($x = 'ab')$x.repeat(3)", "ababab"),
        ("#set($x = ',a,,b,,')$x.split(',') $x.split(',').size()", "[, a, , b] 4"),
        ("#set($x = 'abc')$x.split('')", "[a, b, c]"),
    ]);
}

#[test]
fn of_lists() {
    check(&[
        ("#set($l = [1, 2])$l.size() $l.isEmpty() $l.empty $l.count()", "2 false false 2"),
        (
            "#set($l = ['a', 'b'])$l.get(1) $l.contains('a') $l.contains('z') $l.indexOf('b')",
            "b true false 1",
        ),
        ("#set($l = [])$l.add('a') $l", "true [a]"),
        ("#set($l = ['b'])$!l.add(0, 'a') $l", " [a, b]"),
        ("#set($l = [1])$l.addAll([2, 3]) $l", "true [1, 2, 3]"),
        ("#set($l = [1, 2])$l.set(0, 9) $l", "1 [9, 2]"),
        (
            "#set($l = ['a', 'b', 'c'])$l.remove(1) $l.remove('c') $l.remove('z') $l",
            "b true false [a]",
        ),
        ("#set($l = [1, 2, 3])$l.subList(1, 3) $l.containsAll([1, 3])", "[2, 3] true"),
        ("#set($l = [1, 1])$l.lastIndexOf(1) $l.equals([1, 1])", "1 true"),
        ("#set($l = [1])$l.clear()$l", "[]"),
        ("#set($l = [1, 2])#foreach($i in $l.iterator())$i#end", "12"),
        ("#set($l = [1])#set($ok = $l.add($l))$l.size()", "2"),
    ]);
}

#[test]
fn of_maps() {
    check(&[
        (
            "#set($m = {'a': 1})$m.get('a') $m.get('b') $m.size() $m.isEmpty()",
            "1 $m.get('b') 1 false",
        ),
        ("#set($m = {})$!m.put('a', 1) $m.put('a', 2) $m", " 1 {a=2}"),
        ("#set($m = {'a': 1})#set($ok = $m.putAll({'b': 2}))$m", "{a=1, b=2}"),
        (
            "#set($m = {'a': 1, 'b': 2})$m.remove('a') $m $m.containsKey('a') $m.containsKey('b')",
            "1 {b=2} false true",
        ),
        (
            "#set($m = {'a': 1, 'b': 2})$m.keySet() $m.values() $m.containsValue(2)",
            "[a, b] [1, 2] true",
        ),
        (
            "#set($m = {'a': 1})#foreach($e in $m.entrySet())$e.key=$e.value $e.getKey()=$e.getValue() $e#end",
            "a=1 a=1 a=1",
        ),
        ("#set($m = {'a': 1})#foreach($k in $m.keySet())$k=$m[$k]#end", "a=1"),
        ("#set($m = {'a': 1})$m.getOrDefault('a', 9) $m.getOrDefault('z', 9)", "1 9"),
        ("#set($m = {'a': 1})$m.putIfAbsent('a', 2) $m.empty", "1 false"),
        ("#set($m = {'size': 'own'})$m.size $m.size()", "own 1"),
    ]);
}

#[test]
fn of_numbers_and_booleans() {
    check(&[
        (
            "#set($n = 5)$n.toString() $n.intValue() $n.doubleValue() $n.equals(5) $n.compareTo(7)",
            "5 5 5.0 true -1",
        ),
        ("#set($n = 3.9)$n.intValue() $n.longValue()", "3 3"),
        ("#set($b = true)$b.toString() $b.booleanValue() $b.equals(true)", "true true true"),
        ("#set($n = 5)$n.toString().length()", "1"),
    ]);
}

#[test]
fn what_throws_in_java_fails_the_template() {
    check_errors(&[
        (
            "#set($x = 'abc')\n  $x.substring(9)",
            "line 2, column 3: $x.substring(9) failed: there is no text from 9 to 3; it has 3 characters",
        ),
        (
            "#set($l = [1])$l.get(4)",
            "line 1, column 15: $l.get(4) failed: there is no element 4; the list has 1",
        ),
        (
            "#set($l = [1])$l[4]",
            "line 1, column 15: $l[4] failed: there is no element 4; the list has 1",
        ),
        (
            "#set($l = [1])#set($l[4] = 1)",
            "line 1, column 20: $l[4] failed: there is no element 4; the list has 1",
        ),
        (
            "#set($x = 'a')$x.replaceAll('a', '$9')",
            "line 1, column 15: $x.replaceAll('a', '$9') failed: the pattern has no group 9",
        ),
        (
            "$util.parseJson('{')",
            "line 1, column 1: $util.parseJson('{') failed: this is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "$util.urlDecode('%zz')",
            "line 1, column 1: $util.urlDecode('%zz') failed: a % is not followed by two hex digits",
        ),
        (
            "$input.json('$.a(')",
            "line 1, column 1: $input.json('$.a(') failed: JSONPath \"$.a(\": character 4: the function a() is not there; length() and size() are",
        ),
    ]);
    let error =
        support::render("#set($x = 'a')$x.matches('(?=a)')", &Message::default()).unwrap_err();
    assert!(error.to_string().contains("the pattern is refused"), "{error}");
}
