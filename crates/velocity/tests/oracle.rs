//! The language, checked against Velocity 1.7 itself: each text here is what that engine gave for the template.
//!
//! `$x` is `text`, `$n` is 7, `$l` is `[a, b, c]`, `$m` is `{k=v, two=2}`, `$t` and `$f` are true and false, `$e` is
//! the empty text.

use stillwire_velocity::{Message, Template};

const SETTING: &str = "#set($x='text')#set($n=7)#set($l=['a','b','c'])#set($m={'k':'v','two':2})\
    #set($t=true)#set($f=false)#set($e='')";

/// Where we differ, and know it: literals as conditions, doubled quotes within a string, unclosed calls as text,
/// `#literal()`, a few methods.
const DIFFERS: [&str; 14] = [
    "#set($s='a''b')$s",
    "#if('x')a#else b#end#if(1)a#else b#end#if([])a#else b#end#if($e)a#else b#end#if(0)a#else b#end#if(\"\")a#else b#end #if({})a#else b#end #if(1+1)a#else b#end",
    "$l.length()",
    "$l.removeAll(['a','z']) $l.retainAll(['b']) $l",
    "$x.replaceAll('(t)e','$1-') $x.replaceAll('t','a') $x.matches('t.*') $x.replaceFirst('t','') $x.startsWith('te') $x.startsWith('e',1) $x.indexOf('t',1) $x.lastIndexOf('t') $x.endsWith('t')",
    "$m.k(",
    "$x.foo(#set($a=1)#foo$!x",
    "]$l${m.k}  $m.z(",
    "#@h()body#end",
    "#macro(h)x#end#h #h() #h()\nw",
    "#literal()\n$x\n#end\nz",
    "#h() #set($a=1)|",
    "$foreach #foreach($i in [1])$foreach#end",
    "#literal()$x#end",
];

fn check(table: &[(&str, &str)]) {
    let mut differ = Vec::new();
    for (template, expected) in table {
        let parsed = Template::parse(&format!("{SETTING}{template}"));
        let rendered = parsed.and_then(|parsed| parsed.evaluate(&Message::default()));
        let known = DIFFERS.contains(template);
        match rendered {
            Ok(rendered) if rendered.text == *expected => {
                assert!(!known, "{template:?} does not differ any more");
            }
            _ if known => {}
            Ok(rendered) => {
                differ.push(format!("{template:?}: {:?}, not {expected:?}", rendered.text));
            }
            Err(error) => differ.push(format!("{template:?}: {error}")),
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn white_space_is_kept_and_dropped_as_velocity_does() {
    check(&[
        ("a\n#set($z=1)\nb", "a\nb"),
        ("a\n  #set($z=1)  \nb$z", "a\n  b1"),
        ("a\n#if($t)\nb\n#end\nc", "a\nb\nc"),
        ("a\n  #if($t)  \n  b\n  #end  \nc", "a\n    b\n  c"),
        ("a\n#if($f)\nb\n#else\nc\n#end\nd", "a\nc\nd"),
        ("a\n#if($f)\nb\n#elseif($t)\nc\n#else  \nd\n#end\nd", "a\nc\nd"),
        ("#foreach($i in $l)\n$i\n#end\n.", "a\nb\nc\n."),
        ("a ## c\nb", "a b"),
        ("a\n## c\nb", "a\nb"),
        ("a #* c *# b", "a  b"),
        ("a\n#* c *#\nb", "a\n\nb"),
        ("a\n#[[b]]#\nc", "a\nb\nc"),
        ("#macro(h $a)\n<$a>\n#end\n#h(1)\nq", "<1>\nq"),
        ("#macro(h)x#end#h #h() #h()\nw", "x x xw"),
        ("#define( $d )\nhello\n#end\n$d.", "hello\n."),
        ("#set($q='$x#if($t)1#end')#evaluate($q)\nz", "text1z"),
        ("#if($t)\n#set($a=1)\n#end\n$a", "1"),
        (
            "  #if($t)\n    #foreach($i in $l)\n    $i,\n    #end\n  #end\nz",
            "          a,\n        b,\n        c,\n      z",
        ),
        ("{\n\"a\": #if($t)1#else 2#end,\n}", "{\n\"a\": 1,\n}"),
        ("#if($t)\r\na\r\n#end\r\nb", "a\r\nb"),
        ("a#if($t) \n b #end \n c", "a b  c"),
        ("#foreach($i in $l)  \n  $i  \n#end  \nz", "  a  \n  b  \n  c  \nz"),
        ("#set($a=1)\n\n\nb", "\n\nb"),
        ("a##\nb", "ab"),
        ("#* a #* b *# c *#d", " c *#d"),
        ("#literal()\n$x\n#end\nz", "$x\nz"),
        ("#if($f)a#else  \nb#end", "b"),
        ("#if($f)a#elseif($t)  \nb#end", "b"),
        ("x #set($a=1) \n y", "x  y"),
        ("a\n\n#if($t)\n\nb\n\n#end\n\nc", "a\n\n\nb\n\n\nc"),
        ("#foreach($i in $l)\n#if($i=='b')\n#else\n$i\n#end\n#end", "a\nc\n"),
        ("#macro(x1)\n  a\n#end\n  #x1()  \nb", "    a\nb"),
        ("#define($q1)\n  a\n#end\n  $q1\nb", "    a\n\nb"),
        ("##a\n##b\nc", "c"),
        ("  ##a\nb", "  b"),
        ("a##b", "a"),
        ("#* multi\nline *#\nx", "\nx"),
        ("a#**#b", "ab"),
        ("#set($a='x')\n#set($b='y')\n$a$b", "xy"),
        ("$x #set($a=1)|", "text|"),
        ("$x\t #set($a=1)|", "text|"),
        ("$x\n #set($a=1)|", "text\n |"),
        ("$x\n\n #set($a=1)|", "text\n\n |"),
        ("#if($t) #set($a=1)|#end", "|"),
        ("#if($t)\n #set($a=1)|#end", "|"),
        ("a\n #set($a=1)|", "a\n |"),
        ("a \n #set($a=1)|", "a \n |"),
        (" #set($a=1)|", "|"),
        ("#set($a=1)|", "|"),
        ("#set($b=1) #set($a=1)|", "|"),
        ("#set($b=1)\n #set($a=1)|", "|"),
        ("## c\n #set($a=1)|", "|"),
        ("#* c *# #set($a=1)|", "|"),
        ("#* c *#\n #set($a=1)|", "\n |"),
        ("${x} #set($a=1)|", "text|"),
        ("#if($t)#end #set($a=1)|", "|"),
        ("#if($t)#end\n #set($a=1)|", "|"),
        ("#if($f)#else #set($a=1)|#end", "|"),
        ("#if($f)#else\n #set($a=1)|#end", "|"),
        ("a #set($a=1)|", "a |"),
        ("a b #set($a=1)|", "a b |"),
        ("#[[q]]# #set($a=1)|", "q|"),
        ("$x.length() #set($a=1)|", "4|"),
        ("$x. #set($a=1)|", "text. |"),
        ("$x, #set($a=1)|", "text, |"),
        ("#foreach($i in [1]) #set($a=1)|#end", "|"),
        ("#foreach($i in [1])\n  #set($a=1)|#end", "|"),
        ("#macro(zz)  #set($a=1)|#end", ""),
        ("#h() #set($a=1)|", "#h()|"),
        ("\\$y #set($a=1)|", "\\$y|"),
        ("$x.a #set($a=1)|", "$x.a|"),
        ("$x \n #set($a=1)|", "text \n |"),
        ("$x ##c\nb", "text b"),
    ]);
}

#[test]
fn references_print_their_values_or_themselves() {
    check(&[
        ("$m.k(", "v("),
        ("$x.foo(#set($a=1)#foo$!x", "$x.foo(#footext"),
        ("]$l${m.k}  $m.z(", "][a, b, c]v  $m.z("),
        ("\\$x \\$y \\\\$x \\\\$y \\\\\\$x", "$x \\$y \\text \\\\$y \\$x"),
        ("#@h()body#end", "#@h()body#end"),
        ("$x-a $n-1 $x_1 $x-", "$x-a $n-1 $x_1 $x-"),
        ("$!{x}$!x.y$!{x.y}z", "textz"),
        ("${x}.length() ${x.y}", "text.length() ${x.y}"),
        ("\"$x\"", "\"text\""),
        ("$x\\$x", "text$x"),
        ("$x.foo($y)", "$x.foo($y)"),
        ("$x.foo.bar $!x.foo.bar ${x.foo}", "$x.foo.bar  ${x.foo}"),
        ("$y.foo() $!y.foo", "$y.foo() "),
        ("a\\\\b \\a \\", "a\\\\b \\a \\"),
        ("${x}y $!{x}y ${x}.y ${x}[0]", "texty texty text.y text[0]"),
        ("$n.5 $n. 5 $n.e", "7.5 7. 5 $n.e"),
        ("$foo.bar.baz() ${foo.bar} $!{foo.bar}", "$foo.bar.baz() ${foo.bar} "),
    ]);
}

#[test]
fn directives_choose_repeat_and_define() {
    check(&[
        ("x #if($t) y #end z", "x  y  z"),
        ("#foreach($i in $l)$i#if($foreach.hasNext),#end#end", "a,b,c"),
        (
            "#foreach($i in $l)$foreach.index $foreach.count $velocityCount $foreach.first $foreach.last $foreach.hasNext;#end",
            "0 1 1 true false true;1 2 2 false false true;2 3 3 false true false;",
        ),
        ("#[[ $x #if ]]# z", " $x #if  z"),
        ("\\#if($t)a\\#end \\#foo \\#set($x=1)", "#if(true)a#end \\#foo #set(text=1)"),
        ("#{if}($t)a#{else}b#{end}c", "ac"),
        ("#if($t)a#{end}c", "ac"),
        ("#set($s=\"v $x $y ${x}b #if($t)q#end\")$s", "v text $y textb q"),
        (
            "#macro(h $a $b)<$a-$b>#end#h(1 'x') #h($x $y) #h(\"q\" $n) #h(1)",
            "<$a-x> <$a-$y> <$a-7> <$a-$b>",
        ),
        ("#h(1)#macro(h $a)<$a>#end", "<1>"),
        ("#define($d)hello $w#end#set($w='W')$d", "hello W"),
        ("#evaluate(\"a$x\")", "atext"),
        ("a#stop b", "a"),
        ("#foreach($i in $l)$i#break x#end.", "a."),
        ("#foreach($i in $m)$i#end", "v2"),
        ("#foreach($i in $m.entrySet())$i.key=$i.value $i.getKey();#end", "k=v k;two=2 two;"),
        ("#foreach($i in $m.keySet())$i;#end", "k;two;"),
        ("#foreach($i in $y)a#end.", "."),
        ("#foreach($i in $x)a#end.", "."),
        ("#macro(w)<$bodyContent>#end#@w()b$x#end", "<btext>"),
        ("#foreach( $i in [1,2] )$i#end$i", "12$i"),
        (
            "$i#foreach($i in [1,2])#foreach($j in [1,2])$foreach.parent.index$foreach.index #end#end",
            "$i00 01 10 11 ",
        ),
        ("'#if($t)'a'#end'", "''a''"),
        ("#if($t)#set($a=1)#end$a", "1"),
        ("a#foreach($i in $l) $i #end b", "a a  b  c  b"),
        ("#macro(m2 $a)#set($a='new')#end#set($v='old')#m2($v)$v", "old"),
        ("#macro(m3)#set($leak=1)#end#m3()$leak", "1"),
        ("#macro(m4 $a)$a$!a#end#m4($undef)", "$undef"),
        ("#macro(m5 $a)$a#end#m5($undef.foo)#m5()", "$undef.foo$a"),
        ("$foreach #foreach($i in [1])$foreach#end", "$foreach {}"),
        ("#foreach($a in [1..3])#if($a==2)#break#end$a#end z", "1 z"),
        ("#define($d)#set($k2=1)$x#end$d.length() $d", "$d.length() text"),
        ("#set($h=\"a#foreach($i in [1..3])$i#end\")$h", "a123"),
        ("#[[a]]b]]#", "a]]b"),
        ("#literal()$x#end", "$x"),
        ("\\\\#if($t)a#end", "\\a"),
        ("\\\\\\#if($t)a", "\\#if(true)a"),
        (
            "#foreach($e2 in $m.entrySet())${e2.key}:${e2.value}#if($foreach.hasNext),#end#end",
            "k:v,two:2",
        ),
        ("#foreach($i in [1..3])$foreach.count#set($foo=$i)#end$foo", "1233"),
        ("#macro(a $p)[#b($p)]#end#macro(b $p)<$p>#end#a('z')", "[<z>]"),
        ("#set($i='old')#foreach($i in [1,2])$i#end$i", "12old"),
        ("#macro(d $p)$p.length()#end#d($x)#d('abc')", "43"),
        ("#if($t) #set($a=1) #end z", "  z"),
        ("#break", ""),
        ("a#break b", "a"),
        ("#foreach($i in [1,2])a#stop b#end c", "a"),
        ("#foreach( $i in ['a','b'] )$i#if( $foreach.hasNext ), #end#end", "a, b"),
        ("#set($z2=5)#macro(g1)$z2#set($z2=6)#end#g1()$z2", "56"),
        ("$x #if($t)y#end", "text y"),
        ("$x #foreach($i in [1])y#end", "text y"),
        ("#if($t) #if($t)y#end#end", " y"),
        ("$x #macro(q)a#end", "text "),
        ("$x #define($q)a#end b", "text  b"),
        ("$x #evaluate('a')", "text a"),
        ("#set($a=1) #if($t)y#end", " y"),
    ]);
}

#[test]
fn expressions_calculate_compare_and_combine() {
    check(&[
        ("a #set($z=1) b", "a  b"),
        ("#set($s='v $x')$s", "v $x"),
        ("#set($s=\"a\"\"b\")$s", "a\"b"),
        ("#set($s='a''b')$s", "a'b"),
        ("#set($s=\"a\\nb\\u0041\\tc\")$s", "a\\nbA\\tc"),
        ("#set($s='a\\nb\\u0041')$s", "a\\nb\\u0041"),
        ("#set($s=[1,2,'a',$x])$s", "[1, 2, a, text]"),
        ("#set($s={'a':1,'b':[2]})$s $s.a $s.b", "{a=1, b=[2]} 1 [2]"),
        ("#set($s=[1..3])$s", "[1, 2, 3]"),
        ("#set($s=[3..1])$s", "[3, 2, 1]"),
        (
            "#set($q=$x+1)$q #set($q=1+$x)$q #set($q=$x+$y)$q #set($q=$x+$x)$q #set($q=$n+1)$q #set($q=$l+1)$q#set($q='a'+$t)$q",
            "text11texttext$ytexttext88atrue",
        ),
        (
            "#if('x')a#else b#end#if(1)a#else b#end#if([])a#else b#end#if($e)a#else b#end#if(0)a#else b#end#if(\"\")a#else b#end #if({})a#else b#end #if(1+1)a#else b#end",
            " b b ba b b  b  b",
        ),
        (
            "#if($y)a#else b#end#if(!$y)a#end#if(not $y)a#end#if($n==7)a#end#if($n=='7')a#end#if($n==7.0)a#end#if($y==$null)a#else b#end#if($x==$null)a#else b#end#if($x!=$null)a#else b#end",
            " baaaaaa ba",
        ),
        (
            "#if($n gt 3 and $n lt 10 or $f)a#end#if($n ge 7)a#end#if($n le 7)a#end#if($n eq 7)a#end#if($n ne 7)a#else b#end#if($x > 'a')a#else b#end#if($t && $f || $t)a#end",
            "aaaa b ba",
        ),
        ("#set($z=1)#set($z=$y)$z#set($z=$x.nope)$z", "11"),
        (
            "#set($l[0]='z')$l #set($m.k='w')$m #set($m['n']=3)$m #set($nn.a=1)$nn",
            "[z, b, c]{k=w, two=2}{k=w, two=2, n=3}$nn",
        ),
        ("#set ( $a = 1 )$a#set($a=1 )$a", "11"),
        (
            "#set($a = [ 1 , 2 ])$a#set($a={ 'b' : 1 , 'c':2})$a.c#set($a={})$a#set($a=[])$a",
            "[1, 2]2{}[]",
        ),
        ("#if( $t )a#end#if ($t)a#end", "aa"),
        (
            "#set($a = !$t)$a#set($a = $t && $f)$a#set($a = $n > 3)$a#set($a=$y == $null)$a",
            "falsefalsetruetrue",
        ),
        ("#set($a=\"it's\")$a", "it's"),
        (
            "#set($a=$n+0.5)$a #set($a=7.0/2)$a #set($a=7/2.0)$a #set($a=7.5%2)$a #set($a=2*3.5)$a #set($a = $n * $n)$a",
            "7.53.53.51.57.049",
        ),
        (
            "#if($n<8)a#end#if(7<=$n)b#end#if($n>=7.0)c#end#if('a'=='a')d#end#if('1'==1)e#end#if($l==$l)f#end#if([1]==[1])g#end#if($t==true)h#end#if($t=='true')i#end",
            "abcdefghi",
        ),
        ("#if($y || $x)a#end#if($y && $x)b#else c#end#if(!($y || $x))d#end#if(($x))e#end", "a ce"),
        (
            "#set($a={'k':{'z':[1,{'q':'w'}]}})$a.k.z.get(1).q $a['k']['z'][0] ${a.k.z[1].q}",
            "w 1 w",
        ),
        ("x#set($a=1)y#set($b=2) z", "xy z"),
        ("#set($a='$x')$a#set($a='#if')$a", "$x#if"),
        ("#set($a=\"\\$x\")$a #set($a=\"\\\\\")$a", "$x\\\\"),
        ("#set($a=true)#set($b=false)$a $b #set($c=!$a)$c", "true falsefalse"),
        ("#set($a=[1,[2,3],{'a':'b'}])$a", "[1, [2, 3], {a=b}]"),
        ("#if($x=='text' and !$y)a#end", "a"),
        ("#set($m2={'a b':1})$m2['a b'] $m2.get('a b')", "1 1"),
        ("#set( $s = $x + '-' + $n + $y )$s", "text-7$y"),
        ("#set($a=-5)$a #set($b=$n * -1)$b", "-5-7"),
        ("#set($a=1.50)$a #set($a=0.1+0.2)$a #set($a=1e3)$a", "1.50.300000000000000041000.0"),
    ]);
}

#[test]
fn methods_are_those_of_java() {
    check(&[
        ("$l.add(0,'q')|$l", "|[q, a, b, c]"),
        ("$l.clear()|$l", "|[]"),
        ("$m.putAll({'z': 1})|$m", "|{k=v, two=2, z=1}"),
        ("$l.lastIndexOf('c') $l.lastIndexOf('t')", "2 -1"),
        ("$l.length()", "$l.length()"),
        ("$l.removeAll(['a','z']) $l.retainAll(['b']) $l", "true true [b]"),
        (
            "$x ${x} $!x $!{x} $y ${y} $!y $!{y} $x.nope $!x.nope $x.length() ${x.length()}",
            "text text text text $y ${y}   $x.nope  4 4",
        ),
        ("\\$x.length() \\${x} \\$!x", "$x.length() ${x} $!x"),
        ("#set($s=[1..$n])$s $s.size()", "[1, 2, 3, 4, 5, 6, 7] 7"),
        (
            "$n.toString() $n.intValue() $n.doubleValue() $n.hashCode() $n.equals(7) $t.toString() $t.booleanValue()",
            "7 7 7.0 7 true true true",
        ),
        ("#set($a=\"$l.get(0)\")$a#set($a=\"${l.get(0)}x$x.length()\")$a", "aax4"),
        ("#if($x.length() == 4)y#end", "y"),
        (
            "$l.add('d')$l $l.remove(0) $l.set(0,'q') $l $l.contains('d') $l.indexOf('d') $l.subList(0,1) $l.isEmpty() $l.addAll([1])",
            "true[a, b, c, d] a b [q, c, d] true 2 [q] false true",
        ),
        (
            "$m.put('a',1) $m.put('a',2) $!m.put('z',1)$m $m.remove('a') $m.containsKey('k') $m.containsValue('v') $m.getOrDefault('q',1) $m.isEmpty()",
            "$m.put('a',1) 1 {k=v, two=2, a=2, z=1} 2 true true 1 false",
        ),
        ("#set($v=$l.add('d'))$v", "true"),
        (
            "$x.replaceAll('(t)e','$1-') $x.replaceAll('t','a') $x.matches('t.*') $x.replaceFirst('t','') $x.startsWith('te') $x.startsWith('e',1) $x.indexOf('t',1) $x.lastIndexOf('t') $x.endsWith('t')",
            "t-xt aexa true ext true true 3 3 true",
        ),
        ("#set($q=$x.split('e'))$q.size() $q.get(0)", "2 t"),
        (
            "#set($q='a,b,,c,,')#set($w=$q.split(','))$w.size()#set($w=$q.split(',',2))$w.size() $w.get(1)#set($w=$q.split(''))$w.size()",
            "42 b,,c,,8",
        ),
        ("#set($a=[])$a.add(1)$a.add($x)$a", "truetrue[1, text]"),
        ("#set($r={})#set($d=$r.put('a',1))$r #if($r.a)y#end #if($r.b)z#else n#end", "{a=1} y  n"),
        (
            "$x.equalsIgnoreCase('TEXT') $x.trim() $x.isEmpty() $e.isEmpty() $x.toString().length()",
            "true text false true 4",
        ),
        ("$l.get(0).toUpperCase() ${l.get(0)}x $l.get(0)x", "A ax ax"),
        ("#set($a = '\\\\')$a.length()", "2"),
        ("$x$n$l.size()", "text73"),
        ("$x.length().foo ok", "$x.length().foo ok"),
        ("#if($x.length()>3 && $n==7)y#end", "y"),
        ("#set($a='é😀')$a.length() $a.substring(1).length() $a.indexOf('😀')", "3 2 1"),
    ]);
}
