//! Directives: what begins with `#`.

use std::sync::Arc;

use super::cursor::Cursor;
use super::expression::shown;
use super::reference::identifier;
use super::{Ending, Parser, Pieces, is_word};
use crate::ast::{Argument, Block, Call, Foreach, Macro, Node, Target};
use crate::error::{Place, TemplateError};

/// The directives that an escape recognises, besides macros.
const DIRECTIVES: [&str; 13] = [
    "set", "if", "elseif", "else", "end", "foreach", "break", "stop", "macro", "define",
    "evaluate", "include", "parse",
];

/// Reads the word after a `#`, in braces or not.
pub(super) fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let mut ahead = *cursor;
    let braced = ahead.eat("{");
    let name = if ahead.peek().is_some_and(|c| is_word(c) && !c.is_ascii_digit()) {
        ahead.take_while(is_word)
    } else {
        ""
    };
    if name.is_empty() || (braced && !ahead.eat("}")) {
        return "";
    }
    *cursor = ahead;
    name
}

impl Parser<'_> {
    /// Whether the `#` here begins a directive or a call of a macro.
    pub(super) fn is_directive(&self, mut cursor: Cursor<'_>) -> bool {
        cursor.take(1);
        let name = word(&mut cursor);
        DIRECTIVES.contains(&name) || self.names.contains(name.trim_start_matches('@'))
    }

    /// Reads what begins with a `#`. Whatever is no directive is text.
    pub(super) fn hash(
        &mut self,
        cursor: &mut Cursor<'_>,
        pieces: &mut Pieces,
    ) -> Result<Option<Ending>, TemplateError> {
        let start = *cursor;
        cursor.take(1);
        if cursor.eat("#") {
            cursor.take_while(|c| c != '\n' && c != '\r');
            cursor.eat_line_end();
        } else if cursor.eat("*") {
            closed(cursor, "*#", &start, "this comment does not end")?;
        } else if cursor.eat("[[") {
            pieces.text(closed(cursor, "]]#", &start, "this literal block does not end")?);
        } else {
            let name = word(cursor);
            return self.directive(name, start, cursor, pieces);
        }
        Ok(None)
    }

    fn directive(
        &mut self,
        name: &str,
        start: Cursor<'_>,
        cursor: &mut Cursor<'_>,
        pieces: &mut Pieces,
    ) -> Result<Option<Ending>, TemplateError> {
        let place = start.place();
        match name {
            "end" | "else" => {
                cursor.eat_line_end();
                return Ok(Some(if name == "end" {
                    Ending::End(place)
                } else {
                    Ending::Else(place)
                }));
            }
            "elseif" => return Ok(Some(Ending::ElseIf(place))),
            "if" => pieces.push(self.nested(place, |parser| parser.if_(cursor, place))?),
            "stop" => pieces.push(Node::Stop),
            "break" => {
                let target = break_target(cursor)?;
                pieces.push(Node::Break(target));
            }
            "set" if opens(cursor) => {
                pieces.drop_indentation();
                pieces.push(self.set(cursor)?);
            }
            "foreach" if opens(cursor) => {
                pieces.push(self.nested(place, |parser| parser.foreach(cursor, place))?);
            }
            "macro" if opens(cursor) => {
                self.nested(place, |parser| parser.macro_(cursor, place))?;
            }
            "define" if opens(cursor) => {
                pieces.push(self.nested(place, |parser| parser.define(cursor, place))?);
            }
            "evaluate" if opens(cursor) => {
                let text = self.expression(cursor)?;
                close(cursor)?;
                pieces.push(Node::Evaluate { text, place });
            }
            "include" | "parse" if opens(cursor) => {
                return Err(start.fail(
                    format!("#{name} reads a file, and a mapping template has none"),
                    "put the text into this template",
                ));
            }
            _ if self.names.contains(name) && opens(cursor) => {
                pieces.push(Node::Call(self.call(name, start, cursor)?));
            }
            _ if name.strip_prefix('@').is_some_and(|name| self.names.contains(name))
                && opens(cursor) =>
            {
                let name = name.trim_start_matches('@');
                let mut call = self.call(name, start, cursor)?;
                call.body = Some(self.nested(place, |parser| parser.body(cursor, place, "#@"))?);
                pieces.push(Node::Call(call));
            }
            _ => pieces.text(cursor.since(&start)),
        }
        Ok(None)
    }

    /// A block up to its `#end`.
    fn body(
        &mut self,
        cursor: &mut Cursor<'_>,
        place: Place,
        name: &str,
    ) -> Result<Block, TemplateError> {
        match self.block(cursor)? {
            (block, Ending::End(_)) => Ok(block),
            (_, Ending::Text) => Err(unclosed(place, name)),
            (_, Ending::Else(place) | Ending::ElseIf(place)) => Err(super::cursor::syntax(
                place,
                format!("an alternative inside {name}, which has none"),
                "write #end for the inner #if first",
            )),
        }
    }

    fn if_(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Result<Node, TemplateError> {
        let mut arms = Vec::new();
        let mut otherwise = Block::default();
        loop {
            if !opens(cursor) {
                return Err(cursor.fail(
                    format!("`(` belongs before {}", shown(*cursor)),
                    "write #if(condition), or \\#if for plain text",
                ));
            }
            let condition = self.expression(cursor)?;
            close(cursor)?;
            let (block, ending) = self.block(cursor)?;
            arms.push((condition, block));
            match ending {
                Ending::ElseIf(_) => {}
                Ending::Else(_) => {
                    otherwise = self.body(cursor, place, "#else")?;
                    break;
                }
                Ending::End(_) => break,
                Ending::Text => return Err(unclosed(place, "#if")),
            }
        }
        Ok(Node::If { arms, otherwise })
    }

    fn set(&mut self, cursor: &mut Cursor<'_>) -> Result<Node, TemplateError> {
        cursor.skip_blank();
        let target = self.reference(cursor, 0)?;
        let Some(target) = target else {
            return Err(cursor.fail(
                format!("a reference belongs before {}", shown(*cursor)),
                "write #set($name = value)",
            ));
        };
        cursor.skip_blank();
        if cursor.rest().starts_with("==") || !cursor.eat("=") {
            return Err(cursor.fail(
                format!("`=` belongs before {}", shown(*cursor)),
                "write #set($name = value)",
            ));
        }
        let value = self.expression(cursor)?;
        close(cursor)?;
        Ok(Node::Set { target, value })
    }

    fn foreach(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Result<Node, TemplateError> {
        let variable = variable(cursor)?;
        cursor.skip_blank();
        let mut ahead = *cursor;
        if ahead.take_while(is_word) != "in" {
            return Err(cursor.fail(
                format!("`in` belongs before {}", shown(*cursor)),
                "write #foreach($item in $list)",
            ));
        }
        *cursor = ahead;
        let over = self.expression(cursor)?;
        close(cursor)?;
        let body = self.body(cursor, place, "#foreach")?;
        Ok(Node::Foreach(Foreach { variable, over, body, place }))
    }

    fn define(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Result<Node, TemplateError> {
        let name = variable(cursor)?;
        cursor.skip_blank();
        close(cursor)?;
        let body = self.body(cursor, place, "#define")?;
        Ok(Node::Define { name, body })
    }

    /// Choice: a macro that is defined twice is what its last definition says.
    fn macro_(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Result<(), TemplateError> {
        cursor.skip_blank();
        let name: Arc<str> = Arc::from(cursor.take_while(is_word));
        if name.is_empty() {
            return Err(cursor.fail("a macro needs a name", "write #macro(name $parameter)"));
        }
        let mut parameters = Vec::new();
        loop {
            cursor.take_while(|c| c.is_ascii_whitespace() || c == ',');
            if cursor.peek() != Some('$') {
                break;
            }
            parameters.push(variable(cursor)?);
        }
        close(cursor)?;
        let body = self.body(cursor, place, "#macro")?;
        self.macros.insert(name, Arc::new(Macro { parameters, body }));
        Ok(())
    }

    fn call(
        &mut self,
        name: &str,
        start: Cursor<'_>,
        cursor: &mut Cursor<'_>,
    ) -> Result<Call, TemplateError> {
        let mut arguments = Vec::new();
        loop {
            cursor.take_while(|c| c.is_ascii_whitespace() || c == ',');
            if cursor.eat(")") {
                break;
            }
            let before = *cursor;
            // Arguments are separated by spaces, so an operator cannot follow one.
            let value = self.nested(before.place(), |parser| parser.primary(cursor))?;
            let literal = Arc::from(cursor.since(&before).trim_end());
            arguments.push(Argument { value, literal });
        }
        let literal = Arc::from(cursor.since(&start));
        cursor.eat_line_end();
        let name = Arc::from(name);
        Ok(Call { name, arguments, body: None, literal, place: start.place() })
    }
}

/// `$name`, as a parameter or the variable of a loop.
fn variable(cursor: &mut Cursor<'_>) -> Result<Arc<str>, TemplateError> {
    cursor.skip_blank();
    let start = *cursor;
    cursor.eat("$");
    cursor.eat("!");
    let formal = cursor.eat("{");
    let name = identifier(cursor);
    if name.is_empty() || (formal && !cursor.eat("}")) {
        let found = format!("a variable belongs before {}", shown(start));
        return Err(start.fail(found, "write a $ and a name"));
    }
    Ok(Arc::from(name))
}

/// `#break`, or `#break($foreach.parent)` and the like.
fn break_target(cursor: &mut Cursor<'_>) -> Result<Target, TemplateError> {
    let mut ahead = *cursor;
    if !ahead.eat("(") {
        return Ok(Target::Innermost);
    }
    ahead.skip_blank();
    let start = ahead;
    let name = ahead.take_while(|c| c == '$' || c == '.' || c.is_ascii_alphanumeric());
    let outer = name.strip_prefix("$foreach").map(|rest| (rest.matches(".parent").count(), rest));
    let target = match (name, outer) {
        (_, Some((parents, rest))) if rest.len() == parents * ".parent".len() => {
            Target::Loop(parents)
        }
        ("$macro", _) => Target::Macro,
        ("$define", _) => Target::Define,
        ("$evaluate", _) => Target::Evaluate,
        ("$template", _) => Target::Template,
        _ => {
            let found = format!("#break cannot leave {}", shown(start));
            return Err(start.fail(found, "name a scope, such as $foreach or $foreach.parent"));
        }
    };
    ahead.skip_blank();
    close(&mut ahead)?;
    *cursor = ahead;
    Ok(target)
}

/// Over the white space before a `(` and over it; stays when there is none.
fn opens(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    ahead.skip_blank();
    let found = ahead.eat("(");
    if found {
        *cursor = ahead;
    }
    found
}

/// Over the `)` of a directive and the end of its line.
fn close(cursor: &mut Cursor<'_>) -> Result<(), TemplateError> {
    if !cursor.eat(")") {
        return Err(cursor.fail(
            format!("`)` belongs before {}", shown(*cursor)),
            "close the directive, or put an operator between the values",
        ));
    }
    cursor.eat_line_end();
    Ok(())
}

fn closed<'a>(
    cursor: &mut Cursor<'a>,
    end: &str,
    start: &Cursor<'_>,
    found: &str,
) -> Result<&'a str, TemplateError> {
    let Some(length) = cursor.rest().find(end) else {
        return Err(start.fail(found, format!("close it with {end}")));
    };
    let inside = cursor.take(length);
    cursor.eat(end);
    Ok(inside)
}

fn unclosed(place: Place, name: &str) -> TemplateError {
    super::cursor::syntax(place, format!("this {name} is not closed"), "write #end after it")
}
