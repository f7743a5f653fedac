//! The boxes that MP4 is made of: headers, a walk over them, and the numbers inside.
//!
//! ```text
//!  0        4        8                16
//! +--------+--------+----------------+----------
//! | size   | kind   | size64 if size | body ...     all big-endian
//! |        |        | is 1           |
//! +--------+--------+----------------+----------
//! ```
//!
//! `size` counts the header; 0 means "to the end of the file". Sizes are claims by whoever made
//! the bytes: all arithmetic here is checked, and a claim is never used to allocate.

use super::media_error;
use crate::types::Result;

/// The four characters that say what a box is.
pub(super) type FourCc = [u8; 4];

/// What the first bytes of a box say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BoxHeader {
    pub(super) kind: FourCc,
    /// Bytes of the header itself: 8 or 16.
    pub(super) header_len: u64,
    /// Bytes of header and body; `None`: to the end of the file.
    pub(super) len: Option<u64>,
}

/// The most bytes a header takes.
pub(super) const HEADER_BYTES_MAX: usize = 16;

impl BoxHeader {
    /// The header at the start of `bytes`; `None` when more bytes are needed to tell.
    ///
    /// # Errors
    ///
    /// `Media` when the size is smaller than the header itself.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut fields = Fields::new(bytes);
        let (Some(size), Some(kind)) = (fields.u32(), fields.four_cc()) else { return Ok(None) };
        let (header_len, len) = match size {
            0 => (8, None),
            1 => match fields.u64() {
                Some(size) => (16, Some(size)),
                None => return Ok(None),
            },
            _ => (8, Some(u64::from(size))),
        };
        if len.is_some_and(|len| len < header_len) {
            return Err(media_error(format!("box {}: size below its header", name(kind))));
        }
        Ok(Some(Self { kind, header_len, len }))
    }
}

/// A box whose bytes are all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mp4Box<'a> {
    pub(super) kind: FourCc,
    /// Header and body.
    pub(super) whole: &'a [u8],
    pub(super) body: &'a [u8],
}

/// Walks the boxes of `bytes`; ends with an error at the first lie about a size.
pub(super) fn boxes(bytes: &[u8]) -> Boxes<'_> {
    Boxes { rest: bytes }
}

/// The walk of [`boxes`]; fused after an error.
#[derive(Debug)]
pub(super) struct Boxes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Mp4Box<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = self.split();
        if parsed.is_err() {
            self.rest = &[];
        }
        Some(parsed)
    }
}

impl<'a> Boxes<'a> {
    fn split(&mut self) -> Result<Mp4Box<'a>> {
        let rest = self.rest;
        let short = || media_error(format!("{} bytes left where a box should be", rest.len()));
        let header = BoxHeader::parse(rest)?.ok_or_else(short)?;
        let len = match header.len {
            None => rest.len(),
            Some(len) => usize::try_from(len).unwrap_or(usize::MAX),
        };
        let body_at = usize::try_from(header.header_len).unwrap_or(usize::MAX);
        let (Some(whole), Some(body)) = (rest.get(..len), rest.get(body_at..len)) else {
            return Err(media_error(format!(
                "box {}: size {len} where only {} bytes are left",
                name(header.kind),
                rest.len()
            )));
        };
        self.rest = rest.get(len..).unwrap_or(&[]);
        Ok(Mp4Box { kind: header.kind, whole, body })
    }
}

/// The first box of `kind` in `bytes`. What comes after a lie about a size is not seen.
pub(super) fn find(bytes: &[u8], kind: FourCc) -> Option<Mp4Box<'_>> {
    boxes(bytes).map_while(Result::ok).find(|found| found.kind == kind)
}

/// The box at the end of `path`, each element a child of the one before.
pub(super) fn find_path<'a>(bytes: &'a [u8], path: &[&FourCc]) -> Option<Mp4Box<'a>> {
    let (first, deeper) = path.split_first()?;
    let mut found = find(bytes, **first)?;
    for kind in deeper {
        found = find(found.body, **kind)?;
    }
    Some(found)
}

/// The characters of `kind`, for messages.
pub(super) fn name(kind: FourCc) -> String {
    kind.iter().map(|&byte| char::from(byte)).flat_map(char::escape_default).collect()
}

/// Reads big-endian numbers one after another; `None` past the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn four_cc(&mut self) -> Option<FourCc> {
        self.array()
    }

    /// A full box's version and flags.
    pub(super) fn version_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Some((version, word & 0x00FF_FFFF))
    }

    /// A number of 8 bytes when `wide`, else of 4.
    pub(super) fn u32_or_u64(&mut self, wide: bool) -> Option<u64> {
        if wide { self.u64() } else { self.u32().map(u64::from) }
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_all_three_forms_are_read() {
        let plain = [&8_u32.to_be_bytes()[..], b"free"].concat();
        let wide = [&1_u32.to_be_bytes()[..], b"mdat", &17_u64.to_be_bytes(), b"x"].concat();
        let to_end = [&0_u32.to_be_bytes()[..], b"mdat", b"rest"].concat();
        let all = [plain, wide, to_end].concat();
        let found: Vec<_> = boxes(&all).map(|found| found.unwrap()).collect();
        assert_eq!(
            found.iter().map(|found| found.body).collect::<Vec<_>>(),
            [&b""[..], b"x", b"rest"]
        );
    }

    #[test]
    fn lies_about_sizes_end_the_walk_with_an_error() {
        for (size, wide) in [(7_u32, 0_u64), (9, 0), (u32::MAX, 0), (1, 3), (1, 15), (1, u64::MAX)]
        {
            let bytes = [&size.to_be_bytes()[..], b"moov", &wide.to_be_bytes()].concat();
            let bytes = if size == 9 { &bytes[..8] } else { &bytes[..] };
            let mut walk = boxes(bytes);
            assert!(walk.next().unwrap().is_err(), "size {size} {wide}");
            assert!(walk.next().is_none(), "size {size} {wide}: not fused");
        }
    }

    #[test]
    fn a_header_cut_short_asks_for_more() {
        let wide = [&1_u32.to_be_bytes()[..], b"mdat", &17_u64.to_be_bytes()].concat();
        for cut in 0..16 {
            assert_eq!(BoxHeader::parse(&wide[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(BoxHeader::parse(&wide).unwrap().unwrap().len, Some(17));
    }
}
