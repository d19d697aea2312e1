//! Which certificate a client sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::minter::Minter;
use super::names::is_vouched;

/// Certificates kept at once; names beyond are made anew each time.
const CERTIFICATES_MAX: usize = 256;

/// Finds, or makes, the certificate for the name that a client asks for.
pub(super) struct Resolver {
    pub(super) minter: Minter,
    /// The certificate that the operator brought.
    pub(super) brought: OnceLock<Arc<CertifiedKey>>,
    /// Names of apps, and who vouches for them.
    pub(super) apps: RwLock<Vec<Vouched>>,
    /// For clients that name nobody, and for loopback.
    default: Arc<CertifiedKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// Names that are vouched for together.
pub(super) struct Vouched {
    /// `ws.example.com`, `*.example.com`.
    pub(super) names: Vec<String>,
    pub(super) minter: Minter,
    /// The certificate of who vouches, as PEM.
    pub(super) pem: String,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Resolver").finish_non_exhaustive() // holds keys
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = match hello.server_name() {
            None | Some("localhost") => return Some(Arc::clone(&self.default)),
            Some(name) => name.to_ascii_lowercase(),
        };
        if let Some(brought) = self.brought.get().filter(|key| is_made_for(key, &name)) {
            return Some(Arc::clone(brought));
        }
        if let Some(key) = self.made().get(&name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(self.mint(&name)?);
        let mut made = self.made();
        if made.len() < CERTIFICATES_MAX {
            made.insert(name, Arc::clone(&key));
        }
        Some(key)
    }
}

impl Resolver {
    pub(super) fn new(minter: Minter, default: Arc<CertifiedKey>) -> Self {
        let (brought, apps, made) = Default::default();
        Self { minter, brought, apps, default, made }
    }

    /// Makes a certificate, where somebody vouches for the name.
    pub(super) fn mint(&self, name: &str) -> Option<CertifiedKey> {
        if is_vouched(name) {
            return self.minter.mint(Some(name)).ok();
        }
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let minter = &apps.iter().find(|vouched| vouched.covers(name))?.minter;
        minter.mint(Some(name)).ok()
    }

    /// Forgets certificates that were made: who vouched for them may be gone.
    pub(super) fn forget(&self) {
        self.made().clear();
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vouched {
    fn covers(&self, name: &str) -> bool {
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names.iter().any(|own| own == name || Some(own) == wildcard.as_ref())
    }
}

/// Whether a certificate is one of `name`.
pub(super) fn is_made_for(key: &CertifiedKey, name: &str) -> bool {
    let Some(certificate) = key.cert.first() else { return false };
    let (certificate, name) =
        (ParsedCertificate::try_from(certificate), ServerName::try_from(name));
    let (Ok(certificate), Ok(name)) = (certificate, name) else { return false };
    verify_server_name(&certificate, &name).is_ok()
}
