//! Text to tree. One pass, and one look ahead for the names of macros, which may be called before they are defined.
//!
//! Source: the grammar of Apache Velocity 1.7 and its VTL reference. White space is kept as Velocity 1.7 keeps it:
//!
//! - the end of a line is dropped after the `)` of a directive, after `#else` and after `#end`, together with the
//!   spaces and tabs before it;
//! - a `##` comment is dropped with the end of its line; a `#* *#` comment leaves the line's end;
//! - spaces and tabs before `#set` are dropped when nothing but they lie between it and a reference, directive or
//!   comment before; before every other directive they are kept.

mod cursor;
mod directive;
mod expression;
mod reference;

use std::collections::HashSet;
use std::sync::Arc;

use crate::ast::{Block, Macros, Node};
use crate::error::{Place, Problem, TemplateError};
use crate::limits;
use cursor::Cursor;

/// Parses a template that starts at `place` and may call the macros of the template around it.
pub(crate) fn template(
    text: &str,
    place: Place,
    outer: &Macros,
) -> Result<(Block, Macros), TemplateError> {
    if text.len() > limits::TEMPLATE_BYTES_MAX {
        let problem = Problem::Limit { limit: "template bytes", max: limits::TEMPLATE_BYTES_MAX };
        return Err(TemplateError { place, problem });
    }
    let mut names = declared_macros(text);
    names.extend(outer.keys().map(AsRef::as_ref));
    let mut parser = Parser { names, macros: Macros::new(), depth: 0 };
    let mut cursor = Cursor::new(text, place);
    let (block, end) = parser.block(&mut cursor)?;
    match end {
        Ending::Text => Ok((block, parser.macros)),
        Ending::End(place) | Ending::Else(place) | Ending::ElseIf(place) => {
            let (found, remedy) = ("this closes nothing", "open an #if or #foreach before it");
            Err(cursor::syntax(place, found, format!("{remedy}, or write \\# for a plain #")))
        }
    }
}

/// The words after each `#macro(`.
fn declared_macros(text: &str) -> HashSet<&str> {
    let pieces = text.split("#macro").skip(1).chain(text.split("#{macro}").skip(1));
    let word = |piece: &'_ str| -> Option<(usize, usize)> {
        let open = piece.trim_start().strip_prefix('(')?.trim_start();
        let start = piece.len() - open.len();
        let length = open.find(|c| !is_word(c)).unwrap_or(open.len());
        Some((start, start + length))
    };
    pieces.filter_map(|piece| word(piece).and_then(|(from, to)| piece.get(from..to))).collect()
}

struct Parser<'a> {
    names: HashSet<&'a str>,
    macros: Macros,
    depth: usize,
}

/// What ended a block.
enum Ending {
    Text,
    End(Place),
    Else(Place),
    ElseIf(Place),
}

impl Parser<'_> {
    /// Runs one level deeper.
    fn nested<T>(
        &mut self,
        place: Place,
        work: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth >= limits::NESTING_MAX {
            let problem = Problem::Limit { limit: "nesting", max: limits::NESTING_MAX };
            return Err(TemplateError { place, problem });
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Reads up to the directive that ends this block, and over it.
    fn block(&mut self, cursor: &mut Cursor<'_>) -> Result<(Block, Ending), TemplateError> {
        let mut pieces = Pieces::default();
        loop {
            let plain = cursor.take_while(|c| !matches!(c, '$' | '#' | '\\'));
            pieces.run(plain);
            let ending = match cursor.peek() {
                None => Some(Ending::Text),
                Some('\\') => self.escape(cursor, &mut pieces)?,
                Some('$') => {
                    self.dollar(cursor, &mut pieces, 0)?;
                    None
                }
                Some(_) => self.hash(cursor, &mut pieces)?,
            };
            if let Some(ending) = ending {
                return Ok((pieces.finish(), ending));
            }
        }
    }

    fn dollar(
        &mut self,
        cursor: &mut Cursor<'_>,
        pieces: &mut Pieces,
        escapes: usize,
    ) -> Result<(), TemplateError> {
        if let Some(reference) = self.reference(cursor, escapes)? {
            pieces.push(Node::Reference(reference));
        } else {
            pieces.text(&"\\".repeat(escapes));
            pieces.text(cursor.take(1));
        }
        Ok(())
    }

    /// Backslashes: before a reference or a directive they escape it, elsewhere they are text.
    fn escape(
        &mut self,
        cursor: &mut Cursor<'_>,
        pieces: &mut Pieces,
    ) -> Result<Option<Ending>, TemplateError> {
        let slashes = cursor.take_while(|c| c == '\\');
        match cursor.peek() {
            Some('$') => self.dollar(cursor, pieces, slashes.len())?,
            Some('#') if self.is_directive(*cursor) => {
                pieces.text(&"\\".repeat(slashes.len() / 2));
                if slashes.len().is_multiple_of(2) {
                    return self.hash(cursor, pieces);
                }
                let start = *cursor;
                cursor.take(1);
                directive::word(cursor);
                pieces.text(cursor.since(&start));
            }
            _ => pieces.text(slashes),
        }
        Ok(None)
    }
}

/// The nodes of a block while it is read.
#[derive(Default)]
struct Pieces {
    nodes: Vec<Node>,
    text: String,
    /// Where in `text` the current run of plain text began: after the last thing that was not plain.
    run: usize,
}

impl Pieces {
    /// A run of plain text.
    fn run(&mut self, plain: &str) {
        self.run = self.text.len();
        self.text.push_str(plain);
    }

    fn text(&mut self, text: &str) {
        self.text.push_str(text);
        self.run = self.text.len();
    }

    fn push(&mut self, node: Node) {
        self.flush();
        self.nodes.push(node);
    }

    /// Spaces and tabs before `#set`.
    fn drop_indentation(&mut self) {
        let blank = |text: &str| text.bytes().all(|byte| byte == b' ' || byte == b'\t');
        if self.text.get(self.run..).is_some_and(blank) {
            self.text.truncate(self.run);
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.nodes.push(Node::Text(Arc::from(std::mem::take(&mut self.text))));
        }
        self.run = 0;
    }

    fn finish(mut self) -> Block {
        self.flush();
        self.nodes.into()
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '@'
}
