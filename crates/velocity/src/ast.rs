//! A template after parsing. Chains are flat, so that depth is nesting and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Place;

/// A piece of a template that is rendered as one.
pub(crate) type Block = Arc<[Node]>;

/// The macros that a template knows, by name.
pub(crate) type Macros = HashMap<Arc<str>, Arc<Macro>>;

#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) parameters: Vec<Arc<str>>,
    pub(crate) body: Block,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Arc<str>),
    Reference(Reference),
    Set { target: Reference, value: Expression },
    If { arms: Vec<(Expression, Block)>, otherwise: Block },
    Foreach(Foreach),
    Break(Target),
    Stop,
    Define { name: Arc<str>, body: Block },
    Evaluate { text: Expression, place: Place },
    Call(Call),
}

#[derive(Debug)]
pub(crate) struct Foreach {
    pub(crate) variable: Arc<str>,
    pub(crate) over: Expression,
    pub(crate) body: Block,
    pub(crate) place: Place,
}

/// A call of a macro; `body` is what a block call (`#@name() … #end`) hands over.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: Arc<str>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) body: Option<Block>,
    pub(crate) literal: Arc<str>,
    pub(crate) place: Place,
}

/// An argument and its text, which an undefined parameter prints.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) value: Expression,
    pub(crate) literal: Arc<str>,
}

/// What `#break` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The innermost scope, whatever it is.
    Innermost,
    /// A loop: the innermost, or so many outside of it.
    Loop(usize),
    Macro,
    Define,
    Evaluate,
    Template,
}

#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) name: Arc<str>,
    pub(crate) steps: Vec<Step>,
    /// `$!`: prints nothing when undefined.
    pub(crate) quiet: bool,
    /// As the author wrote it, from its `$` on.
    pub(crate) literal: Arc<str>,
    /// How many backslashes stand before it.
    pub(crate) escapes: usize,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) enum Step {
    Property(Arc<str>),
    Method(Arc<str>, Vec<Expression>),
    Index(Expression),
}

#[derive(Debug)]
pub(crate) enum Expression {
    Null,
    Boolean(bool),
    Integer(i64),
    Decimal(f64),
    Text(Arc<str>),
    /// A string in double quotes that has references or directives.
    Interpolated(Block),
    Reference(Box<Reference>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Range(Box<(Self, Self)>),
    Not(Box<Self>),
    /// Operators of one precedence, applied from left to right.
    Chain(Box<Chain>),
}

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) first: Expression,
    pub(crate) rest: Vec<(Operator, Expression)>,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}
