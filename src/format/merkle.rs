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

/// The hashes that lead from leaf `index` to the root, from the bottom up; none if there is no such
/// leaf.
pub(crate) fn inclusion(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    let mut path = Vec::new();
    let (mut tree, mut index) = (leaves, index);
    if index >= tree.len() {
        return path;
    }
    while tree.len() > 1 {
        let middle = split(tree.len());
        let (left, right) = tree.split_at(middle);
        if index < middle {
            path.push(root(right));
            tree = left;
        } else {
            path.push(root(left));
            tree = right;
            index -= middle;
        }
    }
    path.reverse();
    path
}

/// Whether `path` leads from `leaf`, the one at `index` of `count`, to `root`.
pub(crate) fn verify_inclusion(
    leaf: &[u8; 32],
    index: usize,
    count: usize,
    path: &[[u8; 32]],
    root: &[u8; 32],
) -> bool {
    if index >= count {
        return false;
    }
    // `place` and `last` are the numbers of our node and of the last node in each row of the tree.
    let (mut place, mut last) = (index, count - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            hash = node(sibling, &hash);
            // A last node without a right sibling rises unchanged until it is a right child.
            while place.is_multiple_of(2) && place != 0 {
                place /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, sibling);
        }
        place /= 2;
        last /= 2;
    }
    last == 0 && hash == *root
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

    const SIZES: std::ops::RangeInclusive<u8> = 1..=40;

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

    #[test]
    fn every_leaf_of_every_size_is_proven() {
        for count in SIZES {
            let leaves = leaves(count);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = inclusion(&leaves, index);
                assert!(
                    verify_inclusion(leaf, index, leaves.len(), &path, &root),
                    "{index}/{count}"
                );
            }
        }
    }

    #[test]
    fn proof_holds_for_no_other_leaf_place_or_path() {
        for count in SIZES {
            let leaves = leaves(count);
            let (root, n) = (root(&leaves), leaves.len());
            for (index, own) in leaves.iter().enumerate() {
                let path = inclusion(&leaves, index);
                let other = leaf(b"another clip");
                assert!(!verify_inclusion(&other, index, n, &path, &root));
                assert!(!verify_inclusion(own, n, n, &path, &root));
                for wrong in (0..n).filter(|wrong| *wrong != index) {
                    assert!(
                        !verify_inclusion(own, wrong, n, &path, &root),
                        "{wrong} for {index}/{n}"
                    );
                }
                let longer = [&path[..], &[own.to_owned()]].concat();
                assert!(!verify_inclusion(own, index, n, &longer, &root));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!verify_inclusion(own, index, n, shorter, &root));
                }
            }
        }
    }

    #[test]
    fn leaf_that_is_not_there_has_no_path() {
        assert!(inclusion(&leaves(3), 3).is_empty());
        assert!(inclusion(&[], 0).is_empty());
    }
}
