//! `[listen]` of `stillwire.toml`: where Stillwire listens, and what other machines know it as.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where Stillwire listens.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// An address of this machine besides loopback; `0.0.0.0` and `::` are all of them.
    pub(crate) address: Option<IpAddr>,
    /// The name under which other machines reach this one.
    pub(crate) host: Option<String>,
    /// A certificate for that name, as PEM, and those between it and its authority.
    certificate: Option<PathBuf>,
    /// Its key, as PEM.
    key: Option<PathBuf>,
}

/// What `[listen]` says that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidListen {
    /// Nobody elsewhere could sign.
    #[error(
        "listen.address lets other machines in, and there is no key in [keys] that they could sign with: add one"
    )]
    NoKeys,
    /// Clients and functions would be told addresses that lead nowhere.
    #[error(
        "listen.address lets other machines in: listen.host has to say what they know this one as, such as \"ws.example.com\""
    )]
    NoHost,
    /// It stands in addresses, and in certificates.
    #[error(
        "listen.host is a name such as \"ws.example.com\", without scheme and port: {0:?} is not"
    )]
    Host(String),
    /// One without the other.
    #[error("listen.certificate and listen.key go together: set both, or none")]
    Half,
}

impl Listen {
    /// Checks what it says; `keyless` where there is no key that callers could sign with.
    pub(super) fn check(&self, keyless: bool) -> Result<(), InvalidListen> {
        if keyless && self.is_reachable() {
            return Err(InvalidListen::NoKeys);
        }
        if self.host.is_none() && self.is_reachable() {
            return Err(InvalidListen::NoHost);
        }
        if let Some(host) = self.host.as_ref().filter(|host| !is_host(host)) {
            return Err(InvalidListen::Host(host.clone()));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(InvalidListen::Half);
        }
        Ok(())
    }

    /// With files that are found from `folder`, where the configuration is.
    pub(super) fn below(self, folder: &Path) -> Self {
        let below = |file: PathBuf| folder.join(file);
        Self { certificate: self.certificate.map(below), key: self.key.map(below), ..self }
    }

    /// Whether other machines can reach this one.
    pub(crate) fn is_reachable(&self) -> bool {
        self.address.is_some_and(|address| !address.to_canonical().is_loopback())
    }

    /// The certificate that the operator brings, and its key.
    pub(crate) fn certificate(&self) -> Option<(&Path, &Path)> {
        self.certificate.as_deref().zip(self.key.as_deref())
    }
}

/// Whether it may stand in an address before a port, and in a certificate; addresses may not.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    host.len() <= 253 && host.split('.').all(is_label) && host.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, keyless: bool) -> Result<(), InvalidListen> {
        toml::from_str::<Listen>(text).unwrap().check(keyless)
    }

    #[test]
    fn other_machines_are_let_in_only_where_they_can_sign() {
        assert_eq!(checked("address = \"0.0.0.0\"", true), Err(InvalidListen::NoKeys));
        assert_eq!(checked("address = \"::\"", true), Err(InvalidListen::NoKeys));
        assert_eq!(checked("address = \"10.1.2.3\"", false), Err(InvalidListen::NoHost));
        assert_eq!(checked("address = \"10.1.2.3\"\nhost = \"ws.example.com\"", false), Ok(()));
        assert_eq!(checked("address = \"127.0.0.1\"", true), Ok(()));
        assert_eq!(checked("", true), Ok(()));
        assert!(toml::from_str::<Listen>("address = \"everywhere\"").is_err());
    }

    #[test]
    fn a_host_can_stand_in_an_address() {
        for (host, expected) in [
            ("ws.example.com", true),
            ("stillwire", true),
            ("10.0.0.1", false),
            ("[fd00::1]", false),
            ("fd00::1", false),
            ("https://ws.example.com", false),
            ("ws.example.com:80", false),
            ("a@b", false),
            ("", false),
        ] {
            assert_eq!(checked(&format!("host = {host:?}"), true).is_ok(), expected, "{host}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key_from_beside_the_file() {
        assert_eq!(checked("key = \"key.pem\"", true), Err(InvalidListen::Half));
        let listen: Listen = toml::from_str("certificate = \"c.pem\"\nkey = \"/k.pem\"").unwrap();
        let listen = listen.below(Path::new("/etc/stillwire"));
        let expected = (Path::new("/etc/stillwire/c.pem"), Path::new("/k.pem"));
        assert_eq!(listen.certificate(), Some(expected));
    }
}
