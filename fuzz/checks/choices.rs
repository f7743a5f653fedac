//! Decisions out of a target's bytes: the fuzzer's bytes steer what a check builds.
//!
//! Total: where the bytes end, every further choice is zero, so that a shorter input is a simpler
//! one and a minimiser has an easy life.

/// Takes choices from the front of the bytes.
#[derive(Clone, Debug)]
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Whether all bytes are used up.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next bytes, at most `len`.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        super::put(&mut array, 0, self.bytes(N));
        array
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `bound`, by one byte where that is enough.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let number = if bound <= 256 { u32::from(self.u8()) } else { self.u32() };
        number % bound.max(1)
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// One change of `bytes`: a byte flipped, put in or taken out, the end cut off, or a run of
    /// them copied over others.
    #[cfg(feature = "evidence")]
    pub(super) fn change(&mut self, bytes: &mut Vec<u8>) {
        let (how, at) = (self.u8() % 6, super::index(self.u32()) % (bytes.len() + 1));
        match how {
            0 => bytes.insert(at, self.u8()),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let from = super::index(self.u32()) % (bytes.len() + 1);
                let run: Vec<u8> =
                    bytes[from..].iter().take(1 + super::index(self.u8())).copied().collect();
                super::put(bytes, at, &run);
            }
            _ if at < bytes.len() => bytes[at] ^= self.u8(),
            _ => {}
        }
    }
}
