//! The language: what Velocity 1.7 renders.

mod support;

use support::{check, check_errors};

#[test]
fn text_is_kept_as_it_is() {
    check(&[
        ("", ""),
        ("plain", "plain"),
        ("{\"a\": 1}\n", "{\"a\": 1}\n"),
        ("cost: $5, $ 5, $$ and $", "cost: $5, $ 5, $$ and $"),
        ("#1 #foo #fff # ## gone\nhere", "#1 #foo #fff # here"),
        ("C:\\dir\\n \\ \\x", "C:\\dir\\n \\ \\x"),
        ("ünïcödé 😀", "ünïcödé 😀"),
        ("${} ${1} $! $!{", "${} ${1} $! $!{"),
        ("#channel(not a macro)", "#channel(not a macro)"),
    ]);
}

#[test]
fn comments_and_literal_blocks() {
    check(&[
        ("a## comment\nb", "ab"),
        ("a## comment", "a"),
        ("a#* one\ntwo *#b", "ab"),
        ("a#** doc *#b", "ab"),
        ("a#* #if( *#b", "ab"),
        ("#[[$x #if( ## kept]]#!", "$x #if( ## kept!"),
    ]);
}

#[test]
fn references_print_their_value() {
    check(&[
        ("#set($x = 'v')$x", "v"),
        ("#set($x = 'v')${x}y $xy", "vy $xy"),
        ("#set($x = 'v')$!x$!{x}", "vv"),
        ("#set($x = 'v')$x.", "v."),
        ("#set($x = 'v')$x.1 $x._a", "v.1 v._a"),
        ("#set($a-b = 1)$a-b $a-$b", "1 $a-$b"),
        ("#set($x = {'a': {'b': 'deep'}})$x.a.b ${x.a.b}! $x['a'].b", "deep deep! deep"),
        ("#set($l = [1, 'two', 3.5])$l[0] $l[1] $l[2] $l[-1]", "1 two 3.5 3.5"),
    ]);
}

#[test]
fn undefined_references_print_themselves() {
    check(&[
        ("$foo", "$foo"),
        ("${foo}", "${foo}"),
        ("$!foo", ""),
        ("$!{foo}|", "|"),
        ("$foo.bar($x, 1)[0]", "$foo.bar($x, 1)[0]"),
        ("#set($x = {})$x.a", "$x.a"),
        ("#set($x = 'a')$x.unknown()", "$x.unknown()"),
    ]);
}

#[test]
fn backslashes_escape() {
    check(&[
        ("#set($x = 'v')\\$x", "$x"),
        ("#set($x = 'v')\\\\$x", "\\v"),
        ("#set($x = 'v')\\\\\\$x", "\\$x"),
        ("\\$undefined", "\\$undefined"),
        ("\\#if(true)a", "#if(true)a"),
        ("\\\\#if(true)a#end", "\\a"),
        ("\\#end \\#set \\#foo", "#end #set \\#foo"),
        ("\\$5 \\", "\\$5 \\"),
    ]);
}

#[test]
fn white_space_is_what_velocity_leaves() {
    check(&[
        // The end of the line after a directive goes with it.
        ("#set($x = 1)\n$x", "1"),
        ("#set($x = 1)  \t\r\n$x", "1"),
        ("#set($x = 1) $x", " 1"),
        ("#if(true)\na\n#else\nb\n#end\nc", "a\nc"),
        ("#if(false)\na\n#else \nb\n#end\nc", "b\nc"),
        ("#foreach($i in [1..2])\n$i\n#end\n", "1\n2\n"),
        ("a\n\n#set($x = 1)\n\nb", "a\n\n\nb"),
        // Indentation stays, except before #set right after another directive, reference or comment.
        ("{\n  #if(true)\n  a\n  #end\n}", "{\n    a\n  }"),
        ("{\n  #set($x = 1)\n}", "{\n  }"),
        ("#set($x = 1)\n  #set($y = 2)\n$x$y", "12"),
        ("  #set($x = 1)$x", "1"),
        ("## c\n  #set($x = 1)$x", "1"),
        ("a #set($x = 1)b", "a b"),
        ("#macro(m)\nx\n#end\n#m()\ny", "x\ny"),
        ("a\n## comment\nb", "a\nb"),
        ("a\n#* comment *#\nb", "a\n\nb"),
    ]);
}

#[test]
fn set_assigns() {
    check(&[
        ("#set($x=1)$x", "1"),
        ("#set( ${x} = 1 )$x", "1"),
        ("#{set}($x = 1)$x", "1"),
        ("#set ($x = 1)$x", "1"),
        ("#set($x = true)$x#set($x = false)$x", "truefalse"),
        ("#set($x = 1)#set($x = $none)$x", "1"),
        ("#set($x = null)$x", "$x"),
        ("#set($m = {})#set($m.a = 1)#set($m['b c'] = 2)$m", "{a=1, b c=2}"),
        ("#set($l = [1, 2])#set($l[1] = 'b')$l", "[1, b]"),
        ("#set($a = [1])#set($b = $a)#set($ok = $b.add(2))$a", "[1, 2]"),
        ("#set no #set", "#set no #set"),
    ]);
}

#[test]
fn conditions() {
    check(&[
        ("#if(true)a#end", "a"),
        ("#if(false)a#end", ""),
        ("#if($none)a#else b#end", " b"),
        ("#if('')a#end", "a"),
        ("#if(0)a#end", "a"),
        ("#if(false)a#elseif(true)b#else c#end", "b"),
        ("#if(false)a#elseif(false)b#{else}c#end", "c"),
        ("#{if}(true)a#{end}b", "ab"),
        ("#if (true)#if(false)a#{else}b#end#end", "b"),
        ("#if(!$none)a#end", "a"),
        ("#if(not true || ! false)a#end", "a"),
        ("#if(1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 == 1 && 1 != 2)a#end", "a"),
        ("#if(1 lt 2 and 2 le 2 and 3 gt 2 and 3 ge 3 and 1 eq 1 and 1 ne 2)a#end", "a"),
        ("#if(false or (true and not false))a#end", "a"),
        ("#if('a' == 'a')a#end#if('a' == 'b')b#end", "a"),
        ("#if(5 == '5')a#end", "a"),
        ("#if(1 == 1.0)a#end", "a"),
        ("#if($none == null)a#end#if($none == 1)b#end", "a"),
        ("#if([1, 2] == [1, 2])a#end#if({'k': 1} == {'k': 2})b#end", "a"),
        ("#if('a' < 'b')a#{else}no#end", "no"),
        ("#if($a.b.c)a#{else}no#end", "no"),
        ("#if(false && $x.fail())a#end#if(true || $x.fail())b#end", "b"),
    ]);
}

#[test]
fn arithmetic() {
    check(&[
        ("#set($x = 1 + 2 * 3)$x", "7"),
        ("#set($x = (1 + 2) * 3)$x", "9"),
        ("#set($x = 7 / 2)$x", "3"),
        ("#set($x = -7 / 2)$x", "-3"),
        ("#set($x = 7 % 3)$x", "1"),
        ("#set($x = 7.0 / 2)$x", "3.5"),
        ("#set($x = 10 - 2 - 3)$x", "5"),
        ("#set($x = 1.5 + 1)$x,#set($x = 1e3)$x,#set($x = .5)$x", "2.5,1000.0,0.5"),
        ("#set($x = 1 / 0)$x", "$x"),
        ("#set($x = 5 % 0)$x", "$x"),
        ("#set($x = 'a' - 1)$x", "$x"),
        ("#set($i = 3)#set($i = $i - 1)$i", "2"),
        ("#set($i = 3)#set($x = $i -1)$x", "2"),
        ("#set($x = 4611686018427387904 * 4)$x", "1.8446744073709552E19"),
        ("#set($x = 2147483647 + 1)$x", "2147483648"),
        ("#set($l = [10, 20])#set($i = 0)$l.get($i + 1)$l[$i + 1]", "2020"),
    ]);
}

#[test]
fn texts_join() {
    check(&[
        ("#set($x = 'a' + 'b')$x", "ab"),
        ("#set($x = 'a' + 1 + 2)$x", "a12"),
        ("#set($x = 1 + 2 + 'a')$x", "3a"),
        ("#set($x = 'a' + $none)$x", "a$none"),
        ("#set($x = 'a' + [1, 2])$x", "a[1, 2]"),
        ("#set($x = 'a' + true)$x", "atrue"),
    ]);
}

#[test]
fn strings() {
    check(&[
        ("#set($n = 'N')#set($x = \"Hi $n and ${n}s\")$x", "Hi N and Ns"),
        ("#set($n = 'N')#set($x = 'Hi $n')$x", "Hi $n"),
        ("#set($x = \"#if(true)yes#end\")$x", "yes"),
        ("#set($x = \"#foreach($i in [1..3])$i,#end\")$x", "1,2,3,"),
        ("#set($x = \"$none\")$x", "$none"),
        ("#set($x = \"$!none\")|$x|", "||"),
        ("#set($x = \"say \\\"hi\\\"\")$x", "say \\\"hi\\\""),
        ("#set($x = \"say \"\"hi\"\"\")$x", "say \"hi\""),
        ("#set($x = \"\\u0041\\n\")$x", "A\\n"),
        ("#set($x = 'it\\')$x", "it\\"),
        ("#set($x = \"it's\")$x", "it's"),
        ("#set($x = '\"')$x", "\""),
        ("#set($x = \"\")|$x|", "||"),
        ("#set($x = \"a\nb\")$x", "a\nb"),
        ("#set($x = \"$.a.b costs $5\")$x", "$.a.b costs $5"),
    ]);
}

#[test]
fn lists_maps_and_ranges() {
    check(&[
        ("#set($x = [])$x $x.size()", "[] 0"),
        ("#set($x = [1, 'a', [true], {'k': 2}])$x", "[1, a, [true], {k=2}]"),
        ("#set($x = {})$x", "{}"),
        ("#set($x = {'a': 1, \"b\" : 'two', 'c': [1]})$x", "{a=1, b=two, c=[1]}"),
        ("#set($k = 'key')#set($x = {$k: $k})$x", "{key=key}"),
        (
            "#set($x = [1..3])$x;#set($x = [3..1])$x;#set($x = [-1..1])$x",
            "[1, 2, 3];[3, 2, 1];[-1, 0, 1]",
        ),
        ("#set($n = 2)#foreach($i in [0..$n])$i#end", "012"),
        ("#set($x = [ 1 .. 2 ])$x", "[1, 2]"),
    ]);
}

#[test]
fn loops() {
    check(&[
        ("#foreach($i in ['a', 'b'])$i#end$i", "ab$i"),
        (
            "#foreach($i in ['a', 'b'])$foreach.index$foreach.count$foreach.hasNext #end",
            "01true 12false ",
        ),
        (
            "#foreach($i in [1..3])#if($foreach.first)[#end$i#if($foreach.last)]#else,#end#end",
            "[1,2,3]",
        ),
        ("#foreach($i in [1..2])$velocityCount$velocityHasNext#end", "1true2false"),
        (
            "#foreach($i in [1..2])#foreach($j in [1..2])$foreach.parent.count$foreach.count #end#end",
            "11 12 21 22 ",
        ),
        ("#foreach($i in [1..2])#foreach($j in [1..2])$foreach.topmost.index#end#end", "0011"),
        ("#foreach($v in {'a': 1, 'b': 2})$v#end", "12"),
        ("#set($i = 'before')#foreach($i in [1])$i#end$i", "1before"),
        ("#foreach($i in 'text')x#end#foreach($i in $none)x#end#foreach($i in [])x#end", ""),
        ("#foreach($i in [1, $none, 3])$!i,#end", "1,,3,"),
        ("$foreach.index", "$foreach.index"),
        ("#foreach($i in [1..5])#if($i == 3)#break#end$i#end.", "12."),
        (
            "#foreach($i in [1..2])#foreach($j in [1..9])#if($j == 2)#break($foreach.parent)#end$i$j#end#end.",
            "11.",
        ),
        ("#foreach( ${i} in [1] )$i#end", "1"),
        ("#set($m = {'k': [1, 2]})#foreach($x in $m.k)$x#end", "12"),
        ("#set($l = [1, 2])#foreach($x in $l)#set($ok = $l.add(9))$x#end", "12"),
        ("no #foreach here", "no #foreach here"),
    ]);
    check_errors(&[(
        "#foreach($e in {'a': 1}.entrySet())$e#end#foreach($x in)y#end",
        "line 1, column 24: `)` belongs before `.entrySet())`; close the directive, or put an operator between the values",
    )]);
}

#[test]
fn stop_and_break_end() {
    check(&[
        ("a#stop b", "a"),
        ("a#if(true)b#{stop}c#end d", "ab"),
        ("#foreach($i in [1..3])$i#stop#end", "1"),
        ("a#{break}b", "a"),
        ("#macro(m)x#{break}y#end#m()z", "xz"),
        ("#foreach($i in [1..3])$i#break($foreach)#end.", "1."),
        ("#foreach($i in [1..3])$i#break($template)#end.", "1"),
        ("#macro(m)#foreach($i in [1..3])$i#break($macro)#end never#end#m()z", "1z"),
        ("#macro(m)#break($foreach)#end#foreach($i in [1..3])$i#m()never#end.", "1."),
    ]);
}

#[test]
fn macros() {
    check(&[
        ("#macro(hi $n)Hi $n#end#hi('you')!", "Hi you!"),
        ("#hi('early')#macro(hi $n)Hi $n#end", "Hi early"),
        ("#macro(two $a $b)$a:$b#end#two(1 2) #two(1, 2) #two( 1, [2] )", "1:2 1:2 1:[2]"),
        ("#macro(one $a)$a#end#one($none)", "$none"),
        ("#macro(one $a)$a|$!a#end#one()", "$a|"),
        (
            "#macro(list $l)#foreach($x in $l)$x#if($foreach.hasNext),#end#end#end#list([1..3])",
            "1,2,3",
        ),
        ("#macro(count $n)$n#if($n > 0) #count($less)#end#end#set($less = 0)#count(1)", "1 0"),
        ("#macro(set $a)x#end#set($b = 1)$b", "1"),
        ("#macro(m $a)#set($a = 2)$a#end#set($a = 1)#m($a)$a", "21"),
        ("#macro(m)#set($g = 2)#end#m()$g", "2"),
        ("#macro(wrap $t)<$t>$!bodyContent</$t>#end#@wrap('b')in $x#end", "<b>in $x</b>"),
        ("#macro(m $i)#foreach($i in [1, 2])$i#end#end#m('x')", "12"),
        ("#macro(quote $x)\"$x\"#end{#quote('k'): #quote('v')}", "{\"k\": \"v\"}"),
        ("#macro(nope)x#end #nope", " #nope"),
    ]);
}

#[test]
fn defined_blocks_and_evaluated_texts() {
    check(&[
        ("#define($b)Hi $n#end#set($n = 'A')$b#set($n = 'B')$b", "Hi AHi B"),
        ("#define($b)x#end#set($t = \"[$b]\")$t", "[x]"),
        ("#set($t = '$' + 'x')#set($x = 5)#evaluate($t)", "5"),
        ("#evaluate('#foreach($i in [1..2])$i#end')", "12"),
        ("#evaluate('#macro(late)late#end')#evaluate('#late()')", "late"),
        ("#evaluate('a#{break}b')c", "ac"),
        ("#evaluate($none)x", "x"),
    ]);
}

#[test]
fn what_is_not_vtl_says_where_and_what_to_do() {
    check_errors(&[
        ("a\n #if(true)", "line 2, column 2: this #if is not closed; write #end after it"),
        (
            "#foreach($x in [1])",
            "line 1, column 1: this #foreach is not closed; write #end after it",
        ),
        (
            "x #end",
            "line 1, column 3: this closes nothing; open an #if or #foreach before it, or write \\# for a plain #",
        ),
        (
            "#else",
            "line 1, column 1: this closes nothing; open an #if or #foreach before it, or write \\# for a plain #",
        ),
        (
            "#if true",
            "line 1, column 4: `(` belongs before ` true`; write #if(condition), or \\#if for plain text",
        ),
        (
            "#set(x = 1)",
            "line 1, column 6: a reference belongs before `x = 1)`; write #set($name = value)",
        ),
        (
            "#set($x == 1)",
            "line 1, column 9: `=` belongs before `== 1)`; write #set($name = value)",
        ),
        (
            "#set($x = )",
            "line 1, column 11: a value belongs before `)`; write a reference, a number, a quoted string, a list, a map, true or false",
        ),
        ("#set($x = 'a)", "line 1, column 11: this string does not end; close it with '"),
        ("#set($x = \"a)", "line 1, column 11: this string does not end; close it with \""),
        (
            "#set($x = [1, 2)",
            "line 1, column 16: `,` or `]` belongs before `)`; separate the values, or close the bracket",
        ),
        (
            "#set($x = {'a' 1})",
            "line 1, column 16: `:` is missing after a key; write {\"key\" : value}",
        ),
        (
            "${foo",
            "line 1, column 6: `}` is missing after ${foo; close the reference, or write it without braces",
        ),
        ("#* open", "line 1, column 1: this comment does not end; close it with *#"),
        ("#[[ open", "line 1, column 1: this literal block does not end; close it with ]]#"),
        (
            "#include('x.vtl')",
            "line 1, column 1: #include reads a file, and a mapping template has none; put the text into this template",
        ),
        (
            "#parse('x.vtl')",
            "line 1, column 1: #parse reads a file, and a mapping template has none; put the text into this template",
        ),
        ("#macro()x#end", "line 1, column 8: a macro needs a name; write #macro(name $parameter)"),
        (
            "#foreach($x of [1])y#end",
            "line 1, column 13: `in` belongs before `of [1])y#end`; write #foreach($item in $list)",
        ),
        (
            "#break($x)",
            "line 1, column 8: #break cannot leave `$x)`; name a scope, such as $foreach or $foreach.parent",
        ),
        (
            "#foreach($x in [1])#else#end",
            "line 1, column 20: an alternative inside #foreach, which has none; write #end for the inner #if first",
        ),
    ]);
}
