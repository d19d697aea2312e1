//! At which addresses of this machine everything listens, and the name that it goes by.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use stillwire_listen::{BindError, bind};
use tokio::net::TcpListener;

use crate::config::Listen;
use crate::dev::loopback;

/// What is tried to find a port that is free at all addresses, where any port will do. Choice: one is nearly always.
const TRIES: usize = 16;

/// Where everything listens. Programs of this machine find it at loopback, whatever else there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    addresses: Vec<IpAddr>,
    /// The name in addresses that are told to clients: `localhost`, or what other machines know this one as.
    host: Arc<str>,
}

impl Reach {
    pub(crate) fn of(listen: &Listen) -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let addresses = match listen.address.filter(|_| listen.is_reachable()) {
            None => vec![loopback],
            Some(all) if all.is_unspecified() => vec![all], // loopback is one of them
            Some(one) => vec![loopback, one],
        };
        Self { addresses, host: listen.host.as_deref().unwrap_or("localhost").into() }
    }

    /// Takes a port at every address; with 0, any that is free.
    pub(crate) fn take(&self, port: u16) -> Result<Vec<TcpListener>, BindError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.take_once(port) {
                Err(error)
                    if port == 0
                        && tries < TRIES
                        && error.source.kind() == io::ErrorKind::AddrInUse => {}
                taken => return taken,
            }
        }
    }

    fn take_once(&self, mut port: u16) -> Result<Vec<TcpListener>, BindError> {
        let mut listeners = Vec::with_capacity(self.addresses.len());
        for &address in &self.addresses {
            let address = SocketAddr::new(address, port);
            let listener = bind(address)?;
            let taken = listener.local_addr().map_err(|source| BindError { address, source })?;
            port = taken.port();
            listeners.push(listener);
        }
        Ok(listeners)
    }

    /// Whether other machines reach it.
    pub(crate) fn is_open(&self) -> bool {
        self.addresses.iter().any(|address| !address.is_loopback())
    }

    /// The name, where it is not `localhost`.
    pub(crate) fn name(&self) -> Option<&str> {
        (&*self.host != "localhost").then_some(&*self.host)
    }

    /// Where programs of this machine find these names; and its own name, at whose every port (0) they find what others find.
    pub(crate) fn hosts(
        &self,
        served: impl Iterator<Item = (String, u16)>,
    ) -> Vec<(String, SocketAddr)> {
        let own = self.name().map(|name| (name.to_owned(), 0));
        served.chain(own).map(|(name, port)| (name, loopback(port))).collect()
    }

    /// `HOST:PORT`.
    pub(crate) fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str) -> Reach {
        let text = format!("address = {address:?}\nhost = \"ws.example.com\"");
        Reach::of(&toml::from_str(&text).unwrap())
    }

    #[tokio::test]
    async fn a_port_is_taken_at_all_addresses_or_at_none() {
        let usual = Reach::of(&Listen::default());
        assert_eq!((usual.at(1), usual.name()), ("localhost:1".to_owned(), None));
        assert_eq!(usual.take(0).unwrap().len(), 1);

        let mut both = reach("10.1.1.1");
        both.addresses[1] = "127.0.0.2".parse().unwrap(); // the tests stay on loopback
        assert_eq!(both.at(80), "ws.example.com:80");
        let taken = both.take(0).unwrap();
        let at = |place: usize| taken[place].local_addr().unwrap();
        assert_eq!(at(0).port(), at(1).port());
        assert_ne!(at(0).ip(), at(1).ip());
        assert!(both.take(at(0).port()).is_err());
        assert_eq!(reach("0.0.0.0").addresses, [IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    }
}
