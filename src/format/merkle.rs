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

/// The hashes beside the way from leaf `index` to the root.
pub(crate) fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut path = Vec::new();
    let (mut index, mut leaves) = (index, leaves);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (own, beside) = if index < left.len() {
            (left, right)
        } else {
            index -= left.len();
            (right, left)
        };
        path.push(root(beside));
        leaves = own;
    }
    path.reverse();
    path
}

/// The root that follows from leaf `index` of `count` and the hashes beside its way; `None` when
/// there are too few or too many of these.
#[cfg(feature = "requests")]
pub(crate) fn root_from(
    leaf: &[u8; 32],
    (index, count): (u64, u64),
    path: &[[u8; 32]],
) -> Option<[u8; 32]> {
    if count == 1 && index == 0 && path.is_empty() {
        return Some(*leaf);
    }
    let (beside, path) = path.split_last()?;
    let half = 1_u64.checked_shl((count.checked_sub(2)? + 1).ilog2())?;
    if index < half {
        Some(node(&root_from(leaf, (index, half), path)?, beside))
    } else {
        let own = root_from(leaf, (index - half, count.checked_sub(half)?), path)?;
        Some(node(beside, &own))
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

    #[cfg(feature = "requests")]
    #[test]
    fn every_leaf_leads_to_the_root_and_no_other_does() {
        for count in 1..=20_u8 {
            let leaves = leaves(count);
            for index in 0..count {
                let path = path(usize::from(index), &leaves);
                let leaf = &leaves[usize::from(index)];
                let from =
                    |leaf, at: u8, path| root_from(leaf, (u64::from(at), u64::from(count)), path);
                assert_eq!(from(leaf, index, &path), Some(root(&leaves)));
                assert_ne!(from(&[9; 32], index, &path), Some(root(&leaves)));
                for other in (0..=count).filter(|other| *other != index) {
                    assert_ne!(from(leaf, other, &path), Some(root(&leaves)), "{other}");
                }
                let longer = [&path[..], &[[1; 32]]].concat();
                assert_eq!(from(leaf, index, &longer), None);
            }
        }
    }

    #[test]
    fn leaf_cannot_be_passed_off_as_a_node() {
        let l = leaves(2);
        assert_ne!(leaf(&l.concat()), root(&l));
    }
}
