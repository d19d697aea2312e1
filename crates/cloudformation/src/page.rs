//! Lists, a page at a time.

use stillwire_awswire::Xml;

use crate::error::{Answered, Refused};
use crate::limits;

/// One page of a list, and the token of the next.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    next: Option<usize>,
}

/// The page that a token names; the first without one. A token says where a page begins.
pub(crate) fn page<T>(all: impl IntoIterator<Item = T>, token: Option<&str>) -> Answered<Page<T>> {
    let from = match token {
        None => 0,
        Some(token) => {
            token.parse::<usize>().map_err(|_| Refused::invalid("NextToken is not one of ours"))?
        }
    };
    let mut rest = all.into_iter().skip(from);
    let items = rest.by_ref().take(limits::PAGE).collect();
    let next = rest.next().map(|_| from.saturating_add(limits::PAGE));
    Ok(Page { items, next })
}

impl<T> Page<T> {
    /// Writes the token of the next page.
    pub(crate) fn write_token(&self, xml: &mut Xml) {
        xml.maybe("NextToken", self.next.map(|next| next.to_string()));
    }
}
