//! The keys that functions sign with on this machine.

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
