//! The names of this machine, and those of AWS that are led here.

use std::net::{IpAddr, SocketAddr};

/// The DNS suffixes that certificates are made for.
pub(super) const SUFFIXES: [&str; 4] =
    ["amazonaws.com", "amazonaws.com.cn", "api.aws", "localhost"];

/// Whether a peer is a program of this machine that came by its loopback.
pub fn is_here(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// Whether a `Host` header names this machine, or a name of AWS that is led here.
///
/// A web page whose own name was made to resolve to 127.0.0.1 could otherwise talk to what listens there, for
/// browsers take it for the page's own server.
pub fn is_own_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback()) || is_vouched(&name)
}

/// Whether certificates are made for this name.
pub(super) fn is_vouched(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_here() {
        for (peer, expected) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[fe80::1]:1", false),
        ] {
            assert_eq!(is_here(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    #[test]
    fn only_this_machine_and_names_that_are_led_here_are_own_hosts() {
        for host in
            ["localhost:7799", "127.0.0.1", "[::1]:80", "LOCALHOST", "sqs.eu-west-1.amazonaws.com"]
        {
            assert!(is_own_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example:7799",
            "localhost.evil.example",
            "10.0.0.1:7799",
            "amazonaws.com.evil",
        ] {
            assert!(!is_own_host(host), "{host}");
        }
    }
}
