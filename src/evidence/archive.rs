//! The container: a zip file with its members stored as they are, one byte sequence for one
//! content.
//!
//! Written by hand although there are libraries, because here the container itself is checked: the
//! reader makes every header again from what it says and compares, so that no byte of the file can
//! be changed unnoticed, and a library may write other headers in its next version. Members are in
//! the order of their names, with the time 1980-01-01, and never compressed: any tool opens it, and
//! every original can be cut out of it with `dd`. At most 4 GiB in all, because the form beyond
//! that is not read by every tool.

use std::collections::BTreeMap;
use std::error;
use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::Hash;

/// A member's name is at most this many bytes of letters, digits and `-_./`.
const NAME_BYTES_MAX: usize = 200;
const MEMBERS_MAX: usize = 10_000;
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const LOCAL_BYTES: usize = 30;
/// Needs version 2.0; names are UTF-8; stored; 1980-01-01 00:00.
const KIND: [u8; 10] = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0];
/// A plain file that its owner may write and all may read.
const MODE: u32 = 0o100_644 << 16;

/// Why an archive cannot be written, or is not one of ours.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It ends before it is whole.
    CutOff(String),
    /// Something in it is not as it was written.
    Altered(String),
    /// It cannot be written so.
    Refused(String),
    /// Reading or writing failed.
    Io(io::Error),
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff(what) => write!(f, "the file is cut off: {what}"),
            Self::Altered(what) => write!(f, "the file was altered: {what}"),
            Self::Refused(what) => write!(f, "cannot be written: {what}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is known of a member before it is written, or after it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    len: u32,
    crc: u32,
}

/// Takes in the bytes of a member once, so that the archive knows what to write of it before it
/// has it: its header, with its length and checksum, stands in front of its bytes.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    len: u64,
    crc: crc32fast::Hasher,
    sha: Sha256,
}

impl Measure {
    /// How many bytes it took in.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it took in none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.crc.update(bytes);
        self.sha.update(bytes);
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A member of an archive to be written.
#[derive(Clone, Debug)]
struct Added {
    member: Member,
    sha256: Hash,
    /// None for one whose bytes are elsewhere.
    bytes: Option<Vec<u8>>,
}

/// A stretch of an archive: the whole file is one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchivePiece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of the member of this name, which are elsewhere.
    Elsewhere {
        /// Its name.
        name: String,
        /// How many they are.
        len: u64,
    },
}

/// An archive to be written. Large members need not be in memory.
#[derive(Debug, Default)]
pub struct Archive {
    members: BTreeMap<String, Added>,
}

impl Archive {
    /// Adds a member.
    ///
    /// # Errors
    ///
    /// `Refused` for a bad or used name, too many members, or more than 4 GiB in all.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let mut measure = Measure::default();
        measure.write_all(&bytes)?;
        self.put(name, measure, Some(bytes))
    }

    /// Adds a member whose bytes are elsewhere, and were measured.
    ///
    /// # Errors
    ///
    /// As [`Archive::add`].
    pub fn add_elsewhere(&mut self, name: &str, measured: Measure) -> Result<(), ArchiveError> {
        self.put(name, measured, None)
    }

    fn put(
        &mut self,
        name: &str,
        measured: Measure,
        bytes: Option<Vec<u8>>,
    ) -> Result<(), ArchiveError> {
        check_name(name).map_err(ArchiveError::Refused)?;
        let used = self.members.contains_key(name) || self.members.len() >= MEMBERS_MAX;
        let total = self.members.values().map(|added| u64::from(added.member.len)).sum::<u64>();
        let headers = u64::try_from(MEMBERS_MAX << 9).unwrap_or(u64::MAX);
        let total = total.saturating_add(measured.len).saturating_add(headers);
        let len = u32::try_from(measured.len).ok().filter(|_| u32::try_from(total).is_ok());
        let Some(len) = len.filter(|_| !used) else {
            return Err(ArchiveError::Refused(format!("member {name}: twice, or above 4 GiB")));
        };
        let member = Member { len, crc: measured.crc.finalize() };
        let added = Added { member, sha256: measured.sha.finalize().into(), bytes };
        self.members.insert(name.to_owned(), added);
        Ok(())
    }

    /// The SHA-256 of every member so far, by name.
    #[must_use]
    pub fn hashes(&self) -> BTreeMap<String, Hash> {
        self.members.iter().map(|(name, added)| (name.clone(), added.sha256)).collect()
    }

    /// The file, piece by piece. The same members give the same bytes.
    #[must_use]
    pub fn into_pieces(self) -> Vec<ArchivePiece> {
        let (mut pieces, mut before) = (Vec::new(), Vec::new());
        let mut directory = Directory::default();
        for (name, Added { member, bytes, .. }) in self.members {
            before.extend(local(&name, &member));
            directory.add(&name, &member);
            if let Some(bytes) = bytes {
                before.extend(bytes);
            } else {
                pieces.push(ArchivePiece::Bytes(std::mem::take(&mut before)));
                pieces.push(ArchivePiece::Elsewhere { name, len: u64::from(member.len) });
            }
        }
        before.extend(directory.end());
        pieces.push(ArchivePiece::Bytes(before));
        pieces
    }

    /// Writes an archive all of whose members are in memory.
    ///
    /// # Errors
    ///
    /// `Refused` when the bytes of a member are elsewhere; `Io`.
    pub fn write_to(self, to: &mut dyn Write) -> Result<(), ArchiveError> {
        for piece in self.into_pieces() {
            match piece {
                ArchivePiece::Bytes(bytes) => to.write_all(&bytes)?,
                ArchivePiece::Elsewhere { name, .. } => {
                    return Err(ArchiveError::Refused(format!("member {name}: it is elsewhere")));
                }
            }
        }
        Ok(())
    }
}

/// The central directory as it grows.
#[derive(Debug, Default)]
struct Directory {
    entries: Vec<u8>,
    count: u16,
    offset: u32,
}

impl Directory {
    fn add(&mut self, name: &str, member: &Member) {
        let entry = &mut self.entries;
        entry.extend(CENTRAL);
        // Made by version 2.0 on Unix.
        entry.extend([20, 3]);
        entry.extend(KIND);
        entry.extend(sizes(name, member));
        // No comment, first disk, a plain file.
        entry.extend([0; 6]);
        entry.extend(MODE.to_le_bytes());
        entry.extend(self.offset.to_le_bytes());
        entry.extend(name.as_bytes());
        self.count = self.count.saturating_add(1);
        let header = u32::try_from(LOCAL_BYTES + name.len()).unwrap_or(u32::MAX);
        self.offset = self.offset.saturating_add(header).saturating_add(member.len);
    }

    /// The directory and the record that ends the file.
    fn end(&self) -> Vec<u8> {
        let mut end = self.entries.clone();
        end.extend(END);
        end.extend([0; 4]);
        end.extend(self.count.to_le_bytes());
        end.extend(self.count.to_le_bytes());
        end.extend(u32::try_from(self.entries.len()).unwrap_or(u32::MAX).to_le_bytes());
        end.extend(self.offset.to_le_bytes());
        end.extend([0; 2]);
        end
    }
}

/// CRC, both sizes, the length of the name, and no extra field.
fn sizes(name: &str, member: &Member) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(member.crc.to_le_bytes());
    bytes.extend(member.len.to_le_bytes());
    bytes.extend(member.len.to_le_bytes());
    bytes.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

fn local(name: &str, member: &Member) -> Vec<u8> {
    [&LOCAL[..], &KIND, &sizes(name, member), name.as_bytes()].concat()
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let parts_ok = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    if name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) && parts_ok {
        return Ok(());
    }
    Err(format!("member name {name:?}"))
}

/// A member that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveMember {
    /// Its name.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: Hash,
    /// Their BLAKE3.
    pub blake3: Hash,
    /// The bytes, if they were few enough.
    pub bytes: Option<Vec<u8>>,
}

/// Reads an archive from its beginning, and checks every byte of it on the way.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    from: R,
    directory: Directory,
    last: String,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the archive `from`.
    pub fn new(from: R) -> Self {
        Self { from, directory: Directory::default(), last: String::new() }
    }

    /// The next member, with its bytes if there are no more than `keep`; `None` once the archive
    /// ended as it must.
    ///
    /// # Errors
    ///
    /// `CutOff`; `Altered` for anything that [`Archive`] would not have written.
    pub fn next_member(&mut self, keep: u32) -> Result<Option<ArchiveMember>, ArchiveError> {
        let mut head = [0; LOCAL_BYTES];
        let (mark, rest) = head.split_at_mut(4);
        self.fill(mark, "a header")?;
        if mark == CENTRAL || mark == END {
            let mark = mark.to_vec();
            return self.check_end(&mark).map(|()| None);
        }
        self.fill(rest, "a header")?;
        let number = |at: usize| -> u32 {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        let member = Member { crc: number(14), len: number(18) };
        let name_len = usize::from(u16::from_le_bytes([head[26], head[27]]));
        if name_len > NAME_BYTES_MAX {
            return Err(ArchiveError::Altered("a member's header".to_owned()));
        }
        let mut name = vec![0; name_len];
        self.fill(&mut name, "a name")?;
        let name = String::from_utf8(name)
            .map_err(|error| ArchiveError::Altered(format!("a member's name: {error}")))?;
        check_name(&name).map_err(ArchiveError::Altered)?;
        if [&head[..], name.as_bytes()].concat() != local(&name, &member) || name <= self.last {
            return Err(ArchiveError::Altered(format!("the header of {name}")));
        }
        self.directory.add(&name, &member);
        if usize::from(self.directory.count) > MEMBERS_MAX {
            return Err(ArchiveError::Altered("too many members".to_owned()));
        }
        let read = self.content(name, &member, keep)?;
        self.last.clone_from(&read.name);
        Ok(Some(read))
    }

    fn content(
        &mut self,
        name: String,
        member: &Member,
        keep: u32,
    ) -> Result<ArchiveMember, ArchiveError> {
        let mut kept = (member.len <= keep).then(Vec::new);
        let (mut crc, mut sha) = (crc32fast::Hasher::new(), Sha256::new());
        let mut blake = blake3::Hasher::new();
        let mut left = usize::try_from(member.len).unwrap_or(usize::MAX);
        let mut buf = vec![0; left.min(1 << 16)];
        while left > 0 {
            let part = buf.get_mut(..left.min(1 << 16)).unwrap_or_default();
            self.from.read_exact(part).map_err(|error| cut_off(error, &name))?;
            crc.update(part);
            sha.update(&*part);
            blake.update(part);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(part);
            }
            left -= part.len();
        }
        if crc.finalize() != member.crc {
            return Err(ArchiveError::Altered(format!("the content of {name}")));
        }
        let (sha256, blake3) = (sha.finalize().into(), blake.finalize().into());
        Ok(ArchiveMember { name, sha256, blake3, bytes: kept })
    }

    /// What comes behind the members must be what follows from them, and then nothing.
    fn check_end(&mut self, mark: &[u8]) -> Result<(), ArchiveError> {
        let expected = self.directory.end();
        let (first, rest) = expected.split_at(4);
        let mut found = vec![0; rest.len()];
        self.fill(&mut found, "the directory")?;
        let mut more = [0];
        let behind = self.from.read(&mut more)?;
        if first != mark || rest != found || behind > 0 {
            return Err(ArchiveError::Altered("the directory at its end".to_owned()));
        }
        Ok(())
    }

    fn fill(&mut self, buf: &mut [u8], what: &str) -> Result<(), ArchiveError> {
        self.from.read_exact(buf).map_err(|error| cut_off(error, what))
    }
}

fn cut_off(error: io::Error, what: &str) -> ArchiveError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ArchiveError::CutOff(format!("in {what}"))
    } else {
        ArchiveError::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.add("manifest.json", b"{}".to_vec()).unwrap();
        archive.add("clips/1.mp4", b"moving pictures".to_vec()).unwrap();
        archive.add("empty", Vec::new()).unwrap();
        let mut bytes = Vec::new();
        archive.write_to(&mut bytes).unwrap();
        bytes
    }

    type Named = (String, Option<Vec<u8>>);

    fn read(bytes: &[u8]) -> Result<Vec<Named>, ArchiveError> {
        let mut reader = ArchiveReader::new(bytes);
        let mut members = Vec::new();
        while let Some(member) = reader.next_member(10)? {
            members.push((member.name, member.bytes));
        }
        Ok(members)
    }

    #[test]
    fn members_come_back_in_the_order_of_their_names() {
        let members = read(&sample()).unwrap();
        let expected = [
            ("clips/1.mp4".to_owned(), None),
            ("empty".to_owned(), Some(Vec::new())),
            ("manifest.json".to_owned(), Some(b"{}".to_vec())),
        ];
        assert_eq!(members, expected, "more than asked for is only hashed");
        assert_eq!(sample(), sample());
    }

    #[test]
    fn a_member_that_is_elsewhere_gives_the_same_bytes() {
        let mut archive = Archive::default();
        archive.add("manifest.json", b"{}".to_vec()).unwrap();
        archive.add("empty", Vec::new()).unwrap();
        let mut measured = Measure::default();
        measured.write_all(b"moving ").unwrap();
        measured.write_all(b"pictures").unwrap();
        assert_eq!(measured.len(), 15);
        archive.add_elsewhere("clips/1.mp4", measured).unwrap();
        let mut bytes = Vec::new();
        for piece in archive.into_pieces() {
            match piece {
                ArchivePiece::Bytes(piece) => bytes.extend(piece),
                ArchivePiece::Elsewhere { name, len } => {
                    assert_eq!((name.as_str(), len), ("clips/1.mp4", 15));
                    bytes.extend(b"moving pictures");
                }
            }
        }
        assert_eq!(bytes, sample());
        let mut archive = Archive::default();
        archive.add_elsewhere("clips/1.mp4", Measure::default()).unwrap();
        assert!(matches!(archive.write_to(&mut Vec::new()), Err(ArchiveError::Refused(_))));
    }

    #[test]
    fn more_than_four_gibibytes_are_refused_before_anything_is_written() {
        let mut archive = Archive::default();
        let large = Measure { len: 3 << 30, ..Measure::default() };
        archive.add_elsewhere("clips/1.mp4", large.clone()).unwrap();
        assert!(matches!(archive.add_elsewhere("2", large), Err(ArchiveError::Refused(_))));
        let endless = Measure { len: u64::MAX, ..Measure::default() };
        assert!(matches!(archive.add_elsewhere("3", endless), Err(ArchiveError::Refused(_))));
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_byte_more_is_noticed() {
        let whole = sample();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "byte {at}, bit {bit}");
            }
            let cut = read(&whole[..at]).unwrap_err();
            assert!(matches!(cut, ArchiveError::CutOff(_)), "cut at {at}: {cut}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert!(matches!(read(&longer), Err(ArchiveError::Altered(_))));
    }

    #[test]
    fn names_that_lead_elsewhere_are_neither_written_nor_read() {
        let mut archive = Archive::default();
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a b", "a\\b"] {
            assert!(matches!(archive.add(bad, Vec::new()), Err(ArchiveError::Refused(_))), "{bad}");
        }
        archive.add("once", Vec::new()).unwrap();
        assert!(archive.add("once", Vec::new()).is_err());
    }
}
