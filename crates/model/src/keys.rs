//! The keys that functions and this program sign with on this machine.

use std::hash::Hash as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::FunctionArn;

/// Shaped like the keys of an assumed role, so that SDKs look no further. They open nothing but what runs here.
pub const LOCAL_KEYS: LocalKeys = LocalKeys {
    access_key: "ASIASTILLWIRELOCAL00",
    secret: "stillwire-local-secret-that-opens-nothing",
    session_token: "stillwire-local-session-that-opens-nothing",
};

/// An access key, its secret, and its session.
#[derive(Debug, Clone, Copy)]
pub struct LocalKeys {
    /// The access key id.
    pub access_key: &'static str,
    /// The secret access key.
    pub secret: &'static str,
    /// The session token. Requests may come without it.
    pub session_token: &'static str,
}

/// Source: RFC 4648, section 6.
const BASE32: [char; 32] = [
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S',
    'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
];

/// The access key that a function signs with, always the same: it tells functions apart, and is no secret. Secret
/// and session are those of [`LOCAL_KEYS`].
///
/// Source: IAM User Guide, "Understanding unique ID prefixes": `ASIA` is for temporary keys; 20 characters in all.
pub fn function_key(arn: &FunctionArn) -> String {
    let mut hasher = SipHasher13::new();
    arn.as_str().hash(&mut hasher);
    let digest = hasher.finish128().as_u128();
    let letters = (0..16).map(|place| {
        let five_bits = usize::try_from(digest >> (5 * place) & 31).unwrap_or_default();
        BASE32.get(five_bits).copied().unwrap_or('A')
    });
    "ASIA".chars().chain(letters).collect()
}

/// The digits of an account.
const ACCOUNT_DIGITS: usize = 12;

/// A temporary access key that leads to an account; `salt` tells those of one account apart.
///
/// Source: as above.
pub fn account_key(account: &str, salt: u32) -> String {
    let letter = |place: u32| {
        let five_bits = usize::try_from(salt >> (5 * place) & 31).unwrap_or_default();
        BASE32.get(five_bits).copied().unwrap_or('A')
    };
    let letters: String = (0..4).map(letter).collect();
    format!("ASIA{account:0>12}{letters}")
}

/// The account that an access key names: one of twelve digits is an account's own, and some temporary ones
/// ([`account_key`]) hold it.
pub fn account_of_key(key: &str) -> Option<&str> {
    let temporary = key.strip_prefix("ASIA").filter(|rest| rest.len() == ACCOUNT_DIGITS + 4);
    let digits = temporary.map_or(Some(key), |rest| rest.get(..ACCOUNT_DIGITS))?;
    let is_account =
        digits.len() == ACCOUNT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_account() {
        assert_eq!(account_of_key("999999999999"), Some("999999999999"));
        let key = account_key("999999999999", 77);
        assert_eq!((key.len(), account_of_key(&key)), (20, Some("999999999999")));
        assert_ne!(key, account_key("999999999999", 78));
        for other in ["AKIAIOSFODNN7EXAMPLE", "99999999999", "ASIASTILLWIRELOCAL00", "", "ASIA"] {
            assert_eq!(account_of_key(other), None, "{other}");
        }
    }

    #[test]
    fn each_function_has_a_key_of_its_own_that_stays() {
        let key = |name: &str| function_key(&FunctionArn::new("aws", "eu-west-1", "1", name));
        assert_eq!(key("chat"), key("chat"));
        assert_ne!(key("chat"), key("chat2"));
        assert_eq!(key("chat").len(), LOCAL_KEYS.access_key.len());
        assert!(key("chat").starts_with("ASIA") && key("chat").is_ascii());
    }
}
