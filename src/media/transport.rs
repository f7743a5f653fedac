//! MPEG transport streams: how long one plays. Nothing else of them is understood.

use std::time::Duration;

/// The length of a packet; each starts with [`SYNC`].
const PACKET_BYTES: usize = 188;
const SYNC: u8 = 0x47;
/// Presentation times count at 90 kHz in 33 bits.
const CLOCK_HZ: u64 = 90_000;
const WRAP: u64 = 1 << 33;
/// A stream whose times lie further apart than this says nothing that we believe.
const LONGEST: u64 = 3_600 * CLOCK_HZ;

/// How long `bytes` plays, by the presentation times of its pictures (of its sound, where it has
/// none); `None` when they do not tell.
#[must_use]
pub fn transport_duration(bytes: &[u8]) -> Option<Duration> {
    let (mut pictures, mut sound) = (Span::default(), Span::default());
    for packet in bytes.chunks_exact(PACKET_BYTES) {
        match presentation(packet) {
            Some((0xE0..=0xEF, time)) => pictures.add(time),
            Some((0xC0..=0xDF, time)) => sound.add(time),
            _ => {}
        }
    }
    pictures.duration().or_else(|| sound.duration())
}

/// The times seen so far, relative to the first, so that the clock may wrap within.
#[derive(Default)]
struct Span {
    first: Option<u64>,
    earliest: i64,
    latest: i64,
    count: u64,
}

impl Span {
    fn add(&mut self, time: u64) {
        let first = *self.first.get_or_insert(time);
        let ahead = (time + WRAP - first) % WRAP;
        let relative = if ahead > WRAP / 2 {
            -i64::try_from(WRAP - ahead).unwrap_or(i64::MAX)
        } else {
            i64::try_from(ahead).unwrap_or(i64::MAX)
        };
        self.earliest = self.earliest.min(relative);
        self.latest = self.latest.max(relative);
        self.count += 1;
    }

    /// From the first to the last, and the last as long as the others are on average.
    fn duration(&self) -> Option<Duration> {
        let between = u64::try_from(self.latest - self.earliest).ok()?;
        let steps = self.count.checked_sub(1).filter(|steps| *steps > 0)?;
        let whole = between.saturating_add(between / steps);
        (whole > 0 && whole <= LONGEST).then(|| Duration::from_micros(whole * 100 / 9))
    }
}

/// The kind of elementary stream and the presentation time, where a packet begins one that has it.
fn presentation(packet: &[u8]) -> Option<(u8, u64)> {
    let &[SYNC, flags, _, control, ref rest @ ..] = packet else { return None };
    let starts = flags & 0x40 != 0;
    let has_payload = control & 0x10 != 0;
    if !starts || !has_payload {
        return None;
    }
    let skip = if control & 0x20 == 0 { 0 } else { 1 + usize::from(*rest.first()?) };
    let payload = rest.get(skip..)?;
    let &[0, 0, 1, kind, _, _, _, has_times, _, a, b, c, d, e, ..] = payload else { return None };
    if has_times & 0x80 == 0 {
        return None;
    }
    let bits = |byte: u8, mask: u8, shift: u32| u64::from(byte & mask) << shift;
    let time = (bits(a, 0x0E, 29))
        | bits(b, 0xFF, 22)
        | (bits(c, 0xFE, 14))
        | bits(d, 0xFF, 7)
        | (bits(e, 0xFE, 0) >> 1);
    Some((kind, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet that begins a picture at `time`.
    fn picture(time: u64) -> Vec<u8> {
        let byte = |shift: u32, mask: u64| u8::try_from((time >> shift) & mask).unwrap();
        let mut packet = vec![SYNC, 0x41, 0, 0x10, 0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5];
        packet.extend([0x21 | (byte(30, 7) << 1), byte(22, 0xFF), (byte(15, 0x7F) << 1) | 1]);
        packet.extend([byte(7, 0xFF), (byte(0, 0x7F) << 1) | 1]);
        packet.resize(PACKET_BYTES, 0xFF);
        packet
    }

    #[test]
    fn the_last_picture_counts_and_order_does_not() {
        let stream: Vec<u8> = [0, 9_000, 3_600, 7_200].into_iter().flat_map(picture).collect();
        assert_eq!(transport_duration(&stream), Some(Duration::from_micros(133_333)));
    }

    #[test]
    fn the_clock_may_wrap() {
        let stream: Vec<u8> = [WRAP - 3_600, 0].into_iter().flat_map(picture).collect();
        assert_eq!(transport_duration(&stream), Some(Duration::from_millis(80)));
    }

    #[test]
    fn what_does_not_tell_is_no_answer() {
        let far: Vec<u8> = [0, WRAP / 3].into_iter().flat_map(picture).collect();
        for bytes in [&b""[..], &picture(5), &far, &[0x47; 999], &picture(5)[..40]] {
            assert_eq!(transport_duration(bytes), None);
        }
    }
}
