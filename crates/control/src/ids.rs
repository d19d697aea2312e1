//! Ids as the service makes them up: lower-case letters and digits.

use aws_lc_rs::rand;

use crate::error::{Answered, Refused};
use crate::state::{Api, State};

const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A new id of so many characters that begins with a letter.
pub(crate) fn fresh(length: usize) -> Answered<String> {
    let mut seed = vec![0; length];
    rand::fill(&mut seed).map_err(|_| {
        Refused::rest(500, "InternalFailure", "the system has no random source for a new id")
    })?;
    let spell = |(place, byte): (usize, u8)| {
        // The first letter begins a host name.
        let letters = if place == 0 { LETTERS.get(..26) } else { LETTERS.get(..) };
        let letters = letters.unwrap_or_default();
        letters.get(usize::from(byte) % letters.len().max(1)).copied().map(char::from)
    };
    Ok(seed.into_iter().enumerate().filter_map(spell).collect())
}

/// An id for a new API.
pub(crate) fn of_api(state: &State) -> Answered<String> {
    loop {
        let id = fresh(10)?;
        if !state.apis.contains_key(&id) {
            return Ok(id);
        }
    }
}

/// An id for a new part of an API.
pub(crate) fn of_part(api: &Api) -> Answered<String> {
    loop {
        let id = fresh(7)?;
        if !api.parts.contains_id(&id) {
            return Ok(id);
        }
    }
}

/// An id for a new deployment of an API.
pub(crate) fn of_deployment(api: &Api) -> Answered<String> {
    loop {
        let id = fresh(6)?;
        if !api.deployments.contains_key(&id) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_lower_case_and_begins_with_a_letter() {
        for _ in 0..200 {
            let id = fresh(10).unwrap();
            assert_eq!(id.len(), 10);
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
            assert!(id.starts_with(|first: char| first.is_ascii_lowercase()), "{id}");
        }
    }
}
