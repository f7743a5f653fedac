//! What a test does to a simulated disk: failures, damage, fullness, slowness, and a history to
//! print.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::SimVfs;
use super::fault::{Effect, FailedSync, SimDamage, SimOp, Trigger};
use super::room::Reserve;

impl SimVfs {
    /// Lets the `nth` operation of kind `op` from now on fail with `error`, once; 1 is the next.
    pub fn fail_after(&self, op: SimOp, nth: u64, error: io::ErrorKind) {
        self.arm(op, Trigger::once(nth), Effect::Fail(error));
    }

    /// Lets the `nth` operation of kind `op` from now on and all after it fail with `error`.
    pub fn fail_from(&self, op: SimOp, nth: u64, error: io::ErrorKind) {
        self.arm(op, Trigger::from(nth), Effect::Fail(error));
    }

    /// Lets each operation of kind `op` fail with `error` by chance, one in `one_in` of them.
    pub fn fail_by_odds(&self, op: SimOp, one_in: u64, error: io::ErrorKind) {
        self.arm(op, Trigger::Odds { one_in }, Effect::Fail(error));
    }

    /// Lets the `nth` operation of kind `op` from now on fail with EROFS and turn the whole disk
    /// read-only, as a file system does after an error in its own data. A crash ends it.
    pub fn turn_read_only_after(&self, op: SimOp, nth: u64) {
        self.arm(op, Trigger::once(nth), Effect::ReadOnly);
    }

    /// Turns the whole disk read-only, or back: every change and every sync fails with EROFS, and
    /// what is pending stays so.
    pub fn set_read_only(&self, read_only: bool) {
        self.disk.lock().read_only = read_only;
    }

    /// Lets the `nth` write from now on do `damage` and report success; 1 is the next.
    pub fn damage_after(&self, damage: SimDamage, nth: u64) {
        self.arm(SimOp::Write, Trigger::once(nth), Effect::Damage(damage));
    }

    /// Lets each write do `damage` by chance, one in `one_in` of them, and report success.
    pub fn damage_by_odds(&self, damage: SimDamage, one_in: u64) {
        self.arm(SimOp::Write, Trigger::Odds { one_in }, Effect::Damage(damage));
    }

    fn arm(&self, op: SimOp, trigger: Trigger, effect: Effect) {
        self.disk.lock().faults.arm(op, trigger, effect);
    }

    /// Takes back all failures that were ordered and have not struck.
    pub fn clear_faults(&self) {
        self.disk.lock().faults.clear();
    }

    /// Sets what is read after a failed sync of a file. New bytes, if nothing is said.
    pub fn set_failed_sync(&self, mode: FailedSync) {
        self.disk.lock().failed_sync.reads = mode;
    }

    /// Whether a sync of a file that fails writes some of its blocks, by the seed, and gives only
    /// the others up. It writes none, if nothing is said.
    pub fn set_failed_sync_writes(&self, some: bool) {
        self.disk.lock().failed_sync.writes = some;
    }

    /// Sets the disk's size. Less than is in use leaves no room, and takes none away.
    pub fn set_capacity(&self, bytes: u64) {
        self.disk.lock().room.capacity = bytes;
    }

    /// Lets so many more files and folders be made, besides one for each that is removed: room
    /// for names runs out apart from that for bytes. `None` is no bound.
    pub fn set_name_room(&self, names: Option<u64>) {
        self.disk.lock().room.names = names;
    }

    /// Makes it a file system that writes each change to a new place, as btrfs does: on a full
    /// disk, also writing over blocks, renaming, removing and giving blocks back need room, a
    /// block for each block or call. They get it from a reserve of so many bytes, which a
    /// successful sync of anything fills again; past it they fail with ENOSPC. `None` ends it.
    pub fn set_reserve(&self, bytes: Option<u64>) {
        self.disk.lock().room.reserve = bytes.map(Reserve::new);
    }

    /// Tells of so many free bytes at most, and gives whoever allocates what there is: XFS and
    /// btrfs count the room of removed files late. `None` ends it.
    pub fn set_counted_room(&self, bytes_max: Option<u64>) {
        self.disk.lock().room.counted_max = bytes_max;
    }

    /// Flips the bits `xor` of the byte at `offset` of a file, on the medium: also in what is
    /// still to be synced. Nothing happens where there is no such byte.
    pub fn corrupt(&self, path: &str, offset: u64, xor: u8) {
        if let Some(inode) = self.disk.lock().named_mut(path) {
            inode.corrupt(offset, xor);
        }
    }

    /// Makes all reads of the bytes `range` of a file fail with EIO, across crashes. Writing them
    /// still works and does not heal them. A map shows no data there, and populating it fails.
    /// Nothing happens where there is no such file.
    pub fn bad_sector(&self, path: &str, range: Range<u64>) {
        if let Some(inode) = self.disk.lock().named_mut(path) {
            inode.bad.push(range);
        }
    }

    /// Whether a crash may show old bytes of deleted files in space whose own bytes never came,
    /// as file systems without unwritten extents do. Off, such space is zeros and lost bytes are
    /// noise: a test that searches the disk for deleted footage cannot blame the store for what a
    /// file system resurrects.
    pub fn show_deleted(&self, show: bool) {
        self.disk.lock().show_deleted = show;
    }

    /// Lets each operation of kind `op` take a time. Nobody waits: it is summed up in
    /// [`SimVfs::waited`] and told to what [`SimVfs::on_wait`] names.
    pub fn slow_down(&self, op: SimOp, each: Duration) {
        self.disk.lock().delays.set(op, each);
    }

    /// Calls `on_wait` with the time that an operation takes, before it takes effect: to move a
    /// clock. It must not use the disk, which is in the middle of that operation.
    pub fn on_wait(&self, on_wait: impl Fn(Duration) + Send + Sync + 'static) {
        self.disk.lock().delays.on_wait = Some(Arc::new(on_wait));
    }

    /// How long the operations of a slow disk have taken, all together.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.disk.lock().delays.total
    }

    /// Starts writing down every call and its outcome, from nothing; or stops and forgets.
    /// Crashes and forks go on with what their disk wrote.
    pub fn record_history(&self, record: bool) {
        self.disk.lock().history.record(record);
    }

    /// The calls that were written down, a line each, with the choices of crashes among them.
    /// Bytes stand there as hashes: the same lines are the same history.
    #[must_use]
    pub fn history(&self) -> Vec<String> {
        self.disk.lock().history.lines()
    }
}
