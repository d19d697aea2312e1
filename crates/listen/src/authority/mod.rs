//! The local certificate authority.
//!
//! Functions build `https://` and `wss://` addresses of their own API, so those must answer, and SDKs must
//! trust them. The authority is made once per user, its key readable by that user alone. Its certificate may
//! only vouch for loopback names and for AWS host names (code that names those is led to this machine).
//!
//! Names of an app's own (custom domains, and the name under which other machines know this one) are vouched for by others,
//! which only the app's functions trust: their keys are gone when the process ends. A certificate that the operator brings
//! comes before both, for the names that it is made for.
//!
//! | file | what it does |
//! | --- | --- |
//! | `names` | which names are this machine's |
//! | `minter`, `resolver` | makes certificates; finds the one for a client |
//! | `files` | keeps what is kept |

mod files;
mod minter;
mod names;
mod resolver;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use self::files::{create_private_dir, publish_new, read, replace};
use self::minter::{MintError, Minter, authority_params};
use self::names::SUFFIXES;
use self::resolver::{Resolver, Vouched};

pub use self::files::system_bundle;
pub use self::names::{is_here, is_own_host};

/// The authority could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A key or certificate could not be made, or the stored key cannot be read.
    #[error("cannot make a certificate (if {} is damaged, delete it)", path.display())]
    Certificate {
        /// The file of the authority's key.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// What the operator brought is no certificate with its key.
    #[error("{} and {} are not a certificate and its key: {reason}", certificate.display(), key.display())]
    Brought {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// The TLS library refused the settings.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// The local certificate authority: its files, and TLS for this machine's names.
#[derive(Debug)]
pub struct Authority {
    /// The authority's own certificate, for people and tools to trust.
    pub certificate: PathBuf,
    /// TLS for every name that is vouched for.
    pub tls: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
    trust: Mutex<Trust>,
}

/// What functions are to trust, in files.
#[derive(Debug)]
struct Trust {
    /// Where the files are.
    folder: PathBuf,
    /// The public authorities of the system, as PEM.
    public: String,
    /// This authority, and what the operator brought, as PEM.
    own: String,
}

impl Trust {
    /// Writes the files.
    fn write(&self, apps: &[Vouched]) -> Result<(), AuthorityError> {
        let apps = apps.iter().map(|vouched| vouched.pem.as_str());
        let own: String = std::iter::once(self.own.as_str()).chain(apps).collect();
        replace(&self.folder.join(OWN_FILE), own.as_bytes())?;
        replace(&self.folder.join(BUNDLE_FILE), format!("{}\n{own}", self.public).as_bytes())
    }
}

/// The name of the file with what is trusted besides the public authorities.
const OWN_FILE: &str = "ca.pem";

/// The name of the file with all that is trusted.
const BUNDLE_FILE: &str = "ca-bundle.pem";

impl Authority {
    /// Opens the authority in `folder`, making it on the first start.
    ///
    /// `epoch_millis` is the present: certificates are valid from the day before.
    ///
    /// # Errors
    /// When its files cannot be read or written, or are damaged.
    pub fn open(folder: &Path, epoch_millis: u64) -> Result<Self, AuthorityError> {
        create_private_dir(folder).map_err(|source| AuthorityError::File {
            action: "create",
            path: folder.into(),
            source,
        })?;
        let key_file = folder.join("ca-key.pem");
        let made = |source| AuthorityError::Certificate { path: key_file.clone(), source };
        if !key_file.exists() {
            let key = KeyPair::generate().map_err(made)?;
            // Another process may be first: then its key is the one.
            publish_new(&key_file, key.serialize_pem().as_bytes())?;
        }
        let key = KeyPair::from_pem(&read(&key_file)?).map_err(made)?;
        let names = SUFFIXES.map(str::to_owned).into_iter();
        let params = authority_params("Stillwire local certificate authority", names);
        let certificate = folder.join(OWN_FILE);
        if !fits(&certificate, &key) {
            // None yet, or of a key that is gone.
            let own = params.self_signed(&key).map_err(made)?;
            replace(&certificate, own.pem().as_bytes())?;
        }
        let public = system_bundle().and_then(|path| fs::read_to_string(path).ok());
        let trust = Trust {
            folder: folder.into(),
            public: public.unwrap_or_default(),
            own: read(&certificate)?,
        };
        trust.write(&[])?;

        let minter = Minter { issuer: Issuer::new(params, key), epoch_millis };
        let default = Arc::new(minter.mint(None).map_err(|error| match error {
            MintError::Certificate(source) => made(source),
            MintError::Tls(source) => AuthorityError::Tls(source),
        })?);
        let resolver = Arc::new(Resolver::new(minter, default));
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as _);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, tls: Arc::new(tls), resolver, trust: Mutex::new(trust) })
    }

    /// Keeps what functions are to trust in this folder from now on: it is theirs alone.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn trust_in(&self, folder: &Path) -> Result<(), AuthorityError> {
        let mut trust = self.trust();
        trust.folder = folder.into();
        trust.write(&self.resolver.apps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is to be trusted besides the public authorities, in one file.
    pub fn own_certificates(&self) -> PathBuf {
        self.trust().folder.join(OWN_FILE)
    }

    /// The public authorities of the system and what is to be trusted besides in one file, for SDKs: their setting replaces
    /// what they trust otherwise.
    pub fn bundle(&self) -> PathBuf {
        self.trust().folder.join(BUNDLE_FILE)
    }

    /// Presents the certificate that an operator brings (PEM, with those between it and its authority) to clients that ask for
    /// a name that it is made for. Functions trust it.
    ///
    /// # Errors
    /// When the files cannot be read, or are not a certificate and its key.
    pub fn present(&self, certificate: &Path, key: &Path) -> Result<(), AuthorityError> {
        let wrong = |reason: String| AuthorityError::Brought {
            certificate: certificate.into(),
            key: key.into(),
            reason,
        };
        let (pem, key_pem) = (read(certificate)?, read(key)?);
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| wrong(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes());
        let key = key.map_err(|error| wrong(error.to_string()))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| wrong(error.to_string()))?;
        self.resolver.brought.set(Arc::new(certified)).ok(); // an operator brings one
        let mut trust = self.trust();
        trust.own.extend(["\n", &pem, "\n"]);
        trust.write(&self.resolver.apps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Vouches for these names of an app's own (`ws.example.com`, `*.example.com`) and for none before, for whoever trusts
    /// [`bundle`](Self::bundle), and in this process only. Who vouches already for one of them goes on to.
    ///
    /// # Errors
    /// When the files cannot be written, or one of the names cannot stand in a certificate: then nothing is changed.
    pub fn vouch_for(&self, names: &[String]) -> Result<(), AuthorityError> {
        let trust = self.trust();
        let mut apps = self.resolver.apps.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = |name: &&String| apps.iter().any(|vouched| vouched.names.contains(name));
        let fresh: Vec<String> = names.iter().filter(|name| !is_known(name)).cloned().collect();
        let added = (!fresh.is_empty()).then(|| self.vouched(fresh)).transpose();
        let made = |source| AuthorityError::Certificate { path: trust.folder.clone(), source };
        let added = added.map_err(made)?;
        for vouched in apps.iter_mut() {
            vouched.names.retain(|name| names.contains(name));
        }
        apps.retain(|vouched| !vouched.names.is_empty());
        apps.extend(added);
        self.resolver.forget();
        trust.write(&apps)
    }

    /// Somebody who vouches for these names.
    fn vouched(&self, names: Vec<String>) -> Result<Vouched, rcgen::Error> {
        let suffixes = names.iter().map(|name| name.trim_start_matches("*.").to_owned());
        let params = authority_params("Stillwire names of apps", suffixes);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let epoch_millis = self.resolver.minter.epoch_millis;
        let minter = Minter { issuer: Issuer::new(params, key), epoch_millis };
        Ok(Vouched { names, minter, pem })
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a certificate is of this key: its bytes hold the key's public half.
fn fits(certificate: &Path, key: &KeyPair) -> bool {
    let Ok(certificate) = CertificateDer::from_pem_file(certificate) else { return false };
    let public = key.public_key_raw();
    certificate.windows(public.len()).any(|bytes| bytes == public)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_500_000_000;

    #[test]
    fn the_authority_is_made_once_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/stillwire");
        let first = Authority::open(&folder, NOW).unwrap();
        let certificate = fs::read_to_string(&first.certificate).unwrap();
        let again = Authority::open(&folder, NOW + 86_400_000).unwrap();
        assert_eq!(fs::read_to_string(&again.certificate).unwrap(), certificate);
        assert!(fs::read_to_string(again.bundle()).unwrap().ends_with(&certificate));
        let mode = fs::metadata(folder.join("ca-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_certificate_of_a_key_that_is_gone_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), NOW).unwrap();
        let certificate = fs::read_to_string(&first.certificate).unwrap();
        fs::remove_file(folder.path().join("ca-key.pem")).unwrap();
        let again = Authority::open(folder.path(), NOW).unwrap();
        let renewed = fs::read_to_string(&again.certificate).unwrap();
        assert_ne!(renewed, certificate);
        assert!(fs::read_to_string(again.bundle()).unwrap().ends_with(&renewed));
    }

    #[test]
    fn names_of_an_app_are_vouched_for_as_long_as_it_has_them() {
        let (home, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let authority = Authority::open(home.path(), NOW).unwrap();
        let usual = fs::read_to_string(authority.bundle()).unwrap();
        let has = |name| authority.resolver.mint(name).is_some();
        assert!(!has("ws.example.com"));
        authority.trust_in(own.path()).unwrap();
        let names = ["ws.example.com".to_owned(), "*.example.org".to_owned()];
        authority.vouch_for(&names).unwrap();
        for (name, expected) in [
            ("ws.example.com", true),
            ("a.example.org", true),
            ("x.amazonaws.com", true),
            ("example.org", false),
            ("a.b.example.org", false),
            ("example.com", false),
        ] {
            assert_eq!(has(name), expected, "{name}");
        }
        let first = fs::read_to_string(own.path().join("ca-bundle.pem")).unwrap();
        assert!(first.starts_with(&usual) && first.len() > usual.len());
        assert_eq!(fs::read_to_string(home.path().join("ca-bundle.pem")).unwrap(), usual);

        // Another comes while the app runs, and who trusted the others still does.
        authority.vouch_for(&[names[0].clone(), "new.example.net".to_owned()]).unwrap();
        assert!(has("ws.example.com") && has("new.example.net") && !has("a.example.org"));
        let second = fs::read_to_string(authority.bundle()).unwrap();
        assert!(second.starts_with(&first) && second.len() > first.len());
        authority.vouch_for(&[]).unwrap();
        assert!(!has("ws.example.com"));
        assert_eq!(fs::read_to_string(authority.bundle()).unwrap(), usual);
    }

    #[test]
    fn a_certificate_that_is_brought_is_presented_for_its_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), NOW).unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let own = rcgen::generate_simple_self_signed(["ws.example.com".to_owned()]).unwrap();
        fs::write(&certificate, own.cert.pem()).unwrap();
        fs::write(&key, own.signing_key.serialize_pem()).unwrap();
        authority.present(&certificate, &key).unwrap();
        assert!(fs::read_to_string(authority.bundle()).unwrap().contains(own.cert.pem().trim()));
        let brought = authority.resolver.brought.get().unwrap();
        assert!(resolver::is_made_for(brought, "ws.example.com"));
        assert!(!resolver::is_made_for(brought, "other.example.com"));

        let other = KeyPair::generate().unwrap();
        fs::write(&key, other.serialize_pem()).unwrap();
        let error = authority.present(&certificate, &key).unwrap_err().to_string();
        assert!(error.contains("key.pem are not a certificate and its key"), "{error}");
        fs::write(&certificate, "nothing").unwrap();
        assert!(authority.present(&certificate, &key).is_err());
    }

    #[test]
    fn a_damaged_key_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca-key.pem"), "nonsense").unwrap();
        let error = Authority::open(folder.path(), NOW).unwrap_err().to_string();
        assert!(error.contains("ca-key.pem is damaged, delete it"), "{error}");
    }
}
