//! The Merkle tree over a segment's parts: RFC 6962's shape with BLAKE3.
//!
//! ```text
//!            root = n(ab, c)
//!            /           \
//!     ab = n(a, b)        c          leaf:  BLAKE3(00 | bytes)
//!       /     \                      node:  BLAKE3(01 | left | right)
//!      a       b                     empty: BLAKE3 of no bytes
//! ```
//!
//! A tree of `n` leaves splits at the largest power of two below `n`. The two prefixes keep a node
//! from being passed off as a leaf. Pure: it knows nothing of parts or segments.

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A leaf's hash.
pub(crate) fn leaf(bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&[LEAF]).update(bytes).finalize().as_bytes()
}

/// The root over leaf hashes.
pub(crate) fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => *blake3::hash(&[]).as_bytes(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new().update(&[NODE]).update(left).update(right).finalize().as_bytes()
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<[u8; 32]> {
        (0..count).map(|number| leaf(&[number])).collect()
    }

    #[test]
    fn tree_has_the_shape_of_rfc_6962() {
        let l = leaves(5);
        assert_eq!(root(&[]), *blake3::hash(b"").as_bytes());
        assert_eq!(root(&l[..1]), l[0]);
        assert_eq!(root(&l[..3]), node(&node(&l[0], &l[1]), &l[2]));
        let four = node(&node(&l[0], &l[1]), &node(&l[2], &l[3]));
        assert_eq!(root(&l), node(&four, &l[4]));
    }

    #[test]
    fn leaf_cannot_be_passed_off_as_a_node() {
        let l = leaves(2);
        assert_ne!(leaf(&l.concat()), root(&l));
    }
}
