//! Which API is where: a port for each, the same at every start.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use stillwire_listen::bind;
use stillwire_model::{Api, ApiId, App, StageName};
use tokio::net::TcpListener;

use crate::dev::data_dir::DataDir;
use crate::dev::{check_not_empty, loopback};
use crate::report::hinted;

/// Where everything answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    apis: BTreeMap<ApiId, u16>,
    aws: u16,
}

/// The taken ports, not yet served: those of the APIs in the app's order.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) apis: Vec<TcpListener>,
    pub(crate) aws: TcpListener,
}

impl Addresses {
    /// Takes a port for every API and one for the AWS endpoint, before any work starts.
    ///
    /// An API keeps the port it had; new ones get the next that is nobody's. With `first` 0 all are free ones.
    pub(crate) fn take(app: &App, first: u16, data: &DataDir) -> Result<(Self, Doors)> {
        check_not_empty(app)?;
        let record = data.path().join("ports.json");
        let ids: Vec<ApiId> = app.apis().map(|api| api.id.clone()).collect();
        let planned = plan(&ids, first, &read(&record, first));
        let aws = take_port(first.saturating_sub(1), first)?;
        let mut apis = BTreeMap::new();
        let mut listeners = Vec::new();
        for (id, port) in &planned {
            let listener = take_port(*port, first)?;
            apis.insert(id.clone(), listener.local_addr()?.port());
            listeners.push(listener);
        }
        if first != 0 {
            write(&record, first, &planned).context("cannot remember the ports")?;
        }
        let taken = Self { apis, aws: aws.local_addr()?.port() };
        Ok((taken, Doors { apis: listeners, aws }))
    }

    /// `localhost:PORT` of an API.
    pub(crate) fn host_of(&self, id: &ApiId) -> Option<String> {
        self.apis.get(id).map(|port| format!("localhost:{port}"))
    }

    /// An API's stage as a URL of this scheme.
    pub(crate) fn url(&self, scheme: &str, api: &Api, stage: &StageName) -> String {
        let host = self.host_of(&api.id).unwrap_or_default();
        format!("{scheme}://{host}/{stage}")
    }

    /// The AWS endpoint.
    pub(crate) fn aws(&self) -> SocketAddr {
        loopback(self.aws)
    }

    /// The AWS endpoint as a URL.
    pub(crate) fn aws_url(&self) -> String {
        format!("http://localhost:{}", self.aws)
    }

    /// The names that APIs have on AWS, which code may spell out, and where they are here.
    pub(crate) fn execute_api_hosts(&self, app: &App) -> Vec<(String, SocketAddr)> {
        app.apis()
            .filter_map(|api| {
                let suffix =
                    if api.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
                let name = format!("{}.execute-api.{}.{suffix}", api.id, api.region);
                Some((name, loopback(*self.apis.get(&api.id)?)))
            })
            .collect()
    }
}

/// Takes a port for one more API, while others are served: the one it had, else the next that is free.
pub(crate) fn take_another(id: &ApiId, first: u16, record: &Path) -> Result<TcpListener> {
    let mut known = read(record, first);
    loop {
        let planned = plan(std::slice::from_ref(id), first, &known);
        let Some((_, port)) = planned.first() else { bail!("all ports are taken") };
        match bind(loopback(*port)) {
            Ok(listener) if first == 0 => return Ok(listener),
            Ok(listener) => {
                write(record, first, &planned).context("cannot remember the port")?;
                return Ok(listener);
            }
            Err(error) if error.source.kind() == io::ErrorKind::AddrInUse && first != 0 => {
                // Another program has it, which is nobody's fault; the next one will do.
                known.remove(id.as_str());
                known.insert(format!("in use {port}"), *port);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives every API a port: the one it had, else the next from `first` on that no other has.
fn plan(ids: &[ApiId], first: u16, known: &BTreeMap<String, u16>) -> Vec<(ApiId, u16)> {
    if first == 0 {
        return ids.iter().map(|id| (id.clone(), 0)).collect();
    }
    // Also those of APIs that are left out this time.
    let mut free = (first..=u16::MAX).filter(|port| !known.values().any(|known| known == port));
    ids.iter()
        .filter_map(|id| {
            let port = known.get(id.as_str()).copied().or_else(|| free.next())?;
            Some((id.clone(), port))
        })
        .collect()
}

fn take_port(port: u16, first: u16) -> Result<TcpListener> {
    bind(loopback(port)).map_err(|error| {
        if error.source.kind() == io::ErrorKind::AddrInUse {
            let other = if first >= 60_000 { 7900 } else { first.saturating_add(100) };
            return hinted(
                format!("port {port} is in use by another program"),
                format!("choose others with --port {other}, or any free ones with --port 0"),
            );
        }
        error.into()
    })
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

fn write(record: &Path, first: u16, planned: &[(ApiId, u16)]) -> io::Result<()> {
    let mut known = read(record, first);
    known.extend(planned.iter().map(|(id, port)| (id.to_string(), *port)));
    known.insert("first".to_owned(), first);
    fs::write(record, serde_json::to_string_pretty(&known)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<ApiId> {
        names.iter().map(|name| ApiId::parse(name).unwrap()).collect()
    }

    fn ports(planned: &[(ApiId, u16)]) -> Vec<u16> {
        planned.iter().map(|(_, port)| *port).collect()
    }

    #[test]
    fn what_is_written_is_read_back_and_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("ports.json");
        let port_of = |name: &str, port| (ApiId::parse(name).unwrap(), port);
        write(&record, 7800, &[port_of("a", 7800), port_of("b", 7801)]).unwrap();
        write(&record, 7800, &[port_of("b", 7801)]).unwrap();
        let known = read(&record, 7800);
        assert_eq!(known, BTreeMap::from([("a".to_owned(), 7800), ("b".to_owned(), 7801)]));
        assert_eq!(read(&record, 7900), BTreeMap::new());
    }

    #[test]
    fn an_api_keeps_its_port_when_others_come_and_go() {
        let none = BTreeMap::new();
        assert_eq!(ports(&plan(&ids(&["a", "b", "c"]), 7800, &none)), [7800, 7801, 7802]);
        let known = BTreeMap::from([("b".to_owned(), 7801), ("c".to_owned(), 7802)]);
        assert_eq!(ports(&plan(&ids(&["new", "b", "c"]), 7800, &known)), [7800, 7801, 7802]);
        assert_eq!(ports(&plan(&ids(&["c", "x", "y"]), 7800, &known)), [7802, 7800, 7803]);
        assert_eq!(ports(&plan(&ids(&["a", "b"]), 0, &known)), [0, 0]);
    }
}
