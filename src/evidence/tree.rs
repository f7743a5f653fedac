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
    #[cfg(test)]
    tests::NODES.with(|nodes| nodes.set(nodes.get() + 1));
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The entries of a log, as hashes.
///
/// Keeps the hash of every whole subtree, so that a root or a proof of any size costs some dozens
/// of hashes however long the log is: twice the memory of the leaves alone.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `levels[k][i]` is the root over leaves `i << k .. (i + 1) << k`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Adds the next entry.
    pub fn push(&mut self, entry: &[u8]) {
        let mut hash = leaf_hash(entry);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(level) else { return };
            hashes.push(hash);
            // It ends a pair exactly when the level has an even number of them.
            match hashes.last_chunk() {
                Some([left, right]) if hashes.len().is_multiple_of(2) => hash = node(left, right),
                _ => return,
            }
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The root over the first `size` entries; `None` when there are not so many.
    #[must_use]
    pub fn root(&self, size: usize) -> Option<Hash> {
        if size == 0 {
            return Some(Sha256::new().finalize().into());
        }
        self.over(Leaves { from: 0, count: size })
    }

    /// The proof that entry `index` is among the first `size`; `None` when it is not.
    #[must_use]
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        if index >= size || size > self.len() {
            return None;
        }
        let mut proof = Vec::new();
        let mut leaves = Leaves { from: 0, count: size };
        while leaves.count > 1 {
            let (left, right) = leaves.split();
            let (own, beside) = if index < right.from { (left, right) } else { (right, left) };
            proof.push(self.over(beside)?);
            leaves = own;
        }
        proof.reverse();
        Some(proof)
    }

    /// The proof that the first `before` entries are the beginning of the first `size`; `None` when
    /// there are not so many, or `before` is 0 or above `size`.
    #[must_use]
    pub fn consistency(&self, before: usize, size: usize) -> Option<Vec<Hash>> {
        if !(1..=size).contains(&before) || size > self.len() {
            return None;
        }
        let mut proof = Vec::new();
        let mut leaves = Leaves { from: 0, count: size };
        // Whether the old tree's root is still that of all leaves before these.
        let mut whole = true;
        while before != leaves.from + leaves.count {
            let (left, right) = leaves.split();
            if before <= right.from {
                proof.push(self.over(right)?);
                leaves = left;
            } else {
                proof.push(self.over(left)?);
                (leaves, whole) = (right, false);
            }
        }
        if !whole {
            proof.push(self.over(leaves)?);
        }
        proof.reverse();
        Some(proof)
    }

    /// The root over some leaves, of which there is at least one.
    fn over(&self, leaves: Leaves) -> Option<Hash> {
        if leaves.count.is_power_of_two() {
            // What a tree is split into starts at a multiple of its own size.
            let level = leaves.count.trailing_zeros();
            let hashes = self.levels.get(usize::try_from(level).ok()?)?;
            return hashes.get(leaves.from >> level).copied();
        }
        let (left, right) = leaves.split();
        Some(node(&self.over(left)?, &self.over(right)?))
    }
}

/// Neighbouring leaves that the tree has a node over.
#[derive(Clone, Copy)]
struct Leaves {
    from: usize,
    count: usize,
}

impl Leaves {
    /// Where RFC 6962 splits them: at the largest power of two below their number, which is at
    /// least 2.
    const fn split(self) -> (Self, Self) {
        let half = 1 << (self.count - 1).ilog2();
        let left = Self { from: self.from, count: half };
        (left, Self { from: self.from + half, count: self.count - half })
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
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many nodes this thread hashed.
        pub(super) static NODES: Cell<u64> = const { Cell::new(0) };
    }

    fn tree(len: usize) -> Tree {
        let mut tree = Tree::default();
        (0..len).for_each(|n| tree.push(format!("entry {n}").as_bytes()));
        tree
    }

    fn hex(hash: &Hash) -> String {
        blake3::Hash::from_bytes(*hash).to_hex().to_string()
    }

    /// The eight inputs that implementations of RFC 6962 test with.
    const INPUTS: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];

    #[test]
    fn every_root_and_proof_of_the_published_test_tree_comes_out() {
        let vectors = include_str!("../../tests/golden/vectors/rfc6962.txt");
        let mut tree = Tree::default();
        for input in INPUTS {
            tree.push(input);
        }
        let wide = |size: usize| u64::try_from(size).unwrap();
        let mut seen = [0; 3];
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let at = |place: usize| words[place].parse::<usize>().unwrap();
            let hash = |word: &&str| *blake3::Hash::from_hex(word).unwrap().as_bytes();
            let root = |size| tree.root(size).unwrap();
            match words[0] {
                "root" => {
                    seen[0] += 1;
                    assert_eq!(hex(&root(at(1))), words[2], "{line}");
                }
                "inclusion" => {
                    seen[1] += 1;
                    let (index, size) = (at(1), at(2));
                    let want: Vec<Hash> = words[3..].iter().map(hash).collect();
                    assert_eq!(tree.inclusion(index, size).as_ref(), Some(&want), "{line}");
                    let leaf = leaf_hash(INPUTS[index]);
                    let (index, root) = (wide(index), root(size));
                    assert!(verify_inclusion(&leaf, index, wide(size), &want, &root), "{line}");
                }
                _ => {
                    seen[2] += 1;
                    let (before, size) = (at(1), at(2));
                    let want: Vec<Hash> = words[3..].iter().map(hash).collect();
                    assert_eq!(tree.consistency(before, size).as_ref(), Some(&want), "{line}");
                    let (old, new) = (root(before), root(size));
                    let holds = verify_consistency(wide(before), wide(size), &want, &old, &new);
                    assert!(holds, "{line}");
                }
            }
        }
        assert_eq!(seen, [9, 36, 36], "sizes 0 to 8, and every proof in them");
        assert_eq!(tree.root(9), None);
    }

    #[test]
    fn a_root_or_a_proof_of_any_size_does_not_hash_the_log_again() {
        let hashed = |act: &dyn Fn() -> bool| {
            let before = NODES.get();
            assert!(act());
            NODES.get() - before
        };
        let tree = tree(5_000);
        for size in [1, 2, 4_095, 4_096, 4_097, 4_999, 5_000] {
            assert!(hashed(&|| tree.root(size).is_some()) <= 13, "root of {size}");
            assert!(hashed(&|| tree.inclusion(size / 3, size).is_some()) <= 90, "{size}");
            assert!(hashed(&|| tree.consistency(1 + size / 2, size).is_some()) <= 90, "{size}");
        }
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
