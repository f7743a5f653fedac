//! Who has which lock of a simulated disk. Locks are of processes: no crash or fork keeps one.

use std::collections::BTreeMap;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Writer,
    Readers(u64),
}

/// The locks that are taken, by path.
#[derive(Debug, Default)]
pub(super) struct Locks(BTreeMap<String, Holder>);

impl Locks {
    pub(super) fn take(&mut self, path: &str, exclusive: bool) -> io::Result<()> {
        let holder = match (self.0.get(path), exclusive) {
            (None, true) => Holder::Writer,
            (None, false) => Holder::Readers(1),
            (Some(Holder::Readers(count)), false) => Holder::Readers(count + 1),
            _ => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.0.insert(path.to_owned(), holder);
        Ok(())
    }

    pub(super) fn give_back(&mut self, path: &str) {
        match self.0.get_mut(path) {
            Some(Holder::Readers(count)) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(path)),
        }
    }

    pub(super) fn has_writer(&self, path: &str) -> bool {
        self.0.get(path) == Some(&Holder::Writer)
    }
}
