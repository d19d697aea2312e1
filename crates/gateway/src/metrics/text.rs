//! The metrics as text, in the exposition format of Prometheus.
//!
//! Source: Prometheus, "Exposition formats", text format 0.0.4.

use std::fmt::Write as _;
use std::sync::Arc;

use super::counters::{BUCKETS, Counter, Histogram};
use super::{ApiMetrics, DISCONNECTS, OPERATIONS, OUTCOMES, Requests, StageMetrics};

/// One set of counters with its labels.
type Series<T> = Vec<(String, Arc<T>)>;

/// All metrics of these APIs.
pub(crate) fn text<'a>(apis: impl Iterator<Item = (&'a str, &'a ApiMetrics)>) -> String {
    let stages: Series<StageMetrics> =
        apis.flat_map(|(api, metrics)| of_api(api, metrics)).collect();
    let mut page = Page(String::new());
    page.requests(&stages);
    page.stages(&stages);
    page.0
}

fn of_api(api: &str, metrics: &ApiMetrics) -> impl Iterator<Item = (String, Arc<StageMetrics>)> {
    let api = escaped(api);
    let labelled = move |stage: &str| format!("api_id=\"{api}\",stage=\"{}\"", escaped(stage));
    metrics.stages().into_iter().map(move |(name, stage)| (labelled(name.as_str()), stage))
}

/// A metric: its name, what it is, and which counter it shows.
type Metric = (&'static str, &'static str, fn(&Requests) -> &Counter);

const METRICS: [Metric; 4] = [
    ("connect_count", "Calls of the $connect route's integration.", |requests| &requests.connects),
    ("client_error", "Requests refused before their integration was called.", |requests| {
        &requests.client_errors
    }),
    ("integration_error", "Requests that their integration answered with an error.", |requests| {
        &requests.integration_errors
    }),
    ("execution_error", "Requests whose integration could not be called.", |requests| {
        &requests.execution_errors
    }),
];

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let name = format!("stillwire_apigateway_{name}");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        writeln!(self.0, "{line}").ok();
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        self.line(format_args!("stillwire_apigateway_{name}{{{labels}}} {value}"));
    }

    /// What is counted for stages, and for routes.
    fn requests(&mut self, stages: &Series<StageMetrics>) {
        let routes: Series<Requests> = stages.iter().flat_map(of_routes).collect();
        let all = || {
            let rest = stages.iter().map(|(labels, stage)| (labels, &stage.rest));
            rest.chain(routes.iter().map(|(labels, requests)| (labels, &**requests)))
        };
        for (name, help, counter) in METRICS {
            let name = format!("{name}_total");
            self.head(&name, "counter", help);
            for (labels, requests) in all() {
                self.sample(&name, labels, counter(requests).get());
            }
        }
        let name = "message_count_total";
        self.head(name, "counter", "Messages from clients (in) and to clients (out).");
        for (labels, requests) in all() {
            for (direction, counter) in [("in", &requests.received), ("out", &requests.sent)] {
                self.sample(name, &format!("{labels},direction=\"{direction}\""), counter.get());
            }
        }
        let help = "How long calls of integrations took, in seconds.";
        self.head("integration_latency_seconds", "histogram", help);
        for (labels, requests) in all() {
            self.histogram(labels, &requests.integration_latency);
        }
    }

    fn histogram(&mut self, labels: &str, histogram: &Histogram) {
        let name = "integration_latency_seconds";
        let cumulative = histogram.cumulative();
        let bounds = BUCKETS.iter().map(|(bound, _)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(cumulative) {
            self.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), count);
        }
        let (seconds, rest) = (histogram.micros() / 1_000_000, histogram.micros() % 1_000_000);
        self.line(format_args!("stillwire_apigateway_{name}_sum{{{labels}}} {seconds}.{rest:06}"));
        let count = cumulative.last().copied().unwrap_or_default();
        self.sample(&format!("{name}_count"), labels, count);
    }

    /// What is counted for stages only.
    fn stages(&mut self, stages: &Series<StageMetrics>) {
        self.head("connections", "gauge", "Clients that are connected.");
        for (labels, stage) in stages {
            self.sample("connections", labels, stage.connections.get());
        }
        let name = "disconnects_total";
        self.head(name, "counter", "Clients that have left, by disconnectStatusCode.");
        for (labels, stage) in stages {
            for (code, counter) in DISCONNECTS.iter().zip(&stage.disconnects) {
                // Most codes never come.
                if counter.get() > 0 {
                    self.sample(name, &format!("{labels},status_code=\"{code}\""), counter.get());
                }
            }
        }
        let name = "management_requests_total";
        self.head(name, "counter", "Requests to @connections, by operation and outcome.");
        for (labels, stage) in stages {
            for ((_, operation), outcomes) in OPERATIONS.iter().zip(&stage.management) {
                for ((_, outcome), counter) in OUTCOMES.iter().zip(outcomes) {
                    let labels =
                        format!("{labels},operation=\"{operation}\",outcome=\"{outcome}\"");
                    self.sample(name, &labels, counter.get());
                }
            }
        }
    }
}

/// The routes of a stage that have counters of their own.
fn of_routes((labels, stage): &(String, Arc<StageMetrics>)) -> Series<Requests> {
    let routes = stage.routes.load();
    let counted = routes.iter().flat_map(|routes| routes.counted.iter().flatten());
    let labelled = |key: &str| format!("{labels},route=\"{}\"", escaped(key));
    counted.map(|(key, requests)| (labelled(key.as_str()), Arc::clone(requests))).collect()
}

/// A text as the value of a label.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use stillwire_model::{Api, ApiId, Route, RouteKey, SelectionExpression, Stage, StageName};

    use super::*;

    #[test]
    fn every_metric_has_a_head_and_its_samples() {
        let expression = SelectionExpression::parse("$request.body.action").unwrap();
        let key = RouteKey::parse("say \"hi\"\n").unwrap();
        let api = Api::new(ApiId::parse("abc").unwrap(), expression);
        let mut api = api.with_routes([Route::new(key, None)]).unwrap();
        let mut stage = Stage::new(StageName::parse("dev").unwrap());
        stage.default_settings.detailed_metrics = true;
        api.stages.insert(stage.name.clone(), stage);
        let (api, metrics) = (Arc::new(api), ApiMetrics::default());
        metrics.deploy(&api);
        let stage = metrics.stage(&StageName::parse("dev").unwrap());
        let route = Arc::clone(api.routes().next().unwrap());
        stage.received(&api, Some(&route));
        stage.entered();
        stage.managed("POST", 410);
        let page = text([("abc", &metrics)].into_iter());
        let labels = "api_id=\"abc\",stage=\"dev\"";
        for line in [
            "# TYPE stillwire_apigateway_message_count_total counter".to_owned(),
            format!("stillwire_apigateway_connect_count_total{{{labels}}} 0"),
            format!(
                "stillwire_apigateway_message_count_total{{{labels},route=\"say \\\"hi\\\"\\n\",direction=\"in\"}} 1"
            ),
            format!(
                "stillwire_apigateway_integration_latency_seconds_bucket{{{labels},le=\"+Inf\"}} 0"
            ),
            format!("stillwire_apigateway_integration_latency_seconds_sum{{{labels}}} 0.000000"),
            format!("stillwire_apigateway_connections{{{labels}}} 1"),
            format!(
                "stillwire_apigateway_management_requests_total{{{labels},operation=\"post\",outcome=\"gone\"}} 1"
            ),
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\n{page}");
        }
        // A family has one head, and its samples follow it.
        let heads: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(heads.len(), 9);
    }
}
