//! The push parser of fragmented MP4 streams.
//!
//! Asserts that pieces, errors and leftovers do not depend on how the stream was cut into pushes,
//! that each piece is bytes of the stream in their order, and that no claimed size becomes memory.

use super::choices::Choices;
use super::memory;
use crate::media::{FragmentParser, InitSegment, Piece};

/// What a parser made of a stream.
#[derive(Debug, PartialEq)]
struct Parsed {
    pieces: Vec<Piece>,
    /// Message and offset.
    error: Option<(String, Option<u64>)>,
    lost: u64,
}

/// Input: two bytes that say how the stream is cut, and the stream.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (smallest, spread) = (usize::from(choices.u8()), usize::from(choices.u8()));
    let stream = choices.rest();
    // A sample takes 32 bytes of memory and may take 1 byte of the stream; vectors double.
    let most = stream.len().saturating_mul(96).saturating_add(8192);
    let at_once = memory::within(most, || parse(FragmentParser::new(), [stream].into_iter()));
    let cuts = Cuts { rest: stream, smallest, spread, state: stream.len() };
    assert_eq!(parse(FragmentParser::new(), cuts), at_once, "cut another way");
    in_order(stream, &at_once.pieces);
    alone(&at_once.pieces);
}

fn parse<'a>(mut parser: FragmentParser, chunks: impl Iterator<Item = &'a [u8]>) -> Parsed {
    let mut pieces = Vec::new();
    let mut error = None;
    for chunk in chunks {
        parser.push(chunk);
        loop {
            match parser.next() {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(found) => {
                    let said = (found.to_string(), found.offset());
                    assert!(error.is_none_or(|before| before == said), "another error later");
                    error = Some(said);
                    break;
                }
            }
        }
    }
    Parsed { pieces, error, lost: parser.finish() }
}

/// A stream in pieces of `smallest` to `smallest + spread` bytes.
struct Cuts<'a> {
    rest: &'a [u8],
    smallest: usize,
    spread: usize,
    state: usize,
}

impl<'a> Iterator for Cuts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.state = self.state.wrapping_mul(6_364_136_223).wrapping_add(1_442_695);
        let len = self.smallest + (self.state >> 8) % (self.spread + 1);
        let (head, rest) = self.rest.split_at(len.max(1).min(self.rest.len()));
        self.rest = rest;
        Some(head)
    }
}

/// Each piece is found in the stream behind the one before it.
fn in_order(stream: &[u8], pieces: &[Piece]) {
    let mut at = 0;
    for piece in pieces {
        let bytes = match piece {
            Piece::Init(init) => init.bytes(),
            Piece::Fragment(fragment) => &fragment.bytes,
        };
        assert!(!bytes.is_empty());
        let found = (at..=stream.len()).find(|at| stream[*at..].starts_with(bytes));
        at = found.expect("a piece that is not in the stream") + bytes.len();
    }
}

/// Each fragment is a stream by itself for a parser that has its init segment.
fn alone(pieces: &[Piece]) {
    let mut newest: Option<&InitSegment> = None;
    for piece in pieces {
        let fragment = match piece {
            Piece::Init(init) => {
                newest = Some(init);
                continue;
            }
            Piece::Fragment(fragment) => fragment,
        };
        let init = newest.expect("a fragment before any init segment").clone();
        let chunks = [&fragment.bytes[..]].into_iter();
        let parsed = parse(FragmentParser::resuming(init), chunks);
        assert_eq!((parsed.error, parsed.lost), (None, 0));
        let [Piece::Fragment(again)] = &parsed.pieces[..] else {
            panic!("a fragment alone is {} pieces", parsed.pieces.len())
        };
        assert_eq!((&again.bytes, again.key), (&fragment.bytes, fragment.key));
    }
}
