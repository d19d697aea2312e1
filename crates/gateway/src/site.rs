//! What addresses lead to: an API's own to its stages, a custom domain's to the stages that it maps.
//!
//! Source: API Gateway Developer Guide, "Custom domain names for WebSocket APIs": `wss://{domain}/{API mapping key}`, and
//! `https://{domain}/{API mapping key}/@connections/{id}`, both without a stage.

use std::collections::HashMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use stillwire_listen::is_own_host;
use stillwire_model::{ApiId, Domain, DomainName, StageName};
use stillwire_websocket::RequestHead;

use crate::peer::{LiveApi, Place};

/// What a door leads to, unless the request names a custom domain.
#[derive(Debug)]
pub(crate) enum Site {
    /// An API's own address.
    Api(Arc<LiveApi>),
    /// The address of a custom domain.
    Domain(DomainName),
}

/// All that is served. It never changes: it is replaced whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) apis: HashMap<ApiId, Arc<LiveApi>>,
    pub(crate) domains: HashMap<DomainName, LiveDomain>,
}

/// A custom domain at its address.
#[derive(Debug, Clone)]
pub(crate) struct LiveDomain {
    pub(crate) domain: Arc<Domain>,
    /// The host by which functions reach it.
    pub(crate) domain_name: Arc<str>,
}

/// What a request leads to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) api: Arc<LiveApi>,
    pub(crate) place: Arc<Place>,
    /// The segments of the path behind the stage, or behind the mapping key.
    pub(crate) rest: Vec<String>,
    /// Whether it came by a custom domain.
    pub(crate) by_domain: bool,
    /// Whether its `Host` is a name of ours, and not one that somebody made lead here.
    pub(crate) is_named: bool,
}

/// Finds what a request leads to; `None` where nothing is served.
///
/// A custom domain in `Host` comes first, at whichever door; without one, the door decides.
pub(crate) fn find(head: &RequestHead, site: &Site, table: &Table) -> Option<Found> {
    let authority = head.first("host").unwrap_or_default();
    let (path, _) = head.path_and_query();
    let segments = segments(path)?;
    let (live, named) = match (table.domain_of(authority), site) {
        (Some((live, name)), _) => (live, Some(name)),
        (None, Site::Domain(name)) => (table.domains.get(name)?, None),
        (None, Site::Api(api)) => {
            let (stage, rest) = of_api(api, segments)?;
            let place = api.place(stage, api.domain_name());
            let is_named = authority == &**api.domain_name() || is_own_host(authority);
            return Some(Found { api: Arc::clone(api), place, rest, by_domain: false, is_named });
        }
    };
    let (api, stage, rest) = live.mapped(segments, table)?;
    let is_named = named.is_some() || is_own_host(authority);
    let place = match named {
        // Which name of a wildcard a client used may be what an app is about: each tenant has one.
        Some(name) if live.domain.name.is_wildcard() => api.place(stage, &name.as_str().into()),
        _ => api.place(stage, &live.domain_name),
    };
    Some(Found { api: Arc::clone(api), place, rest, by_domain: true, is_named })
}

/// The stage that the first segment names, or `$default`, and what follows.
fn of_api(live: &LiveApi, mut segments: Vec<String>) -> Option<(StageName, Vec<String>)> {
    let api = live.load();
    let is_served = |name: &StageName| api.stages.contains_key(name);
    let first = segments.first().and_then(|first| StageName::parse(first).ok()).filter(is_served);
    let stage = match first {
        Some(stage) => {
            segments.remove(0);
            stage
        }
        None => StageName::parse("$default").ok().filter(is_served)?,
    };
    api.at_stage(&stage).execute_api_endpoint.then_some((stage, segments))
}

impl Table {
    /// The custom domain that a `Host` names, else the wildcard that it falls under; and the name.
    fn domain_of(&self, authority: &str) -> Option<(&LiveDomain, DomainName)> {
        if self.domains.is_empty() {
            return None;
        }
        let name = named(authority)?;
        let wildcard = || self.domains.get(DomainName::wildcard_of(name.as_str())?.as_str());
        Some((self.domains.get(&name).or_else(wildcard)?, name))
    }
}

impl LiveDomain {
    /// The stage of the mapping that the first segment names, or of the one without a key, and what follows.
    fn mapped<'t>(
        &self,
        mut segments: Vec<String>,
        table: &'t Table,
    ) -> Option<(&'t Arc<LiveApi>, StageName, Vec<String>)> {
        let mappings = &self.domain.mappings;
        let named = segments.first().and_then(|first| mappings.get(first.as_str()));
        if named.is_some() {
            segments.remove(0);
        }
        let mapping = named.or_else(|| mappings.get(""))?;
        let api = table.apis.get(&mapping.api)?;
        let is_served = api.load().stages.contains_key(&mapping.stage);
        is_served.then(|| (api, mapping.stage.clone(), segments))
    }
}

/// The segments of a path, decoded; an endpoint with a trailing slash gives an empty one, which does not count.
fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8().ok().map(String::from))
        .collect()
}

/// The name in a `Host`. It may become part of an event, and functions make addresses of it: only what is a name counts.
fn named(authority: &str) -> Option<DomainName> {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let name = DomainName::parse(name.strip_suffix('.').unwrap_or(name)).ok();
    name.filter(|name| !name.is_wildcard())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stillwire_model::{Api, ApiMapping, ApiMappingKey, SelectionExpression, Stage};

    use super::*;

    fn live_api(id: &str, stages: &[&str]) -> Arc<LiveApi> {
        let expression = SelectionExpression::parse("$request.body.action").unwrap();
        let mut api = Api::new(ApiId::parse(id).unwrap(), expression);
        for stage in stages {
            let stage = StageName::parse(stage).unwrap();
            api.stages.insert(stage.clone(), Stage::new(stage));
        }
        Arc::new(LiveApi::new(Arc::new(api), "localhost:7800".into()))
    }

    /// Key, API, stage.
    type Mappings<'a> = &'a [(&'a str, &'a str, &'a str)];

    /// Domains with their addresses and mappings.
    fn table(domains: &[(&str, &str, Mappings<'_>)]) -> Table {
        let mut table = Table::default();
        for id in ["one", "two"] {
            table.apis.insert(ApiId::parse(id).unwrap(), live_api(id, &["dev", "prod"]));
        }
        for (name, domain_name, mappings) in domains {
            let mapping = |(key, api, stage): &(&str, &str, &str)| {
                let api = ApiId::parse(api).unwrap();
                let mapping =
                    ApiMapping { id: "m".into(), api, stage: StageName::parse(stage).unwrap() };
                (ApiMappingKey::parse(key).unwrap(), mapping)
            };
            let name = DomainName::parse(name).unwrap();
            let mappings: BTreeMap<_, _> = mappings.iter().map(mapping).collect();
            let domain =
                Domain { name: name.clone(), stack: "s".into(), logical_id: "d".into(), mappings };
            let live = LiveDomain { domain: Arc::new(domain), domain_name: (*domain_name).into() };
            table.domains.insert(name, live);
        }
        table
    }

    /// `api stage domainName rest`.
    fn found(host: &str, path: &str, site: &Site, table: &Table) -> Option<String> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = RequestHead::parse(head.as_bytes()).unwrap();
        find(&head, site, table).map(|found| {
            let Found { api, place, rest, .. } = found;
            format!("{} {} {} {}", api.id(), place.stage, place.domain_name, rest.join("/"))
        })
    }

    #[test]
    fn an_apis_own_address_leads_to_its_stages() {
        let table = table(&[]);
        let site = Site::Api(live_api("one", &["dev"]));
        let at = |path| found("localhost:7800", path, &site, &table);
        assert_eq!(at("/dev").as_deref(), Some("one dev localhost:7800 "));
        assert_eq!(at("/dev/").as_deref(), Some("one dev localhost:7800 "));
        for path in ["/dev//@connections/a%3D", "/dev/%40connections/a="] {
            assert_eq!(at(path).as_deref(), Some("one dev localhost:7800 @connections/a="));
        }
        for path in ["/", "/prod", "/$default", "/dev%ff"] {
            assert_eq!(at(path), None, "{path}");
        }
        let site = Site::Api(live_api("one", &["$default", "dev"]));
        let found = |path| found("localhost", path, &site, &table);
        assert_eq!(found("/").as_deref(), Some("one $default localhost:7800 "));
        assert_eq!(found("/$default").as_deref(), Some("one $default localhost:7800 "));
        assert_eq!(found("/dev").as_deref(), Some("one dev localhost:7800 "));
    }

    #[test]
    fn a_custom_domain_leads_to_what_it_maps_at_every_door() {
        let table = table(&[
            ("ws.example.com", "localhost:7802", &[("", "one", "dev"), ("v2", "two", "prod")]),
            ("*.example.com", "localhost:7803", &[("v2", "two", "dev")]),
        ]);
        let doors = [
            Site::Api(live_api("one", &["dev"])),
            Site::Domain(DomainName::parse("ws.example.com").unwrap()),
        ];
        for site in &doors {
            let found = |host, path| found(host, path, site, &table);
            for (host, path, expected) in [
                ("ws.example.com", "/", "one dev localhost:7802 "),
                ("WS.example.com.:7800", "/v2", "two prod localhost:7802 "),
                ("ws.example.com", "/v2/@connections/x", "two prod localhost:7802 @connections/x"),
                (
                    "ws.example.com",
                    "/dev/@connections/x",
                    "one dev localhost:7802 dev/@connections/x",
                ),
                ("a.example.com", "/v2", "two dev a.example.com "),
            ] {
                assert_eq!(found(host, path).as_deref(), Some(expected), "{host}{path}");
            }
            for (host, path) in [("a.example.com", "/"), ("a.example.com", "/dev")] {
                assert_eq!(found(host, path), None, "{host}{path}");
            }
        }
        // What is no name would make other addresses of those that functions build.
        for host in
            ["*.example.com", "localhost:1/x.example.com", "a@b.example.com", "a b.example.com"]
        {
            let seen = found(host, "/dev", &doors[0], &table);
            assert_eq!(seen.as_deref(), Some("one dev localhost:7800 "), "{host}");
        }
        let wildcard = Site::Domain(DomainName::parse("*.example.com").unwrap());
        let by_port = found("localhost:7803", "/v2", &wildcard, &table);
        assert_eq!(by_port.as_deref(), Some("two dev localhost:7803 "));
        let own = |path| found("localhost:7802", path, &doors[1], &table);
        assert_eq!(own("/v2").as_deref(), Some("two prod localhost:7802 "));
        assert_eq!(
            found("a.b.example.com", "/dev", &doors[0], &table).as_deref(),
            Some("one dev localhost:7800 ")
        );
    }

    #[test]
    fn a_mapping_of_what_is_not_served_leads_nowhere() {
        let name = "ws.example.com";
        let mut table =
            table(&[(name, "localhost:7802", &[("", "one", "beta"), ("two", "two", "dev")])]);
        table.apis.remove(&ApiId::parse("two").unwrap());
        let site = Site::Domain(DomainName::parse(name).unwrap());
        for path in ["/", "/two"] {
            assert_eq!(found(name, path, &site, &table), None, "{path}");
        }
        table.domains.clear();
        assert_eq!(found(name, "/", &site, &table), None, "a domain that is gone");
    }
}
