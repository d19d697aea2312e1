//! A WebSocket address.

use anyhow::Result;

use crate::report::hinted;

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether the connection is encrypted (`wss`).
    pub(crate) secure: bool,
    /// The host's name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
    /// Host and port as the `Host` header has them.
    pub(crate) authority: String,
}

impl Address {
    /// Reads `ws://…` or `wss://…`; `http` and `https` are taken for them, and so is no scheme for `ws`.
    ///
    /// Source: RFC 6455, section 3.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let refused = |why: &str| {
            let hint =
                "an address looks like ws://localhost:7800/dev or wss://host/stage?key=value";
            hinted(format!("{url:?} is no WebSocket address: {why}"), hint)
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
        let secure = match scheme {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(refused("its scheme is neither ws nor wss")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(refused("it has a user name; use -H 'Authorization: …'"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| refused("its port is not a number"))?)
            }
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !printable(authority) {
            return Err(refused("it has no host"));
        }
        if !printable(target) {
            return Err(refused("spaces and other characters in it must be percent-encoded"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { secure, host: host.to_owned(), port, target, authority: authority.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_usual_parts() {
        for (url, secure, host, port, target) in [
            ("ws://localhost:7800/dev", false, "localhost", 7800, "/dev"),
            ("wss://a.example/prod?x=1", true, "a.example", 443, "/prod?x=1"),
            ("localhost:1", false, "localhost", 1, "/"),
            ("wss://[::1]:8/a#b", true, "::1", 8, "/a"),
            ("https://h?q", true, "h", 443, "/?q"),
        ] {
            let address = Address::parse(url).unwrap();
            let parts =
                (address.secure, address.host.as_str(), address.port, address.target.as_str());
            assert_eq!(parts, (secure, host, port, target), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (url, why) in [
            ("ftp://x", "neither ws nor wss"),
            ("ws://", "no host"),
            ("ws://h:port/", "port"),
            ("ws://u:p@h/", "user name"),
            ("ws://h/a b", "percent-encoded"),
        ] {
            assert!(Address::parse(url).unwrap_err().to_string().contains(why), "{url}");
        }
    }
}
