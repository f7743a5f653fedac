//! What bytes look like from their beginning.

use super::boxes::{BoxHeader, find};
use crate::types::Media;

/// What the first bytes of a file or stream look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `ftyp moov` with an `mvex`, or a segment of such a stream (`styp`, `moof`).
    FragmentedMp4,
    /// An MP4 file with one `moov` that indexes everything.
    Mp4,
    /// An MPEG transport stream.
    MpegTs,
    /// One still picture.
    Jpeg,
    /// Something else, or too few bytes to tell.
    Unknown,
}

impl From<Kind> for Media {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::FragmentedMp4 => Self::FragmentedMp4,
            Kind::Mp4 => Self::Mp4,
            Kind::MpegTs => Self::MpegTs,
            Kind::Jpeg => Self::Jpeg,
            Kind::Unknown => Self::Unknown,
        }
    }
}

/// The length of an MPEG transport stream's packets, each of which starts with 0x47.
const TS_PACKET_BYTES: usize = 188;

/// What `head`, the first bytes of a file or stream, looks like.
///
/// MP4 is told apart by its first boxes: give it enough to hold the whole `moov` where there is
/// one in front. An MP4 whose `moov` is not whole in `head` is [`Kind::Mp4`] when media data comes
/// first, else [`Kind::Unknown`]: ask again with more.
#[must_use]
pub fn probe(head: &[u8]) -> Kind {
    if head.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return Kind::Jpeg;
    }
    let is_sync = |at: usize| head.get(at) == Some(&0x47);
    if is_sync(0) && is_sync(TS_PACKET_BYTES) {
        return Kind::MpegTs;
    }
    let mut rest = head;
    while let Ok(Some(header)) = BoxHeader::parse(rest) {
        match &header.kind {
            b"moof" | b"styp" | b"sidx" => return Kind::FragmentedMp4,
            b"mdat" => return Kind::Mp4,
            b"moov" => {
                return match find(rest, *b"moov") {
                    Some(moov) if find(moov.body, *b"mvex").is_some() => Kind::FragmentedMp4,
                    Some(_) => Kind::Mp4,
                    None => Kind::Unknown,
                };
            }
            b"ftyp" | b"free" | b"skip" | b"wide" | b"uuid" | b"pdin" | b"prft" | b"emsg" => {}
            _ => return Kind::Unknown,
        }
        let len = header.len.and_then(|len| usize::try_from(len).ok());
        let Some(next) = len.and_then(|len| rest.get(len..)) else { break };
        rest = next;
    }
    Kind::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::fixtures;

    #[test]
    fn real_files_are_told_apart() {
        assert_eq!(probe(&fixtures::av()), Kind::FragmentedMp4);
        assert_eq!(probe(&fixtures::segment(0)), Kind::FragmentedMp4);
        assert_eq!(probe(&fixtures::plain()), Kind::Mp4);
        assert_eq!(probe(&[0xFF, 0xD8, 0xFF, 0xE0]), Kind::Jpeg);
        let mut ts = vec![0; 600];
        for packet in ts.chunks_mut(TS_PACKET_BYTES) {
            packet[0] = 0x47;
        }
        assert_eq!(probe(&ts), Kind::MpegTs);
    }

    #[test]
    fn too_few_bytes_are_unknown_not_wrong() {
        let whole = fixtures::av();
        for len in 0..200 {
            assert_eq!(probe(&whole[..len]), Kind::Unknown, "{len}");
        }
        assert_eq!(probe(b"GIF89a......"), Kind::Unknown);
    }
}
