//! The Merkle tree of RFC 6962, section 2.1, over SHA-256.
//!
//! ```text
//! leaf:  SHA-256(00 | entry)      node:  SHA-256(01 | left | right)      empty: SHA-256 of nothing
//! ```
//!
//! A tree of `n` leaves splits at the largest power of two below `n`. An inclusion proof has the
//! hashes beside the way from a leaf to the root; a consistency proof has what it takes to make
//! both the root of the first `m` leaves and that of all `n`. Pure.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The leaves of a log.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    leaves: Vec<Hash>,
}

impl Tree {
    /// Adds the next entry.
    pub fn push(&mut self, entry: &[u8]) {
        self.leaves.push(leaf_hash(entry));
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The root over the first `size` entries; `None` when there are not so many.
    #[must_use]
    pub fn root(&self, size: usize) -> Option<Hash> {
        self.leaves.get(..size).map(root)
    }

    /// The proof that entry `index` is among the first `size`; `None` when it is not.
    #[must_use]
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        let leaves = self.leaves.get(..size).filter(|leaves| index < leaves.len())?;
        let mut proof = Vec::new();
        path(index, leaves, &mut proof);
        Some(proof)
    }

    /// The proof that the first `before` entries are the beginning of the first `size`; `None` when
    /// there are not so many, or `before` is 0 or above `size`.
    #[must_use]
    pub fn consistency(&self, before: usize, size: usize) -> Option<Vec<Hash>> {
        let leaves = self.leaves.get(..size).filter(|_| (1..=size).contains(&before))?;
        let mut proof = Vec::new();
        subproof(before, leaves, true, &mut proof);
        Some(proof)
    }
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::new().finalize().into(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash], proof: &mut Vec<Hash>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        path(index, left, proof);
        proof.push(root(right));
    } else {
        path(index - left.len(), right, proof);
        proof.push(root(left));
    }
}

fn subproof(before: usize, leaves: &[Hash], whole: bool, proof: &mut Vec<Hash>) {
    if before == leaves.len() {
        if !whole {
            proof.push(root(leaves));
        }
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if before <= left.len() {
        subproof(before, left, whole, proof);
        proof.push(root(right));
    } else {
        subproof(before - left.len(), right, false, proof);
        proof.push(root(left));
    }
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of `size` entries with `root`.
/// As RFC 9162, section 2.1.3.2, has it.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node(beside, &hash);
            while at.is_multiple_of(2) && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `before` entries with root `old` is the beginning of the
/// tree of `size` entries with root `new`. As RFC 9162, section 2.1.4.2, has it.
#[must_use]
pub fn verify_consistency(before: u64, size: u64, proof: &[Hash], old: &Hash, new: &Hash) -> bool {
    if before == 0 || before > size {
        return false;
    }
    if before == size {
        return proof.is_empty() && old == new;
    }
    let mut proof = proof.iter();
    let (mut at, mut last) = (before - 1, size - 1);
    while at % 2 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let first = if before.is_power_of_two() { Some(old) } else { proof.next() };
    let Some(first) = first else { return false };
    let (mut first_root, mut second_root) = (*first, *first);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            first_root = node(beside, &first_root);
            second_root = node(beside, &second_root);
            while at.is_multiple_of(2) && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            second_root = node(&second_root, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && first_root == *old && second_root == *new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(len: usize) -> Tree {
        let mut tree = Tree::default();
        (0..len).for_each(|n| tree.push(format!("entry {n}").as_bytes()));
        tree
    }

    fn hex(hash: &Hash) -> String {
        blake3::Hash::from_bytes(*hash).to_hex().to_string()
    }

    #[test]
    fn the_roots_of_the_published_test_tree_come_out() {
        // The eight inputs that implementations of RFC 6962 test with, and the roots over them.
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut tree = Tree::default();
        for input in inputs {
            tree.push(input);
        }
        let root = |size| hex(&tree.root(size).unwrap());
        assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(root(2), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        assert_eq!(root(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        assert_eq!(tree.root(9), None);
    }

    #[test]
    fn every_entry_of_every_tree_is_proved_and_nothing_else_is() {
        for size in 1..=33 {
            let tree = tree(size);
            let root = tree.root(size).unwrap();
            let len = u64::try_from(size).unwrap();
            for index in 0..size {
                let proof = tree.inclusion(index, size).unwrap();
                let leaf = leaf_hash(format!("entry {index}").as_bytes());
                let at = u64::try_from(index).unwrap();
                let ok = |at, len, proof: &[Hash], leaf: &Hash| {
                    verify_inclusion(leaf, at, len, proof, &root)
                };
                assert!(ok(at, len, &proof, &leaf), "{index} of {size}");
                assert!(!ok(at, len, &proof, &leaf_hash(b"another")));
                assert!(!ok(at + 1, len, &proof, &leaf) && !ok(len, len, &proof, &leaf));
                assert!(!ok(at, len, &[&proof[..], &[root]].concat(), &leaf), "one too many");
                for cut in 0..proof.len() {
                    let mut fewer = proof.clone();
                    fewer.remove(cut);
                    assert!(!ok(at, len, &fewer, &leaf));
                    let mut flipped = proof.clone();
                    flipped[cut][7] ^= 4;
                    assert!(!ok(at, len, &flipped, &leaf));
                }
            }
        }
    }

    #[test]
    fn every_beginning_is_consistent_and_no_fork_is() {
        let mut fork = tree(9);
        fork.push(b"something else");
        for size in 1..=33 {
            let tree = tree(size);
            let new = tree.root(size).unwrap();
            let len = u64::try_from(size).unwrap();
            for before in 1..=size {
                let old = tree.root(before).unwrap();
                let m = u64::try_from(before).unwrap();
                let proof = tree.consistency(before, size).unwrap();
                assert!(verify_consistency(m, len, &proof, &old, &new), "{before} of {size}");
                let forked = fork.root(10).unwrap();
                assert!(before != 10 || !verify_consistency(m, len, &proof, &forked, &new));
                let more = [&proof[..], &[new]].concat();
                assert!(!verify_consistency(m, len, &more, &old, &new));
                for at in 0..proof.len() {
                    let mut flipped = proof.clone();
                    flipped[at][31] ^= 1;
                    assert!(!verify_consistency(m, len, &flipped, &old, &new));
                }
            }
            assert_eq!(tree.consistency(0, size), None);
            assert_eq!(tree.consistency(size + 1, size), None);
        }
    }
}
