//! The Merkle tree of the transparency log, beside one that is made another way: level by level,
//! where an odd node goes up as it is.
//!
//! Asserts that roots and inclusion proofs are the same as there, that every proof that is made is
//! taken, and that none is taken that was not made: neither a changed one, nor one that the input
//! brings along.

use sha2::{Digest as _, Sha256};

use super::choices::Choices;
use super::index;
use crate::evidence::{Hash, Tree, leaf_hash, verify_consistency, verify_inclusion};

/// What a proof of any tree has at most, and some more.
const PROOF_HASHES_MAX: u32 = 70;

/// Input: how many leaves, which tree and leaf are asked about, then a change, then a forged proof.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let count = 1 + choices.below(130);
    let mut tree = Tree::default();
    for n in 0..count {
        // Some entries are the same: where it stands makes the difference.
        tree.push(&(n / 2).to_le_bytes());
    }
    let size = 1 + index(choices.below(count));
    let place = index(choices.u8()) % size;
    let before = 1 + index(choices.u8()) % size;
    let levels = levels(index(count), size);
    let root = tree.root(size).unwrap();
    assert_eq!(levels.last().unwrap()[..], [root], "the root of {size}");
    included(&mut choices, &tree, &levels, place, size);
    consistent(&mut choices, &tree, before, size);
    forged(&mut choices, &tree, place, before, size);
}

/// All hashes over the first `size` leaves, the leaves first and the root last.
fn levels(count: usize, size: usize) -> Vec<Vec<Hash>> {
    let entry = |n: usize| u32::try_from(n / 2).unwrap().to_le_bytes();
    let leaves: Vec<Hash> = (0..count.min(size)).map(|n| leaf_hash(&entry(n))).collect();
    let mut levels = vec![leaves];
    while levels.last().unwrap().len() > 1 {
        let up = levels.last().unwrap().chunks(2).map(|pair| match pair {
            [left, right] => {
                let hasher = Sha256::new().chain_update([1]);
                hasher.chain_update(left).chain_update(right).finalize().into()
            }
            _ => pair[0],
        });
        let up = up.collect();
        levels.push(up);
    }
    levels
}

/// What stands beside the way of leaf `place` up through `levels`.
fn beside(levels: &[Vec<Hash>], place: usize) -> Vec<Hash> {
    let mut at = place;
    let mut hashes = Vec::new();
    for level in levels {
        hashes.extend(level.get(at ^ 1));
        at /= 2;
    }
    hashes
}

fn included(
    choices: &mut Choices<'_>,
    tree: &Tree,
    levels: &[Vec<Hash>],
    place: usize,
    size: usize,
) {
    let (at, len) = (wide(place), wide(size));
    let (leaf, root) = (levels[0][place], tree.root(size).unwrap());
    let proof = tree.inclusion(place, size).unwrap();
    assert_eq!(proof, beside(levels, place), "leaf {place} of {size}");
    assert!(verify_inclusion(&leaf, at, len, &proof, &root), "leaf {place} of {size}");
    assert!(!verify_inclusion(&leaf_hash(b"another"), at, len, &proof, &root));
    assert_eq!(tree.inclusion(size, size), None, "there are {size} only");
    let changed = changed(choices, &proof);
    let taken = verify_inclusion(&leaf, at, len, &changed, &root);
    assert_eq!(taken, changed == proof, "a changed proof of leaf {place} of {size}");
    // The same proof for another place, where another leaf is.
    let other = index(choices.u8()) % size;
    let taken = verify_inclusion(&leaf, wide(other), len, &proof, &root);
    let right = other == place || beside(levels, other) == proof && levels[0][other] == leaf;
    assert!(!taken || right, "leaf {place} of {size} is shown to be {other}");
}

fn consistent(choices: &mut Choices<'_>, tree: &Tree, before: usize, size: usize) {
    let (old, new) = (tree.root(before).unwrap(), tree.root(size).unwrap());
    let (first, len) = (wide(before), wide(size));
    let proof = tree.consistency(before, size).unwrap();
    assert!(verify_consistency(first, len, &proof, &old, &new), "{before} of {size}");
    let changed = changed(choices, &proof);
    let taken = verify_consistency(first, len, &changed, &old, &new);
    assert_eq!(taken, changed == proof, "a changed proof of {before} of {size}");
    let fork = leaf_hash(b"a fork");
    assert!(!verify_consistency(first, len, &proof, &fork, &new));
    assert!(!verify_consistency(first, len, &proof, &old, &fork));
    assert_eq!(tree.consistency(0, size), None);
    assert_eq!(tree.consistency(size + 1, size), None);
}

/// Proofs and sizes that nobody made, of any length: answered, and never taken.
fn forged(choices: &mut Choices<'_>, tree: &Tree, place: usize, before: usize, size: usize) {
    let (at, len) = (choices.u64(), choices.u64());
    let count = choices.below(PROOF_HASHES_MAX);
    let proof: Vec<Hash> = (0..count).map(|_| choices.array()).collect();
    let (old, new) = (tree.root(before).unwrap(), tree.root(size).unwrap());
    let leaf = leaf_hash(b"a forged entry");
    for (at, len) in [(at, len), (at % 200, len % 200), (wide(place), wide(size))] {
        assert!(!verify_inclusion(&leaf, at, len, &proof, &new), "forged: {at} of {len}");
        let fork = leaf_hash(&old);
        let taken = verify_consistency(at, len, &proof, &fork, &new);
        assert!(!taken, "forged: {at} of {len}");
        let taken = verify_consistency(at, len, &proof, &old, &fork);
        assert!(!taken, "forged: {at} of {len}");
    }
}

/// `proof` with one thing about it changed, or none.
fn changed(choices: &mut Choices<'_>, proof: &[Hash]) -> Vec<Hash> {
    let mut changed = proof.to_vec();
    let (how, at) = (choices.u8() % 5, index(choices.u8()));
    let place = at % changed.len().max(1);
    match how {
        0 => changed.insert(at % (changed.len() + 1), choices.array()),
        _ if changed.is_empty() => {}
        1 => changed[place][at % 32] ^= choices.u8(),
        2 => drop(changed.remove(place)),
        3 => changed.rotate_left(place),
        _ => changed.truncate(place),
    }
    changed
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}
