//! Connection ids that lead to their owner.
//!
//! An id is 88 bits: where the connection lives (node, shard, slot), which of the slot's connections it is, and
//! a check, all of it under a keyed permutation. So an id tells a stranger nothing and cannot be guessed, while
//! its owner is found without a table and a forged one is refused without a look.
//!
//! Choice: API Gateway's ids have the same length and shape; how it makes them is not known.

use std::hash::Hasher as _;

use aws_lc_rs::rand;
use siphasher::sip::SipHasher24;
use stillwire_awswire::ConnectionId;

/// Bits of a half of an id.
const HALF: u32 = 44;
const HALF_MASK: u64 = (1 << HALF) - 1;

/// Choice: four rounds make a Feistel network over a keyed random function a strong permutation (Luby and
/// Rackoff, 1988); two more are a margin.
const ROUNDS: u8 = 6;

/// Connections that one slot has before its ids repeat: more than a machine accepts in the life of a process.
const GENERATIONS: u32 = 1 << 28;

/// Where a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Of 4096 nodes.
    pub(crate) node: u16,
    /// Of 256 shards.
    pub(crate) shard: u8,
    /// Of 16,777,216 slots.
    pub(crate) slot: u32,
    /// Of 268,435,456 connections one after another in this slot.
    pub(crate) generation: u32,
}

/// Makes ids of addresses, and addresses of its own ids.
#[derive(Debug, Clone)]
pub struct Addresses {
    key: SipHasher24,
}

impl Addresses {
    /// With a fresh key; `None` when the system has no random source.
    pub fn new() -> Option<Self> {
        let mut key = [0; 16];
        rand::fill(&mut key).ok()?;
        Some(Self { key: SipHasher24::new_with_key(&key) })
    }

    /// The shard and the slot of the connection that has, or had, this id; `None` for an id that never was.
    pub fn locate(&self, id: ConnectionId) -> Option<(usize, usize)> {
        let address = self.address_of(id).filter(|address| address.node == 0)?;
        Some((usize::from(address.shard), usize::try_from(address.slot).ok()?))
    }

    /// The generation that follows.
    pub(crate) fn next_generation(generation: u32) -> u32 {
        (generation + 1) % GENERATIONS
    }

    /// The id of an address.
    pub(crate) fn id_of(&self, address: Address) -> ConnectionId {
        let Address { node, shard, slot, generation } = address;
        // High half: node 12, shard 8, slot 24 bits. Low half: generation 28, check 16 bits, all zero.
        let mut high =
            u64::from(node & 0xfff) << 32 | u64::from(shard) << 24 | u64::from(slot & 0xff_ffff);
        let mut low = u64::from(generation % GENERATIONS) << 16;
        for round in 0..ROUNDS {
            (high, low) = (low, high ^ self.scramble(round, low));
        }
        let whole = u128::from(high) << HALF | u128::from(low);
        let [_, _, _, _, _, bytes @ ..] = whole.to_be_bytes();
        ConnectionId::from_bytes(bytes)
    }

    /// The address in an id of ours; `None` for one that never was.
    pub(crate) fn address_of(&self, id: ConnectionId) -> Option<Address> {
        let mut whole = [0; 16];
        whole.iter_mut().skip(5).zip(id.bytes()).for_each(|(byte, id)| *byte = id);
        let whole = u128::from_be_bytes(whole);
        let mut high = u64::try_from(whole >> HALF).ok()? & HALF_MASK;
        let mut low = u64::try_from(whole & u128::from(HALF_MASK)).ok()?;
        for round in (0..ROUNDS).rev() {
            (high, low) = (low ^ self.scramble(round, high), high);
        }
        if low & 0xffff != 0 {
            return None;
        }
        Some(Address {
            node: u16::try_from(high >> 32).ok()?,
            shard: u8::try_from(high >> 24 & 0xff).ok()?,
            slot: u32::try_from(high & 0xff_ffff).ok()?,
            generation: u32::try_from(low >> 16).ok()?,
        })
    }

    fn scramble(&self, round: u8, half: u64) -> u64 {
        let mut hasher = self.key;
        hasher.write_u64(u64::from(round) << HALF | half);
        hasher.finish() & HALF_MASK
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_leads_back_to_its_address(
            node in 0u16..4096, shard: u8, slot in 0u32..1 << 24, generation in 0..GENERATIONS,
        ) {
            let addresses = Addresses::new().unwrap();
            let address = Address { node, shard, slot, generation };
            prop_assert_eq!(addresses.address_of(addresses.id_of(address)), Some(address));
        }
    }

    #[test]
    fn forged_ids_and_those_of_another_life_lead_nowhere() {
        let (ours, theirs) = (Addresses::new().unwrap(), Addresses::new().unwrap());
        let address = Address { node: 0, shard: 0, slot: 1, generation: 1 };
        let strangers = (0..1000)
            .filter(|&generation| {
                let id = theirs.id_of(Address { generation, ..address });
                ours.address_of(id).is_some()
            })
            .count();
        assert!(strangers <= 2, "{strangers} of 1000 passed a check of 16 bits");
    }

    #[test]
    fn neighbours_do_not_look_alike() {
        let addresses = Addresses::new().unwrap();
        let mut seen = HashSet::new();
        let mut bits = 0;
        for generation in 0..1000 {
            let at = |slot| addresses.id_of(Address { node: 0, shard: 0, slot, generation });
            let (one, other) = (at(1), at(2));
            assert!(seen.insert(one) && seen.insert(other));
            bits += one.bytes().zip(other.bytes()).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        }
        assert!((40_000..48_000).contains(&bits), "half of 88 bits differ: {bits}");
    }
}
