//! What a GiB costs the processor, row by row: what any store that promises the same must pay, each
//! measured by itself on the clips of the street.

use std::hint::black_box;
use std::time::Duration;

use crate::types::clock::cpu_time;

use super::{Outcome, Street, ratio};

/// Seconds of a processor for each GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Copying it once, into a buffer that a direct write takes.
    pub copy: f64,
    /// CRC32, a checksum a chunk.
    pub crc: f64,
    /// BLAKE3, a digest a clip.
    pub digest: f64,
}

/// What is copied and summed at once: a chunk of a record.
const CHUNK_BYTES: usize = 64 << 10;
/// The buffer that is copied into.
const PIECE_BYTES: usize = 1 << 20;

/// Measures each row on `clips` clips of the street.
///
/// # Errors
///
/// As [`Street::take`].
pub fn budget(street: &Street, clips: u64) -> Outcome<Budget> {
    let mut piece = vec![0; PIECE_BYTES];
    let copy = cost(street, clips, &mut |clip| {
        for from in clip.chunks(PIECE_BYTES) {
            if let Some(into) = piece.get_mut(..from.len()) {
                into.copy_from_slice(from);
            }
            black_box(&mut piece);
        }
    })?;
    let crc = cost(street, clips, &mut |clip| {
        for chunk in clip.chunks(CHUNK_BYTES) {
            black_box(crc32fast::hash(chunk));
        }
    })?;
    let digest = cost(street, clips, &mut |clip| {
        black_box(blake3::hash(clip));
    })?;
    Ok(Budget { copy, crc, digest })
}

/// Seconds of a processor for each GiB that `work` is given.
fn cost(street: &Street, clips: u64, work: &mut dyn FnMut(&[u8])) -> Outcome<f64> {
    let (mut bytes, mut took) = (0, Duration::ZERO);
    for number in 0..clips {
        let take = street.take(number)?;
        let before = cpu_time();
        work(&take.bytes);
        took += cpu_time().saturating_sub(before);
        bytes += u64::try_from(take.bytes.len())?;
    }
    Ok(took.as_secs_f64() / ratio(bytes, 1 << 30).max(1e-9))
}
