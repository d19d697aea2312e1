//! Mapping templates (VTL) as API Gateway evaluates them, and `JSONPath` as it means it.
//!
//! A [`Template`] is parsed once and evaluated for many messages, each with an [`Input`] that answers what the template
//! asks and is not asked more. Nothing here does I/O, and every bound is in [`limits`].
//!
//! ```
//! use stillwire_velocity::{Message, Template};
//!
//! let template = Template::parse(r#"{"to":"$context.connectionId","text":$input.json('$.text')}"#)?;
//! let input = Message::new(r#"{"text":"hi"}"#).with_context("connectionId", "Qm3vTdYxIAMCE4w=");
//! assert_eq!(template.evaluate(&input)?.text, r#"{"to":"Qm3vTdYxIAMCE4w=","text":"hi"}"#);
//! # Ok::<(), stillwire_velocity::TemplateError>(())
//! ```
//!
//! | file | what |
//! |---|---|
//! | `parse/` | text to tree: directives, references, expressions |
//! | `evaluate/` | tree and input to text |
//! | `methods/` | the Java methods that templates call |
//! | `builtins.rs` | `$input`, `$util`, `$context`, `$stageVariables` |
//! | `json_path/` | `JSONPath` (Jayway's dialect) over JSON values |
//!
//! Source: Apache Velocity 1.7, "VTL Reference"; API Gateway Developer Guide, "mapping template reference".

mod ast;
mod builtins;
mod error;
mod evaluate;
mod input;
mod json_path;
pub mod limits;
mod message;
mod methods;
mod parse;
mod pattern;
mod print;
mod value;

pub use error::{Place, Problem, TemplateError};
pub use input::{ContextValue, Input, ParamPlace, Rendered};
pub use json_path::{InvalidPath, JsonPath, Selection};
pub use message::Message;

use ast::{Block, Macros};

/// A parsed mapping template. Tasks share it.
#[derive(Debug)]
pub struct Template {
    block: Block,
    macros: Macros,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is not VTL, is larger or deeper than [`limits`] allow, or needs a file (`#include`, `#parse`). The error
    /// says where, and what to do.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (block, macros) = parse::template(text, Place { line: 1, column: 1 }, &Macros::new())?;
        Ok(Self { block, macros })
    }

    /// Renders it.
    ///
    /// # Errors
    /// When a method fails as it would throw in Java, or a limit is reached. The error says where and what was
    /// attempted.
    pub fn evaluate(&self, input: &dyn Input) -> Result<Rendered, TemplateError> {
        evaluate::run(&self.block, &self.macros, input)
    }
}

/// A template is evaluated by many tasks at once.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Template>();
};
