//! What the service takes at most.

/// The largest template, in bytes. Source: CloudFormation quotas, "Template body size" (1 MB in an S3 object).
///
/// Differs: a template in the request itself may be as large; CloudFormation takes 51,200 bytes there.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 1024 * 1024;

/// Stacks of all accounts that are there. Source: CloudFormation quotas, "Stacks" (2000 in a region).
pub(crate) const STACKS_MAX: usize = 2000;

/// Stacks that are gone and still remembered. Choice: CloudFormation remembers them for 90 days.
pub(crate) const DELETED_MAX: usize = 200;

/// Events that are remembered of a stack. Choice: those of some deployments of the largest stack.
pub(crate) const EVENTS_MAX: usize = 4000;

/// Change sets of one stack. Choice: tools have one or two at a time.
pub(crate) const CHANGE_SETS_MAX: usize = 50;

/// Parameters of a template. Source: CloudFormation quotas, "Parameters".
pub(crate) const PARAMETERS_MAX: usize = 200;

/// The longest value of a parameter, in bytes. Source: CloudFormation quotas, "Parameter value".
pub(crate) const PARAMETER_BYTES_MAX: usize = 4096;

/// Tags of a stack. Source: CloudFormation API reference, `CreateStack`, `Tags`.
pub(crate) const TAGS_MAX: usize = 50;

/// The longest stack name. Source: CloudFormation API reference, `CreateStack`, `StackName`.
pub(crate) const NAME_CHARS_MAX: usize = 128;

/// What one page of a list holds. Source: CloudFormation API reference (pages of 100; events in pages of 1 MB).
pub(crate) const PAGE: usize = 100;
