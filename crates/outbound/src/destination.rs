//! Where requests may go.
//!
//! A backend is named by the operator; what its name resolves to is not. So the address is checked after it was
//! resolved, and the checked address is connected to.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::lookup_host;

/// An address that no integration reaches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} resolves to {address}, which integrations may not reach")]
pub struct Forbidden {
    /// The host that was named.
    pub host: String,
    /// What it resolved to.
    pub address: IpAddr,
}

/// The addresses of a host that may be connected to.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut allowed = Vec::new();
    let mut forbidden = None;
    for address in lookup_host((bare, port)).await? {
        if may_reach(bare, address.ip()) {
            allowed.push(address);
        } else {
            forbidden = Some(Forbidden { host: bare.to_owned(), address: address.ip() });
        }
    }
    match (allowed.is_empty(), forbidden) {
        (true, Some(forbidden)) => Err(io::Error::other(forbidden)),
        (true, None) => Err(io::Error::other(format!("{bare} has no address"))),
        (false, _) => Ok(allowed),
    }
}

/// Whether a host may be reached at this address.
///
/// Instance metadata and everything else that is link-local never is. This machine is where the operator has named it
/// as such, and not where some other name has been made to point at it.
fn may_reach(host: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let names_this_machine = host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|literal| literal.to_canonical().is_loopback());
    if address.is_loopback() {
        return names_this_machine;
    }
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        // Source: Amazon EC2 User Guide, "Use IMDS": the IPv6 address of instance metadata.
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    };
    !(link_local || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_never_reached_and_this_machine_only_by_its_own_names() {
        for (host, address, expected) in [
            ("api.example.com", "203.0.113.7", true),
            ("api.example.com", "10.1.2.3", true),
            ("api.example.com", "127.0.0.1", false),
            ("api.example.com", "::1", false),
            ("api.example.com", "::ffff:127.0.0.1", false),
            ("localhost", "127.0.0.1", true),
            ("app.localhost", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("169.254.169.254", "169.254.169.254", false),
            ("api.example.com", "::ffff:169.254.169.254", false),
            ("api.example.com", "fe80::1", false),
            ("api.example.com", "fd00:ec2::254", false),
            ("0.0.0.0", "0.0.0.0", false),
            ("api.example.com", "224.0.0.1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(may_reach(host, address), expected, "{host} at {address}");
        }
    }
}
