//! Makes certificates: an authority's own, and those that it signs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// How long a certificate made here is valid, in days. Choice: some clients refuse more than 825.
const CERTIFICATE_DAYS: i64 = 800;

/// An authority's own fields: who it is, and the names that it may vouch for beside loopback. They must stay the same for a
/// stored certificate to fit its key.
pub(super) fn authority_params(
    name: &str,
    suffixes: impl Iterator<Item = String>,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
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
pub(super) struct Minter {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// A moment of the day after the first on which they are valid.
    pub(super) epoch_millis: u64,
}

/// A certificate that could not be made.
pub(super) enum MintError {
    Certificate(rcgen::Error),
    Tls(rustls::Error),
}

impl Minter {
    /// A certificate for `name`, or for loopback.
    pub(super) fn mint(&self, name: Option<&str>) -> Result<CertifiedKey, MintError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name.unwrap_or("localhost"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (year, month, first) = day(self.epoch_millis, -1);
        params.not_before = rcgen::date_time_ymd(year, month, first);
        let (year, month, last) = day(self.epoch_millis, CERTIFICATE_DAYS);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_in_utc() {
        assert_eq!(day(0, -1), (1969, 12, 31));
        assert_eq!(day(1_709_164_800_000, 1), (2024, 3, 1)); // 29 February 2024 and a day
    }
}
