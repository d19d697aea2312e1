//! What bounds a schema and a validation.

/// The largest schema, in bytes.
///
/// Source: API Gateway v2 model, `Model.schema` (32,768).
pub const SCHEMA_BYTES_MAX: usize = 32 * 1024;

/// How many schemas there may be in one model, with all models that it refers to.
///
/// Choice: bounds the memory of a model; a schema of 32 KB has fewer.
pub const SCHEMAS_MAX: usize = 16_384;

/// The longest regular expression, in bytes.
///
/// Choice: bounds the work per character.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// How deep a validation may go, through values and references.
///
/// Choice: deeper than JSON is read (128); a reference that leads to itself ends here.
pub const DEPTH_MAX: usize = 192;

/// How much work one validation may be: a step is a schema applied to a value, or 32 bytes looked through.
///
/// Choice: tens of milliseconds. Schemas that refer to each other twice can ask for work without end.
pub const STEPS_MAX: usize = 500_000;

/// How many problems are told.
///
/// Choice: enough to see what is wrong; a client decides how many there are.
pub const PROBLEMS_MAX: usize = 16;
