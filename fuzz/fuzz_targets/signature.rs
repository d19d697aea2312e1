//! Any `Authorization` header is parsed or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillwire_awswire::{ConnectionId, CredentialScope};

fuzz_target!(|input: &str| {
    if let Ok(scope) = CredentialScope::parse(input) {
        assert!(!scope.service.is_empty() && !scope.region.is_empty());
    }
    if let Ok(id) = ConnectionId::parse(input) {
        assert_eq!(ConnectionId::parse(&id.to_string()), Ok(id));
    }
});
