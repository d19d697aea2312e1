//! Which API and which custom domain is where: a port for each, the same at every start.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use stillwire_listen::{BindError, port_of};
use stillwire_model::{Api, ApiId, ApiMappingKey, App, Domain, DomainName, StageName};
use tokio::net::TcpListener;

use crate::dev::data_dir::DataDir;
use crate::dev::loopback;
use crate::dev::reach::Reach;
use crate::report::hinted;

/// The first port where nobody wants another.
const FIRST: u16 = 7800;

/// How far the first ports of apps are from each other that run side by side.
const APART: u16 = 100;

/// Apps that find a place by themselves.
const APPS_MAX: u16 = 16;

/// Where everything answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    reach: Reach,
    first: u16,
    apis: BTreeMap<ApiId, u16>,
    domains: BTreeMap<DomainName, u16>,
    aws: u16,
}

/// A taken port, at every address at which it is open.
pub(crate) type Taken = Vec<TcpListener>;

/// The taken ports, not yet served: those of the APIs and of the domains in the app's order.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) apis: Vec<Taken>,
    pub(crate) domains: Vec<Taken>,
    pub(crate) aws: Taken,
}

impl Addresses {
    /// Takes a port for every API, every custom domain and the AWS endpoint, before any work starts.
    ///
    /// Each keeps the port it had; new ones get the next that is nobody's. `wanted` is the first of them; with 0 all are free
    /// ones. Where nobody wants one, it is the one that the app had, or the first of those that no other app has.
    pub(crate) fn take(
        app: &App,
        reach: Reach,
        wanted: Option<u16>,
        data: &DataDir,
    ) -> Result<(Self, Doors)> {
        let record = data.path().join("ports.json");
        let apis = app.apis().map(|api| api.id.as_str());
        let names: Vec<&str> =
            apis.chain(app.domains().map(|domain| domain.name.as_str())).collect();
        let candidates: Vec<u16> = match wanted {
            Some(first) => vec![first],
            None => first_of(&record)
                .into_iter()
                .chain((0..APPS_MAX).map(|app| FIRST + app * APART))
                .collect(),
        };
        let mut in_use = None;
        for first in candidates {
            let planned = plan(&names, first, &read(&record, first));
            let (aws, mut listeners) = match take_all(&reach, first, &planned) {
                Ok(taken) => taken,
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => {
                    in_use.get_or_insert_with(|| (first, error.address.port()));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if first != 0 {
                write(&record, first, &planned).context("cannot remember the ports")?;
            }
            let domains = listeners.split_off(app.apis().count());
            let taken = Self {
                apis: ports(app.apis().map(|api| api.id.clone()), &listeners)?,
                domains: ports(app.domains().map(|domain| domain.name.clone()), &domains)?,
                aws: port_of(&aws)?,
                first,
                reach,
            };
            return Ok((taken, Doors { apis: listeners, domains, aws }));
        }
        let (first, port) = in_use.unwrap_or_default();
        let other = if first >= 60_000 { 7900 } else { first.saturating_add(APART) };
        Err(hinted(
            format!("port {port} is in use by another program"),
            format!("choose others with --port {other}, or any free ones with --port 0"),
        ))
    }

    /// The first of the ports; 0 where all are any that are free.
    pub(crate) fn first(&self) -> u16 {
        self.first
    }

    /// One more API is served at this port.
    pub(crate) fn add(&mut self, id: &ApiId, port: u16) {
        self.apis.insert(id.clone(), port);
    }

    /// What is served of `app` is all there is; of domains, what is in `domains`.
    pub(crate) fn keep_only(&mut self, app: &App, domains: BTreeMap<DomainName, u16>) {
        self.apis.retain(|id, _| app.apis().any(|api| api.id == *id));
        self.domains = domains;
        self.domains.retain(|name, _| app.domains().any(|domain| domain.name == *name));
    }

    /// The port of an API.
    pub(crate) fn port_of(&self, id: &ApiId) -> Option<u16> {
        self.apis.get(id).copied()
    }

    /// The ports of the custom domains.
    pub(crate) fn domains(&self) -> &BTreeMap<DomainName, u16> {
        &self.domains
    }

    /// `HOST:PORT` of an API, as clients and functions are told it.
    pub(crate) fn host_of(&self, id: &ApiId) -> Option<String> {
        self.apis.get(id).map(|port| self.reach.at(*port))
    }

    /// An API's stage as a URL of this scheme.
    pub(crate) fn url(&self, scheme: &str, api: &Api, stage: &StageName) -> String {
        let host = self.host_of(&api.id).unwrap_or_default();
        format!("{scheme}://{host}/{stage}")
    }

    /// An API's stage as a URL for programs of this machine.
    pub(crate) fn local_url(&self, api: &Api, stage: &StageName) -> Option<String> {
        self.apis.get(&api.id).map(|port| format!("http://localhost:{port}/{stage}"))
    }

    /// `HOST:PORT` of a custom domain.
    pub(crate) fn host_of_domain(&self, name: &DomainName) -> Option<String> {
        self.domains.get(name).map(|port| self.reach.at(*port))
    }

    /// What a custom domain maps as a URL of this scheme.
    pub(crate) fn domain_url(&self, scheme: &str, domain: &Domain, key: &ApiMappingKey) -> String {
        let host = self.host_of_domain(&domain.name).unwrap_or_default();
        format!("{scheme}://{host}/{key}")
    }

    /// The AWS endpoint.
    pub(crate) fn aws(&self) -> SocketAddr {
        loopback(self.aws)
    }

    /// The AWS endpoint as a URL for programs of this machine.
    pub(crate) fn aws_url(&self) -> String {
        format!("http://localhost:{}", self.aws)
    }

    /// The AWS endpoint as a URL for other machines, where they are let in.
    pub(crate) fn aws_url_elsewhere(&self) -> Option<String> {
        self.reach.is_open().then(|| format!("http://{}", self.reach.at(self.aws)))
    }

    /// The names that APIs and custom domains have on AWS, which code may spell out, and where they are here.
    pub(crate) fn hosts(&self, app: &App) -> Vec<(String, SocketAddr)> {
        let apis = app.apis().filter_map(|api| Some((aws_name(api), self.port_of(&api.id)?)));
        let domains = self.domains.iter().map(|(name, port)| (name.to_string(), *port));
        self.reach.hosts(apis.chain(domains))
    }
}

/// The name that an API has on AWS.
pub(crate) fn aws_name(api: &Api) -> String {
    let suffix = if api.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{}.execute-api.{}.{suffix}", api.id, api.region)
}

/// Takes a port for one more API or domain, while others are served: the one it had, else the next that is free.
pub(crate) fn take_another(name: &str, reach: &Reach, first: u16, record: &Path) -> Result<Taken> {
    let mut known = read(record, first);
    loop {
        let planned = plan(&[name], first, &known);
        let Some((_, port)) = planned.first() else { bail!("all ports are taken") };
        match reach.take(*port) {
            Ok(taken) if first == 0 => return Ok(taken),
            Ok(taken) => {
                write(record, first, &planned).context("cannot remember the port")?;
                return Ok(taken);
            }
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse && first != 0 => {
                // Another program has it, which is nobody's fault; the next one will do.
                known.remove(name);
                known.insert(format!("in use {port}"), *port);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What has this name does not come back: its port is free for others.
pub(crate) fn give_up(name: &str, record: &Path) -> io::Result<()> {
    let Some(first) = first_of(record) else { return Ok(()) };
    let mut known = read(record, first);
    if known.remove(name).is_some() {
        keep(record, first, known)?;
    }
    Ok(())
}

/// The ports that were taken, by what they are for.
fn ports<K: Ord>(
    keys: impl Iterator<Item = K>,
    listeners: &[Taken],
) -> io::Result<BTreeMap<K, u16>> {
    keys.zip(listeners).map(|(key, taken)| Ok((key, port_of(taken)?))).collect()
}

/// Gives every API and domain a port: the one it had, else the next from `first` on that no other has.
fn plan(names: &[&str], first: u16, known: &BTreeMap<String, u16>) -> Vec<(String, u16)> {
    // Also those of what is left out this time.
    let mut free = (first..=u16::MAX).filter(|port| !known.values().any(|known| known == port));
    let mut port_of = |name: &str| match first {
        0 => Some(0),
        _ => known.get(name).copied().or_else(|| free.next()),
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), port_of(name)?))).collect()
}

/// Takes the port of the AWS endpoint, which is just below the first, and all that are planned.
fn take_all(
    reach: &Reach,
    first: u16,
    planned: &[(String, u16)],
) -> Result<(Taken, Vec<Taken>), BindError> {
    let aws = reach.take(first.saturating_sub(1))?;
    let all = planned.iter().map(|(_, port)| reach.take(*port)).collect::<Result<_, _>>()?;
    Ok((aws, all))
}

/// The first port of the last time.
fn first_of(record: &Path) -> Option<u16> {
    let known: BTreeMap<String, u16> =
        serde_json::from_str(&fs::read_to_string(record).ok()?).ok()?;
    known.get("first").copied()
}

/// What was planned last time, if it was for the same first port.
fn read(record: &Path, first: u16) -> BTreeMap<String, u16> {
    let text = fs::read_to_string(record).unwrap_or_default();
    let mut known: BTreeMap<String, u16> = serde_json::from_str(&text).unwrap_or_default();
    if known.remove("first") != Some(first) {
        return BTreeMap::new();
    }
    known
}

fn write(record: &Path, first: u16, planned: &[(String, u16)]) -> io::Result<()> {
    let mut known = read(record, first);
    known.extend(planned.iter().cloned());
    keep(record, first, known)
}

fn keep(record: &Path, first: u16, mut known: BTreeMap<String, u16>) -> io::Result<()> {
    known.insert("first".to_owned(), first);
    fs::write(record, serde_json::to_string_pretty(&known)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(names: &[&str], first: u16, known: &BTreeMap<String, u16>) -> Vec<u16> {
        plan(names, first, known).iter().map(|(_, port)| *port).collect()
    }

    #[test]
    fn what_is_written_is_read_back_and_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("ports.json");
        let port_of = |name: &str, port| (name.to_owned(), port);
        write(&record, 7800, &[port_of("a", 7800), port_of("b", 7801)]).unwrap();
        write(&record, 7800, &[port_of("b", 7801)]).unwrap();
        let known = read(&record, 7800);
        assert_eq!(known, BTreeMap::from([("a".to_owned(), 7800), ("b".to_owned(), 7801)]));
        give_up("a", &record).unwrap();
        give_up("nobody", &record).unwrap();
        assert_eq!(read(&record, 7800), BTreeMap::from([("b".to_owned(), 7801)]));
        assert_eq!(read(&record, 7900), BTreeMap::new());
    }

    #[test]
    fn an_app_keeps_its_first_port() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("ports.json");
        assert_eq!(first_of(&record), None);
        write(&record, 7900, &[]).unwrap();
        assert_eq!(first_of(&record), Some(7900));
        fs::write(&record, "nonsense").unwrap();
        assert_eq!(first_of(&record), None);
    }

    #[test]
    fn an_api_keeps_its_port_when_others_come_and_go() {
        let none = BTreeMap::new();
        assert_eq!(planned(&["a", "b", "ws.example.com"], 7800, &none), [7800, 7801, 7802]);
        let known = BTreeMap::from([("b".to_owned(), 7801), ("c".to_owned(), 7802)]);
        assert_eq!(planned(&["new", "b", "c"], 7800, &known), [7800, 7801, 7802]);
        assert_eq!(planned(&["c", "x", "y"], 7800, &known), [7802, 7800, 7803]);
        assert_eq!(planned(&["a", "b"], 0, &known), [0, 0]);
    }
}
