//! `Fn::Cidr` and `Fn::GetAZs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::node::{Node, Position, Value};
use crate::resolver::{Resolved, Resolver};

impl Resolver<'_> {
    pub(super) fn call_zones(&mut self, unit: usize, at: Position, argument: &Node) -> Resolved {
        let mut region = self.resolve_text(unit, argument)?;
        if region.is_empty() {
            region.clone_from(&self.unit(unit).scope.region);
        }
        let zones = ["a", "b", "c"].map(|zone| Node::text(at, format!("{region}{zone}")));
        Ok(Some(Node { at, value: Value::List(zones.into()) }))
    }

    pub(super) fn call_cidr(&mut self, unit: usize, at: Position, argument: &Node) -> Resolved {
        let Some(items @ ([_, _] | [_, _, _])) = argument.as_list() else {
            return self.fail(argument.at, "Fn::Cidr [block, count, bits] is expected here");
        };
        let mut texts = Vec::new();
        for item in items {
            texts.push(self.resolve_text(unit, item)?);
        }
        let bits = texts.get(2).map_or("8", String::as_str);
        let blocks =
            texts.first().zip(texts.get(1)).and_then(|(block, count)| cidr(block, count, bits));
        match blocks {
            Some(blocks) => {
                let nodes = blocks.into_iter().map(|block| Node::text(at, block)).collect();
                Ok(Some(Node { at, value: Value::List(nodes) }))
            }
            None => self.fail(argument.at, format!("Fn::Cidr cannot cut {}", texts.join(", "))),
        }
    }
}

/// `count` blocks with `bits` host bits, from the start of `block`.
fn cidr(block: &str, count: &str, bits: &str) -> Option<Vec<String>> {
    let (address, length) = block.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let (start, width) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let length: u32 = length.parse().ok().filter(|length| *length <= width)?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits < width)?;
    let count: u128 = count.parse().ok().filter(|count| (1..=256).contains(count))?;
    let room = 1_u128.checked_shl(width - length); // all of IPv6 is one more than fits
    if room.is_some_and(|room| count > room >> bits) {
        return None;
    }
    let blocks = (0..count).map(|index| {
        let start = start.checked_add(index.checked_shl(bits)?)?;
        let start = match address {
            IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(start).ok()?).to_string(),
            IpAddr::V6(_) => Ipv6Addr::from(start).to_string(),
        };
        Some(format!("{start}/{}", width - bits))
    });
    blocks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_from_both_kinds_of_addresses_as_long_as_there_is_room() {
        let cut = |block, count, bits| cidr(block, count, bits).unwrap_or_default().join(" ");
        assert_eq!(cut("10.0.0.0/16", "2", "8"), "10.0.0.0/24 10.0.1.0/24");
        assert_eq!(cut("2001:db8::/56", "2", "64"), "2001:db8::/64 2001:db8:0:1::/64");
        assert_eq!(cut("10.0.0.0/24", "2", "8"), "");
        assert_eq!(cut("::/0", "1", "127"), "::/1");
        for (count, bits) in [("0", "8"), ("257", "1"), ("1", "32"), ("x", "8")] {
            assert_eq!(cut("10.0.0.0/8", count, bits), "");
        }
        assert_eq!(cut("10.0.0.0", "1", "8"), "");
        assert_eq!(cut("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0", "256", "127"), "");
    }
}
