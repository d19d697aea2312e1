//! What bounds a template and its evaluation. Each limit is checked where the work is done, and the error names it.

/// The largest template, in bytes.
///
/// Source: API Gateway quotas, "Mapping template size" (300 KB; not adjustable).
pub const TEMPLATE_BYTES_MAX: usize = 300 * 1024;

/// How deep directives, brackets and strings of a template may be nested.
///
/// Choice: neither API Gateway nor Velocity documents a limit; templates of people stay below ten, and the parser's own
/// stack is bounded by this.
pub const NESTING_MAX: usize = 48;

/// How often one `#foreach` may turn.
///
/// Source: API Gateway quotas, "#foreach iterations in mapping templates" (1,000). Choice: what lies beyond fails the
/// template; to leave it out silently would lose data.
pub const LOOP_ITERATIONS_MAX: usize = 1000;

/// How deep macros, `#define`d blocks and `#evaluate` may call each other.
///
/// Source: Velocity 1.7, `velocimacro.max.depth` (20).
pub const CALL_DEPTH_MAX: usize = 20;

/// How deep the evaluation of nested things may go in all, over all calls.
///
/// Choice: bounds the stack; [`NESTING_MAX`] times [`CALL_DEPTH_MAX`] would not fit a thread.
pub const EVALUATION_DEPTH_MAX: usize = 160;

/// How much work one evaluation may be: a step is a node of the template, a value made, or 32 bytes of text copied.
///
/// Choice: a tenth of a second or so; API Gateway ends an integration after 29 s.
pub const STEPS_MAX: usize = 600_000;

/// The longest output, and the longest single text, in bytes.
///
/// Choice: eight times the largest WebSocket message.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// How deep lists and maps may hold each other when they are printed or compared.
///
/// Choice: the depth at which the JSON reader stops, too.
pub const VALUE_DEPTH_MAX: usize = 128;

/// The longest regular expression, in bytes.
///
/// Choice: bounds the work per character of the text.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// The longest `JSONPath`, in bytes.
///
/// Choice: the same as for a selection expression.
pub const PATH_BYTES_MAX: usize = 1024;

/// How many values a `JSONPath` may look at.
///
/// Choice: the largest message has fewer values; a path that scans them again and again stops.
pub const PATH_VISITS_MAX: usize = 400_000;

const _: () = assert!(CALL_DEPTH_MAX < EVALUATION_DEPTH_MAX && NESTING_MAX < EVALUATION_DEPTH_MAX);
const _: () = assert!(TEMPLATE_BYTES_MAX <= OUTPUT_BYTES_MAX);
