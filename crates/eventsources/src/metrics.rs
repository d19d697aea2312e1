//! What is counted of event source mappings, as CloudWatch counts it for Lambda.
//!
//! Source: AWS Lambda Developer Guide, "Using CloudWatch metrics with Lambda", "Event source mapping metrics"; Prometheus,
//! "Exposition formats", text format 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one mapping.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events that were read.
    pub(crate) polled: Counter,
    /// Those that no filter wants.
    pub(crate) filtered_out: Counter,
    /// Those that a function was invoked with, each time.
    pub(crate) invoked: Counter,
    /// Those whose invocation failed, each time.
    pub(crate) failed: Counter,
    /// Those whose record went to the on-failure destination.
    pub(crate) delivered_on_failure: Counter,
    /// Those that were given up, and no record of them went anywhere.
    pub(crate) dropped: Counter,
    /// Those that were deleted from their queue.
    pub(crate) deleted: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A metric: its name, what it is, and which counter it shows.
type Metric = (&'static str, &'static str, fn(&Counters) -> &Counter);

const METRICS: [Metric; 7] = [
    ("polled_event_count", "Events that were read.", |of| &of.polled),
    ("filtered_out_event_count", "Events that no filter wants.", |of| &of.filtered_out),
    ("invoked_event_count", "Events that the function was invoked with.", |of| &of.invoked),
    ("failed_invoke_event_count", "Events whose invocation failed.", |of| &of.failed),
    (
        "on_failure_destination_delivered_event_count",
        "Events whose record went to the on-failure destination.",
        |of| &of.delivered_on_failure,
    ),
    ("dropped_event_count", "Events that were given up without a record.", |of| &of.dropped),
    ("deleted_event_count", "Messages that were deleted from their queue.", |of| &of.deleted),
];

/// The metrics of mappings, each with its id and the function it is for. Neither has a character that would need an escape.
pub(crate) fn text<'a>(
    mappings: impl Iterator<Item = (&'a str, String, &'a Counters)> + Clone,
) -> String {
    let mut page = String::new();
    for (name, help, counter) in METRICS {
        let name = format!("stillwire_lambda_event_source_{name}_total");
        // Writing to a text cannot fail.
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter").ok();
        for (id, function, counters) in mappings.clone() {
            let value = counter(counters).0.load(Ordering::Relaxed);
            let labels = format!("event_source_mapping_uuid=\"{id}\",function_name=\"{function}\"");
            writeln!(page, "{name}{{{labels}}} {value}").ok();
        }
    }
    page
}
