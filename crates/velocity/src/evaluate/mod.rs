//! Tree and input to text: directives and scopes.

mod expression;
mod reference;

pub(crate) use reference::{element, out_of_bounds};

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::ast::{Block, Call, Foreach, Macros, Node, Target};
use crate::error::{Fault, Place, Problem, TemplateError};
use crate::input::{Input, Rendered};
use crate::limits;
use crate::parse;
use crate::value::{Content, Heap, Value};

/// Renders a template.
pub(crate) fn run(
    block: &[Node],
    macros: &Macros,
    input: &dyn Input,
) -> Result<Rendered, TemplateError> {
    let mut evaluator = Evaluator {
        input,
        macros: Cow::Borrowed(macros),
        heap: Heap::new(),
        out: String::new(),
        variables: HashMap::new(),
        frames: Vec::new(),
        loops: Vec::new(),
        body: None,
        imported: HashMap::new(),
        overrides: Vec::new(),
        stopped: false,
        place: Place { line: 1, column: 1 },
        depth: 0,
        calls: 0,
    };
    evaluator.block(block)?;
    Ok(Rendered { text: evaluator.out, overrides: evaluator.overrides })
}

/// One evaluation of a template.
pub(crate) struct Evaluator<'t> {
    pub(crate) input: &'t dyn Input,
    macros: Cow<'t, Macros>,
    pub(crate) heap: Heap,
    out: String,
    variables: HashMap<Arc<str>, Value>,
    /// The parameters of the macros that run, the innermost last.
    frames: Vec<Vec<Parameter>>,
    loops: Vec<LoopState>,
    /// The body as JSON, once a template asked.
    pub(crate) body: Option<Arc<Json>>,
    /// Values of parts of the body by their address in `body`, so that each is made once and shared.
    pub(crate) imported: HashMap<usize, Value>,
    pub(crate) overrides: Vec<(String, String)>,
    stopped: bool,
    /// The last place that was passed, for what has none of its own.
    place: Place,
    depth: usize,
    calls: usize,
}

struct Parameter {
    name: Arc<str>,
    value: Value,
    /// The text of the argument, which an undefined parameter prints.
    literal: Arc<str>,
}

#[derive(Debug, Clone, Copy)]
struct LoopState {
    index: usize,
    length: usize,
}

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break(Target),
    Stop,
}

impl Evaluator<'_> {
    /// Runs one level deeper.
    fn deeper<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, Fault> {
        if self.depth >= limits::EVALUATION_DEPTH_MAX {
            return Err(Fault::Limit("depth of the evaluation", limits::EVALUATION_DEPTH_MAX));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result.map_err(Fault::from)
    }

    fn block(&mut self, nodes: &[Node]) -> Result<Flow, TemplateError> {
        for node in nodes {
            if self.stopped {
                return Ok(Flow::Stop);
            }
            let flow = self.node(node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.write(text).map_err(|fault| self.placed(fault))?,
            Node::Reference(reference) => self.print_reference(reference)?,
            Node::Set { target, value } => {
                self.place = target.place;
                let value = self.expression(value)?;
                self.assign(target, value)?;
            }
            Node::If { arms, otherwise } => return self.if_(arms, otherwise),
            Node::Foreach(foreach) => return self.foreach(foreach),
            Node::Break(target) => return Ok(Flow::Break(*target)),
            Node::Stop => {
                self.stopped = true;
                return Ok(Flow::Stop);
            }
            Node::Define { name, body } => {
                self.bind(name, Value::Block(Arc::clone(body)));
            }
            Node::Evaluate { text, place } => {
                let text = self.expression(text)?;
                return self.evaluate_text(&text, *place);
            }
            Node::Call(call) => return self.call_macro(call),
        }
        Ok(Flow::On)
    }

    fn if_(
        &mut self,
        arms: &[(crate::ast::Expression, Block)],
        otherwise: &Block,
    ) -> Result<Flow, TemplateError> {
        for (condition, block) in arms {
            if self.expression(condition)?.is_true() {
                return self.inner(block);
            }
        }
        self.inner(otherwise)
    }

    /// A block inside a directive.
    fn inner(&mut self, block: &[Node]) -> Result<Flow, TemplateError> {
        self.deeper(|evaluator| evaluator.block(block)).map_err(|fault| self.placed(fault))
    }

    /// Goes over a list, or the values of a map. What is neither has nothing to go over.
    fn foreach(&mut self, foreach: &Foreach) -> Result<Flow, TemplateError> {
        let over = self.expression(&foreach.over)?;
        self.place = foreach.place;
        let failed = |fault: Fault| fault.at(foreach.place, "#foreach");
        let items = self.items(&over).map_err(failed)?;
        let mut before = None;
        self.loops.push(LoopState { index: 0, length: items.len() });
        let mut flow = Flow::On;
        for (index, item) in items.into_iter().enumerate() {
            if index >= limits::LOOP_ITERATIONS_MAX {
                let fault = Fault::Limit("#foreach iterations", limits::LOOP_ITERATIONS_MAX);
                return Err(failed(fault));
            }
            self.heap.spend(1).map_err(failed)?;
            if let Some(state) = self.loops.last_mut() {
                state.index = index;
            }
            let bound = self.bind(&foreach.variable, item);
            before.get_or_insert(bound);
            flow = self.inner(&foreach.body)?;
            if flow != Flow::On {
                break;
            }
        }
        self.loops.pop();
        if let Some(before) = before {
            self.bind(&foreach.variable, before);
        }
        Ok(match flow {
            Flow::Break(Target::Innermost | Target::Loop(0)) => Flow::On,
            Flow::Break(Target::Loop(outer)) => Flow::Break(Target::Loop(outer - 1)),
            other => other,
        })
    }

    fn items(&mut self, over: &Value) -> Result<Vec<Value>, Fault> {
        let over = self.materialised(over)?;
        let Value::Cell(cell) = over else { return Ok(Vec::new()) };
        let items: Vec<Value> = match self.heap.get(cell) {
            Some(Content::List { items, .. }) => items.clone(),
            Some(Content::Map(entries)) => entries.values().cloned().collect(),
            Some(Content::Entry(..)) | None => Vec::new(),
        };
        self.heap.spend(items.len())?;
        Ok(items)
    }

    /// Calls a macro.
    ///
    /// Choice: an argument is evaluated once, before the call; Velocity 1.7 evaluates it wherever its parameter
    /// appears. They differ when the argument has an effect, such as `$list.add(1)`.
    fn call_macro(&mut self, call: &Call) -> Result<Flow, TemplateError> {
        self.place = call.place;
        let Some(found) = self.macros.get(&call.name).map(Arc::clone) else {
            // Declared in text that is not evaluated, for instance in a comment: plain text, as in Velocity.
            self.write(&call.literal).map_err(|fault| self.placed(fault))?;
            return Ok(Flow::On);
        };
        let mut frame = Vec::with_capacity(found.parameters.len());
        for (position, name) in found.parameters.iter().enumerate() {
            let (value, literal) = match call.arguments.get(position) {
                Some(argument) => {
                    (self.expression(&argument.value)?, Arc::clone(&argument.literal))
                }
                None => (Value::Null, Arc::from(format!("${name}"))),
            };
            frame.push(Parameter { name: Arc::clone(name), value, literal });
        }
        if let Some(body) = &call.body {
            let (name, value) = (Arc::from("bodyContent"), Value::Block(Arc::clone(body)));
            frame.push(Parameter { name, value, literal: Arc::from("$bodyContent") });
        }
        self.frames.push(frame);
        let result = self.called(&found.body, Target::Macro);
        self.frames.pop();
        result.map_err(|fault| fault.at(call.place, &call.literal))
    }

    /// Runs a block that is called: a macro, a `#define`d block, an `#evaluate`d text.
    fn called(&mut self, block: &[Node], scope: Target) -> Result<Flow, Fault> {
        if self.calls >= limits::CALL_DEPTH_MAX {
            return Err(Fault::Limit("depth of calls", limits::CALL_DEPTH_MAX));
        }
        self.heap.spend(1)?;
        self.calls += 1;
        let flow = self.deeper(|evaluator| evaluator.block(block));
        self.calls -= 1;
        Ok(match flow? {
            Flow::Break(target) if target == Target::Innermost || target == scope => Flow::On,
            other => other,
        })
    }

    /// Renders a block aside. A `#break` does not leave it.
    pub(crate) fn rendered(&mut self, block: &[Node], scope: Target) -> Result<String, Fault> {
        let before = std::mem::take(&mut self.out);
        let result = self.called(block, scope);
        let text = std::mem::replace(&mut self.out, before);
        result.map(|_flow| text)
    }

    /// The text of a string in double quotes. No call: a `#break` in it ends it.
    fn interpolated(&mut self, block: &[Node]) -> Result<String, Fault> {
        let before = std::mem::take(&mut self.out);
        let result = self.deeper(|evaluator| evaluator.block(block));
        let text = std::mem::replace(&mut self.out, before);
        result.map(|_flow| text)
    }

    fn evaluate_text(&mut self, text: &Value, place: Place) -> Result<Flow, TemplateError> {
        let Value::Text(text) = text else { return Ok(Flow::On) };
        let failed = |fault: Fault| fault.at(place, "#evaluate");
        // Parsing is more work than copying.
        self.heap.spend(text.len()).map_err(failed)?;
        let (block, macros) = parse::template(text, place, &self.macros)?;
        if !macros.is_empty() {
            self.macros.to_mut().extend(macros);
        }
        self.called(&block, Target::Evaluate).map_err(failed)
    }

    /// Gives a name a value, and returns the one it had. A parameter of a macro stays the macro's own.
    fn bind(&mut self, name: &Arc<str>, value: Value) -> Value {
        let mut parameters = self.frames.iter_mut().rev().flatten();
        if let Some(parameter) = parameters.find(|parameter| parameter.name == *name) {
            return std::mem::replace(&mut parameter.value, value);
        }
        let before = if matches!(value, Value::Null) {
            self.variables.remove(name)
        } else {
            self.variables.insert(Arc::clone(name), value)
        };
        before.unwrap_or(Value::Null)
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        if self.out.len() + text.len() > limits::OUTPUT_BYTES_MAX {
            return Err(Fault::Limit("bytes of output", limits::OUTPUT_BYTES_MAX));
        }
        self.heap.spend_text(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    /// The error of what has no place of its own: text, blocks.
    fn placed(&self, fault: Fault) -> TemplateError {
        fault.at(self.place, "the template")
    }
}

impl Problem {
    /// Whether a bound was reached.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }
}
