//! The checksums of contents.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity".

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc::{CRC_32_ISCSI, CRC_64_NVME, Crc};

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static CRC64: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// A way to sum up a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64,
    Sha1,
    Sha256,
}

/// Each with the end of its header's name, and the member that answers have.
const ALGORITHMS: [(Algorithm, &str, &str); 5] = [
    (Algorithm::Crc32, "crc32", "ChecksumCRC32"),
    (Algorithm::Crc32c, "crc32c", "ChecksumCRC32C"),
    (Algorithm::Crc64, "crc64nvme", "ChecksumCRC64NVME"),
    (Algorithm::Sha1, "sha1", "ChecksumSHA1"),
    (Algorithm::Sha256, "sha256", "ChecksumSHA256"),
];

impl Algorithm {
    /// The one of a header or trailer, `x-amz-checksum-crc32`.
    pub(crate) fn of_header(name: &str) -> Option<Self> {
        let end = name.strip_prefix("x-amz-checksum-")?;
        ALGORITHMS.iter().find(|(_, known, _)| *known == end).map(|(algorithm, ..)| *algorithm)
    }

    /// The header that carries it.
    pub(crate) fn header(self) -> String {
        let end = ALGORITHMS.iter().find(|(known, ..)| *known == self).map(|(_, end, _)| *end);
        format!("x-amz-checksum-{}", end.unwrap_or_default())
    }

    /// The member that answers have.
    pub(crate) fn member(self) -> &'static str {
        ALGORITHMS.iter().find(|(known, ..)| *known == self).map_or("", |(.., member)| *member)
    }
}

/// Sums up a content as it comes.
#[derive(Clone)]
pub(crate) enum Summing {
    Crc32(crc32fast::Hasher),
    Crc32c(crc::Digest<'static, u32>),
    Crc64(crc::Digest<'static, u64>),
    Digest(digest::Context),
}

impl fmt::Debug for Summing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Summing")
    }
}

impl Summing {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Crc32c => Self::Crc32c(CRC32C.digest()),
            Algorithm::Crc64 => Self::Crc64(CRC64.digest()),
            Algorithm::Sha1 => {
                Self::Digest(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
            }
            Algorithm::Sha256 => Self::Digest(digest::Context::new(&digest::SHA256)),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(sum) => sum.update(bytes),
            Self::Crc32c(sum) => sum.update(bytes),
            Self::Crc64(sum) => sum.update(bytes),
            Self::Digest(sum) => sum.update(bytes),
        }
    }

    /// The sum, in base64 as headers have it.
    pub(crate) fn finish(self) -> String {
        match self {
            Self::Crc32(sum) => BASE64_STANDARD.encode(sum.finalize().to_be_bytes()),
            Self::Crc32c(sum) => BASE64_STANDARD.encode(sum.finalize().to_be_bytes()),
            Self::Crc64(sum) => BASE64_STANDARD.encode(sum.finalize().to_be_bytes()),
            Self::Digest(sum) => BASE64_STANDARD.encode(sum.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_sums_as_its_users_do() {
        // Source: the check values of the catalogue of CRCs, and of FIPS 180-4 for the others ("abc").
        for (algorithm, content, expected) in [
            (Algorithm::Crc32, "123456789", "y/Q5Jg=="),
            (Algorithm::Crc32c, "123456789", "4waSgw=="),
            (Algorithm::Crc64, "123456789", "rosUhgp5mIg="),
            (Algorithm::Sha1, "abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            (Algorithm::Sha256, "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        ] {
            let mut sum = Summing::new(algorithm);
            sum.update(content.as_bytes());
            assert_eq!(sum.finish(), expected, "{algorithm:?}");
            assert_eq!(Algorithm::of_header(&algorithm.header()), Some(algorithm));
        }
    }
}
