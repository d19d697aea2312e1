//! The local certificate authority.
//!
//! Functions build `https://` and `wss://` addresses of their own API, so those must answer, and SDKs must
//! trust them. The authority is made once per user, its key readable by that user alone. Its certificate may
//! only vouch for loopback names and for AWS host names (code that names those is led to this machine).
//!
//! An app's own custom domains are vouched for by another authority, which only the app's functions trust: its key is
//! gone when the process ends.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The DNS suffixes that certificates are made for.
const SUFFIXES: [&str; 4] = ["amazonaws.com", "amazonaws.com.cn", "api.aws", "localhost"];

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
fn is_vouched(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
}

/// Certificates kept at once; names beyond are made anew each time.
const CERTIFICATES_MAX: usize = 256;

/// How long a certificate made here is valid, in days. Choice: some clients refuse more than 825.
const CERTIFICATE_DAYS: i64 = 800;

/// Where distributions keep the public authorities in one file.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The file in which the system keeps the public authorities, if it has one.
pub fn system_bundle() -> Option<PathBuf> {
    SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.exists())
}

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
    /// The TLS library refused the settings.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// The local certificate authority: its files, and TLS for this machine's names.
#[derive(Debug)]
pub struct Authority {
    /// The authority's own certificate, for people and tools to trust.
    pub certificate: PathBuf,
    /// The public authorities of the system and this one in one file, for SDKs: their setting replaces what
    /// they trust otherwise.
    pub bundle: PathBuf,
    /// TLS for every name that is vouched for.
    pub tls: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
}

impl Authority {
    /// Opens the authority in `folder`, making it on the first start.
    ///
    /// `epoch_millis` is the present: certificates are valid from the day before.
    pub fn open(folder: &Path, epoch_millis: u64) -> Result<Self, AuthorityError> {
        let key_file = folder.join("ca-key.pem");
        let certificate = folder.join("ca.pem");
        let bundle = folder.join("ca-bundle.pem");
        let made = |source| AuthorityError::Certificate { path: key_file.clone(), source };
        create_private_dir(folder).map_err(|source| AuthorityError::File {
            action: "create",
            path: folder.into(),
            source,
        })?;
        let key =
            match fs::read_to_string(&key_file) {
                Ok(pem) => KeyPair::from_pem(&pem).map_err(made)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let key = KeyPair::generate().map_err(made)?;
                    // Another process may be first: then its key is the one.
                    publish_new(&key_file, key.serialize_pem().as_bytes())?;
                    let pem = fs::read_to_string(&key_file).map_err(|source| {
                        AuthorityError::File { action: "read", path: key_file.clone(), source }
                    })?;
                    KeyPair::from_pem(&pem).map_err(made)?
                }
                Err(source) => {
                    return Err(AuthorityError::File { action: "read", path: key_file, source });
                }
            };
        let mut params = authority_params(SUFFIXES.map(str::to_owned).into_iter());
        params.distinguished_name.push(DnType::CommonName, "Stillwire local certificate authority");
        if !fits(&certificate, &key) {
            // None yet, or of a key that is gone.
            let own = params.self_signed(&key).map_err(made)?;
            replace(&certificate, own.pem().as_bytes())?;
        }
        let pem = fs::read_to_string(&certificate).map_err(|source| AuthorityError::File {
            action: "read",
            path: certificate.clone(),
            source,
        })?;
        let system = system_bundle().and_then(|path| fs::read_to_string(path).ok());
        replace(&bundle, format!("{}\n{pem}", system.unwrap_or_default()).as_bytes())?;

        let minter = Minter { issuer: Issuer::new(params, key), first_day: epoch_millis };
        let default = Arc::new(minter.mint(None).map_err(|error| match error {
            MintError::Certificate(source) => made(source),
            MintError::Tls(source) => AuthorityError::Tls(source),
        })?);
        let (made, domains) = (Mutex::default(), OnceLock::new());
        let resolver = Arc::new(Resolver { minter, domains, default, made });
        let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as _);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, bundle, tls: Arc::new(tls), resolver })
    }

    /// Vouches for these names of an app's own too (`ws.example.com`, `*.example.com`), for whoever trusts the bundle
    /// that is written to `bundle`, and in this process only.
    ///
    /// # Errors
    /// When the file cannot be written, or one of the names cannot stand in a certificate.
    pub fn vouch_for(&mut self, names: Vec<String>, bundle: PathBuf) -> Result<(), AuthorityError> {
        let made = |source| AuthorityError::Certificate { path: bundle.clone(), source };
        let mut params =
            authority_params(names.iter().map(|name| name.trim_start_matches("*.").to_owned()));
        params.distinguished_name.push(DnType::CommonName, "Stillwire custom domains");
        let key = KeyPair::generate().map_err(made)?;
        let own = params.self_signed(&key).map_err(made)?;
        let first_day = self.resolver.minter.first_day;
        let minter = Minter { issuer: Issuer::new(params, key), first_day };
        let known = fs::read_to_string(&self.bundle).map_err(|source| AuthorityError::File {
            action: "read",
            path: self.bundle.clone(),
            source,
        })?;
        replace(&bundle, format!("{known}\n{}", own.pem()).as_bytes())?;
        self.resolver.domains.set((names, minter)).ok(); // an app's names are known once
        self.bundle = bundle;
        Ok(())
    }
}

/// Whether a certificate is of this key: its bytes hold the key's public half.
fn fits(certificate: &Path, key: &KeyPair) -> bool {
    let Ok(certificate) = CertificateDer::from_pem_file(certificate) else { return false };
    let public = key.public_key_raw();
    certificate.windows(public.len()).any(|bytes| bytes == public)
}

/// An authority's own fields. They must stay the same for a stored certificate to fit its key.
fn authority_params(suffixes: impl Iterator<Item = String>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let names = suffixes.map(GeneralSubtree::DnsName);
    let addresses = [
        CidrSubnet::from_addr_prefix(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        CidrSubnet::from_addr_prefix(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names
            .chain(addresses.into_iter().map(GeneralSubtree::IpAddress))
            .collect(),
        excluded_subtrees: Vec::new(),
    });
    params
}

/// Makes certificates.
struct Minter {
    issuer: Issuer<'static, KeyPair>,
    first_day: u64,
}

enum MintError {
    Certificate(rcgen::Error),
    Tls(rustls::Error),
}

impl Minter {
    /// A certificate for `name`, or for loopback.
    fn mint(&self, name: Option<&str>) -> Result<CertifiedKey, MintError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name.unwrap_or("localhost"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (year, month, first) = day(self.first_day, -1);
        params.not_before = rcgen::date_time_ymd(year, month, first);
        let (year, month, last) = day(self.first_day, CERTIFICATE_DAYS);
        params.not_after = rcgen::date_time_ymd(year, month, last);
        params.subject_alt_names = match name {
            Some(name) => vec![SanType::DnsName(name.try_into().map_err(MintError::Certificate)?)],
            None => vec![
                SanType::DnsName("localhost".try_into().map_err(MintError::Certificate)?),
                SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
                SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
            ],
        };
        let key = KeyPair::generate().map_err(MintError::Certificate)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(MintError::Certificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(MintError::Tls)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// The day that is `offset` days after a moment, as (year, month, day).
fn day(epoch_millis: u64, offset: i64) -> (i32, u8, u8) {
    let millis = i64::try_from(epoch_millis).unwrap_or(0) + offset * 86_400_000;
    let date = jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let small = |part: i8| u8::try_from(part).unwrap_or(1);
    (date.year().into(), small(date.month()), small(date.day()))
}

/// Finds, or makes, the certificate for the name a client asks for.
struct Resolver {
    minter: Minter,
    /// The custom domains, and who vouches for them.
    domains: OnceLock<(Vec<String>, Minter)>,
    default: Arc<CertifiedKey>,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
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
        let minter = self.minter_for(&name)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = made.get(&name) {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(minter.mint(Some(&name)).ok()?);
        if made.len() < CERTIFICATES_MAX {
            made.insert(name, Arc::clone(&key));
        }
        Some(key)
    }
}

impl Resolver {
    fn minter_for(&self, name: &str) -> Option<&Minter> {
        if is_vouched(name) {
            return Some(&self.minter);
        }
        let (names, minter) = self.domains.get()?;
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        names.iter().any(|own| own == name || Some(own) == wildcard.as_ref()).then_some(minter)
    }
}

fn create_private_dir(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file that only its owner reads, unless it exists.
fn publish_new(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let temporary = write_beside(path, content)?;
    // A link fails where the name is taken, so the first of two processes wins and both read one file.
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(AuthorityError::File { action: "create", path: path.into(), source: error })
        }
        _ => removed.map_err(|source| AuthorityError::File {
            action: "remove",
            path: temporary,
            source,
        }),
    }
}

/// Writes a file whole: readers see the old text or the new one.
fn replace(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let temporary = write_beside(path, content)?;
    fs::rename(&temporary, path).map_err(|source| AuthorityError::File {
        action: "replace",
        path: path.into(),
        source,
    })
}

fn write_beside(path: &Path, content: &[u8]) -> Result<PathBuf, AuthorityError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(temporary),
        Err(source) => Err(AuthorityError::File { action: "write", path: temporary, source }),
    }
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
        assert!(fs::read_to_string(&again.bundle).unwrap().ends_with(&certificate));
        let mode = fs::metadata(folder.join("ca-key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
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

    #[test]
    fn a_certificate_of_a_key_that_is_gone_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), NOW).unwrap();
        let certificate = fs::read_to_string(&first.certificate).unwrap();
        fs::remove_file(folder.path().join("ca-key.pem")).unwrap();
        let again = Authority::open(folder.path(), NOW).unwrap();
        let renewed = fs::read_to_string(&again.certificate).unwrap();
        assert_ne!(renewed, certificate);
        assert!(fs::read_to_string(&again.bundle).unwrap().ends_with(&renewed));
    }

    #[test]
    fn the_authority_of_custom_domains_is_in_their_bundle_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = Authority::open(folder.path(), NOW).unwrap();
        let usual = fs::read_to_string(&authority.bundle).unwrap();
        let has = |authority: &Authority, name| authority.resolver.minter_for(name).is_some();
        assert!(!has(&authority, "ws.example.com"));
        let bundle = folder.path().join("app.pem");
        let names = vec!["ws.example.com".to_owned(), "*.example.org".to_owned()];
        authority.vouch_for(names, bundle.clone()).unwrap();
        for (name, expected) in [
            ("ws.example.com", true),
            ("a.example.org", true),
            ("x.amazonaws.com", true),
            ("example.org", false),
            ("a.b.example.org", false),
            ("example.com", false),
        ] {
            assert_eq!(has(&authority, name), expected, "{name}");
        }
        assert!(authority.resolver.domains.get().unwrap().1.mint(Some("ws.example.com")).is_ok());
        assert_eq!(authority.bundle, bundle);
        assert!(fs::read_to_string(&bundle).unwrap().starts_with(&usual));
        assert!(fs::read_to_string(folder.path().join("ca-bundle.pem")).unwrap() == usual);
    }

    #[test]
    fn a_damaged_key_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca-key.pem"), "nonsense").unwrap();
        let error = Authority::open(folder.path(), NOW).unwrap_err().to_string();
        assert!(error.contains("ca-key.pem is damaged, delete it"), "{error}");
    }

    #[test]
    fn a_day_is_counted_in_utc() {
        assert_eq!(day(0, -1), (1969, 12, 31));
        assert_eq!(day(1_709_164_800_000, 1), (2024, 3, 1)); // 29 February 2024 and a day
    }
}
