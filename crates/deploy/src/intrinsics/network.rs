//! `Fn::Cidr` and `Fn::GetAZs`.

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

/// `count` IPv4 blocks with `bits` host bits, from the start of `block`.
fn cidr(block: &str, count: &str, bits: &str) -> Option<Vec<String>> {
    let (address, length) = block.split_once('/')?;
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
    let count: u64 = count.parse().ok().filter(|count| (1..=256).contains(count))?;
    let size = 1_u64 << bits;
    if count * size > 1_u64 << (32 - length) {
        return None;
    }
    (0..count)
        .map(|index| {
            let start = u64::from(u32::from(address)) + index * size;
            let start = std::net::Ipv4Addr::from(u32::try_from(start).ok()?);
            Some(format!("{start}/{}", 32 - bits))
        })
        .collect()
}
