//! What is counted: for each stage, and for each route of a stage that asks for it (`DetailedMetricsEnabled`).
//!
//! Source: API Gateway Developer Guide, "Monitor WebSocket API execution with `CloudWatch` metrics". What is beyond those:
//! open connections, disconnects and requests to `@connections`, which the service does not count.
//!
//! Whoever counts has its stage's counters at hand, and finds a route's by the route's place in its API: there is no map
//! and no lock on the way of a message.

mod counters;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use stillwire_model::{Api, IntegrationTarget, Route, RouteKey, Stage, StageName};

use self::counters::{Counter, Gauge, Histogram};
pub(crate) use self::text::text;
use crate::context::Fate;
use crate::engine::Ending;
use crate::rescue::Fault;

/// The counters of an API's stages. They outlive its versions, and go with their stage.
#[derive(Debug, Default)]
pub(crate) struct ApiMetrics(Mutex<BTreeMap<StageName, Arc<StageMetrics>>>);

/// The counters of a stage.
#[derive(Debug, Default)]
pub(crate) struct StageMetrics {
    /// What belongs to no route that has counters of its own.
    rest: Requests,
    routes: ArcSwapOption<Routes>,
    connections: Gauge,
    disconnects: [Counter; DISCONNECTS.len()],
    management: [[Counter; OUTCOMES.len()]; OPERATIONS.len()],
}

/// The routes of a version of an API that have counters of their own, by their place in it.
#[derive(Debug)]
struct Routes {
    api: Arc<Api>,
    counted: Vec<Option<(RouteKey, Arc<Requests>)>>,
}

/// Counters of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    connects: Counter,
    received: Counter,
    sent: Counter,
    client_errors: Counter,
    integration_errors: Counter,
    execution_errors: Counter,
    integration_latency: Histogram,
}

/// `disconnectStatusCode`s that are counted apart; codes of applications share one place.
const DISCONNECTS: [&str; 17] = [
    "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011",
    "1012", "1013", "1014", "3xxx", "4xxx",
];

/// The operations of `@connections`, by their HTTP methods.
const OPERATIONS: [(&str, &str); 3] = [("POST", "post"), ("GET", "get"), ("DELETE", "delete")];

/// What an operation leads to: its status, or the rest.
const OUTCOMES: [(Option<u16>, &str); 4] =
    [(None, "ok"), (Some(410), "gone"), (Some(429), "limit_exceeded"), (Some(0), "refused")];

impl ApiMetrics {
    /// Counts the routes of another version from now on.
    pub(crate) fn deploy(&self, api: &Arc<Api>) {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stages.retain(|name, _| api.stages.contains_key(name));
        for name in api.stages.keys() {
            let version = api.at_stage(name);
            let metrics = stages.entry(name.clone()).or_default();
            metrics.deploy(version, version.stages.get(name));
        }
    }

    /// The counters of a stage.
    pub(crate) fn stage(&self, name: &StageName) -> Arc<StageMetrics> {
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stages.entry(name.clone()).or_default())
    }

    fn stages(&self) -> Vec<(StageName, Arc<StageMetrics>)> {
        let stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stages.iter().map(|(name, metrics)| (name.clone(), Arc::clone(metrics))).collect()
    }
}

impl StageMetrics {
    fn deploy(&self, api: &Arc<Api>, stage: Option<&Stage>) {
        let old = self.routes.load_full();
        let known = |key: &RouteKey| {
            let mut counted = old.iter().flat_map(|routes| routes.counted.iter().flatten());
            counted.find(|(other, _)| other == key).map(|(_, requests)| Arc::clone(requests))
        };
        let counted = api.routes().map(|route| {
            let key = &route.key;
            let detailed = stage.is_some_and(|stage| stage.settings(key).detailed_metrics);
            detailed.then(|| (key.clone(), known(key).unwrap_or_default()))
        });
        let routes = Routes { counted: counted.collect(), api: Arc::clone(api) };
        let any = routes.counted.iter().any(Option::is_some);
        self.routes.store(any.then(|| Arc::new(routes)));
    }

    /// Counts something of a request on a route, if it has one.
    fn count(&self, api: &Arc<Api>, route: Option<&Route>, count: impl FnOnce(&Requests)) {
        let routes = self.routes.load();
        let counted = routes.as_deref().filter(|routes| Arc::ptr_eq(&routes.api, api)).zip(route);
        // A message that a version serves which is being replaced counts for the stage alone.
        let counted = counted.and_then(|(routes, route)| routes.counted.get(route.place)?.as_ref());
        count(counted.map_or(&self.rest, |(_, requests)| requests));
    }

    /// A message came.
    pub(crate) fn received(&self, api: &Arc<Api>, route: Option<&Route>) {
        self.count(api, route, |requests| requests.received.add());
    }

    /// A message went to a client: an answer, or what went wrong.
    pub(crate) fn sent(&self, api: &Arc<Api>, route: Option<&Route>) {
        self.count(api, route, |requests| requests.sent.add());
    }

    /// A handshake, message or goodbye is over.
    pub(crate) fn over(&self, api: &Arc<Api>, route: Option<&Route>, fate: &Fate) {
        self.count(api, route, |requests| {
            match fate.fault() {
                Some(Fault::Client) => requests.client_errors.add(),
                Some(Fault::Integration) => requests.integration_errors.add(),
                Some(Fault::Execution) => requests.execution_errors.add(),
                None => {}
            }
            let Some(called) = &fate.integration else { return };
            if route.is_some_and(|route| route.key == RouteKey::Connect) {
                requests.connects.add();
            }
            if !route.is_some_and(is_mock) {
                requests.integration_latency.add(called.latency);
            }
        });
    }

    /// A client is connected.
    pub(crate) fn entered(&self) {
        self.connections.add();
    }

    /// A client is not connected any more.
    pub(crate) fn left(&self, ending: &Ending) {
        self.connections.take();
        let code = usize::from(ending.status_code);
        let place = match code {
            1000..=1014 => code - 1000,
            4000.. => DISCONNECTS.len() - 1,
            _ => DISCONNECTS.len() - 2,
        };
        if let Some(counter) = self.disconnects.get(place) {
            counter.add();
        }
    }

    /// A request to `@connections` was answered with this status.
    pub(crate) fn managed(&self, method: &str, status: u16) {
        let operation = OPERATIONS.iter().position(|(known, _)| *known == method);
        let outcome = match status {
            200..300 => Some(0),
            _ => OUTCOMES.iter().position(|(known, _)| *known == Some(status)),
        };
        let Some(outcomes) = operation.and_then(|place| self.management.get(place)) else { return };
        if let Some(counter) = outcomes.get(outcome.unwrap_or(OUTCOMES.len() - 1)) {
            counter.add();
        }
        if method == "POST" && status == 200 {
            self.rest.sent.add();
        }
    }
}

/// Source: as above: the latency does not count "callbacks and mock integrations".
fn is_mock(route: &Route) -> bool {
    let target = route.integration.as_deref().map(|integration| &integration.target);
    matches!(target, Some(IntegrationTarget::Mock))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stillwire_model::{ApiId, SelectionExpression};

    use super::*;
    use crate::context::IntegrationFate;
    use crate::rescue::Failure;

    fn api(keys: &[&str], detailed: bool) -> Arc<Api> {
        let expression = SelectionExpression::parse("$request.body.action").unwrap();
        let routes = keys.iter().map(|key| Route::new(RouteKey::parse(key).unwrap(), None));
        let api = Api::new(ApiId::parse("abc").unwrap(), expression);
        let mut api = api.with_routes(routes).unwrap();
        let mut stage = Stage::new(StageName::parse("dev").unwrap());
        stage.default_settings.detailed_metrics = detailed;
        api.stages.insert(stage.name.clone(), stage);
        Arc::new(api)
    }

    fn route(api: &Api, key: &str) -> Arc<Route> {
        Arc::clone(api.routes().find(|route| route.key.as_str() == key).unwrap())
    }

    /// Received messages: of the stage alone, and of single routes.
    fn received(stage: &StageMetrics) -> (u64, Vec<(String, u64)>) {
        let routes = stage.routes.load_full();
        let counted = routes.iter().flat_map(|routes| routes.counted.iter().flatten());
        let routes =
            counted.map(|(key, requests)| (key.to_string(), requests.received.get())).collect();
        (stage.rest.received.get(), routes)
    }

    #[test]
    fn routes_have_counters_of_their_own_where_the_stage_asks_for_them() {
        let metrics = ApiMetrics::default();
        let first = api(&["chat", "$default"], false);
        metrics.deploy(&first);
        let stage = metrics.stage(&StageName::parse("dev").unwrap());
        stage.received(&first, Some(&route(&first, "chat")));
        assert_eq!(received(&stage), (1, vec![]));

        let second = api(&["chat", "$default"], true);
        metrics.deploy(&second);
        stage.received(&second, Some(&route(&second, "chat")));
        stage.received(&second, None);
        stage.received(&first, Some(&route(&first, "chat"))); // of a version that is gone
        let of = |key: &str, count| (key.to_owned(), count);
        assert_eq!(received(&stage), (3, vec![of("$default", 0), of("chat", 1)]));

        // Another place in another version, and the same counters.
        let third = api(&["chat", "after", "$default"], true);
        metrics.deploy(&third);
        stage.received(&third, Some(&route(&third, "chat")));
        assert_eq!(received(&stage), (3, vec![of("$default", 0), of("after", 0), of("chat", 2)]));
        metrics.deploy(&Arc::new(Api::clone(&third)));
        assert_eq!(metrics.stages().len(), 1);
        let mut empty = Api::clone(&third);
        empty.stages.clear();
        metrics.deploy(&Arc::new(empty));
        assert_eq!(metrics.stages().len(), 0);
    }

    #[test]
    fn whose_fault_it_was_is_counted() {
        let (metrics, api) = (StageMetrics::default(), api(&["$connect"], false));
        let connect = route(&api, "$connect");
        let called = |status| {
            Some(IntegrationFate { latency: Duration::from_millis(3), status, request_id: None })
        };
        let over = |fate: Fate| metrics.over(&api, Some(&connect), &fate);
        over(Fate { status: 200, integration: called(Some(200)), ..Fate::default() });
        over(Fate { status: 403, integration: called(Some(403)), ..Fate::default() });
        over(Fate { integration: called(None), ..Fate::of(Failure::TimedOut) });
        over(Fate { status: 401, ..Fate::default() }); // the authorizer's word
        over(Fate::of(Failure::Throttled));
        let Requests { connects, client_errors, integration_errors, execution_errors, .. } =
            &metrics.rest;
        let counted = [connects, client_errors, integration_errors, execution_errors];
        assert_eq!(counted.map(Counter::get), [3, 2, 1, 1]);
    }

    #[test]
    fn disconnects_and_operations_have_a_bounded_number_of_counters() {
        let metrics = StageMetrics::default();
        for code in [1000, 1014, 1005, 3000, 4999, 4000, 2999] {
            metrics.entered();
            metrics.left(&Ending { status_code: code, ..Ending::lost() });
        }
        let counted: Vec<_> = metrics.disconnects.iter().map(Counter::get).collect();
        assert_eq!(
            (counted[0], counted[5], counted[14], counted[15], counted[16]),
            (1, 1, 1, 2, 2)
        );
        assert_eq!(metrics.connections.get(), 0);
        for status in [200, 410, 429, 413, 403] {
            metrics.managed("POST", status);
        }
        metrics.managed("PATCH", 403);
        metrics.managed("DELETE", 204);
        let counted = metrics.management.each_ref().map(|row| row.each_ref().map(Counter::get));
        assert_eq!(counted, [[1, 1, 1, 2], [0; 4], [1, 0, 0, 0]]);
        assert_eq!(metrics.rest.sent.get(), 1);
    }
}
