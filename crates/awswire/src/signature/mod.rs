//! Signature Version 4.

mod scope;

pub use scope::{CredentialScope, InvalidAuthorization};
