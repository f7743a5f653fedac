//! The only place that reads a clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::Timestamp;

/// What a [`Clock`] says of the machine's uptime, sleep included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Changes at every boot of the machine.
    pub boot_id: [u8; 16],
    /// Microseconds since that boot, never going back (`CLOCK_BOOTTIME`).
    pub since_boot_us: u64,
}

/// Time as the machine tells it. The store makes its own trusted time from it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, which anybody can set to anything.
    fn wall(&self) -> Timestamp;
    /// The time since boot, which nobody can set.
    fn uptime(&self) -> Uptime;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp::from_micros(
            now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000),
        )
    }

    fn uptime(&self) -> Uptime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let us = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        Uptime { boot_id: boot_id(), since_boot_us: u64::try_from(us).unwrap_or(0) }
    }
}

/// A time that never goes back and says nothing of the date: for differences.
pub(crate) fn monotonic() -> Duration {
    span_of(rustix::time::ClockId::Monotonic)
}

/// Measures how long something takes: it never goes back and says nothing of the date.
#[cfg(feature = "bench")]
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Duration);

#[cfg(feature = "bench")]
impl Stopwatch {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self(monotonic())
    }

    /// The time since then.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        monotonic().saturating_sub(self.0)
    }
}

/// What the process and its threads have used of the processors so far, in their own code and in
/// the kernel's on their behalf.
#[cfg(feature = "bench")]
pub(crate) fn cpu_time() -> Duration {
    span_of(rustix::time::ClockId::ProcessCPUTime)
}

fn span_of(clock: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(clock);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanos)
}

/// The kernel's boot id; zeros where there is none, so that only the wall clock can tell boots
/// apart.
fn boot_id() -> [u8; 16] {
    static BOOT_ID: std::sync::OnceLock<[u8; 16]> = std::sync::OnceLock::new();
    *BOOT_ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut id = [0; 16];
        let mut digits = text.chars().filter_map(|c| c.to_digit(16));
        for byte in &mut id {
            let (Some(high), Some(low)) = (digits.next(), digits.next()) else { break };
            *byte = u8::try_from(high * 16 + low).unwrap_or(0);
        }
        id
    })
}

/// A clock that stands still until it is told to move: for tests, the simulator and the demo.
///
/// Clones share the time.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use clipkeep::{Clock, ManualClock};
///
/// let clock = ManualClock::at("2026-11-01T00:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.wall().to_string(), "2026-11-01T00:01:00Z");
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Debug)]
struct Manual {
    wall: Timestamp,
    wall_stands: bool,
    uptime: Uptime,
}

impl ManualClock {
    /// A clock that shows `wall`, one hour after a boot.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        let uptime = Uptime { boot_id: [1; 16], since_boot_us: 3_600_000_000 };
        Self(Arc::new(Mutex::new(Manual { wall, wall_stands: false, uptime })))
    }

    /// Lets `by` pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut manual = self.0.lock();
        if !manual.wall_stands {
            manual.wall = manual.wall.saturating_add(by);
        }
        let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        manual.uptime.since_boot_us = manual.uptime.since_boot_us.saturating_add(us);
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn step_wall(&self, wall: Timestamp) {
        self.0.lock().wall = wall;
    }

    /// Lets the wall clock stand still while time passes, as with a broken oscillator or a
    /// machine whose clock is set over and over; or go on. It can still be stepped.
    pub fn freeze_wall(&self, frozen: bool) {
        self.0.lock().wall_stands = frozen;
    }

    /// Reboots the machine: a new boot id, uptime zero; the wall clock stays as it is.
    pub fn reboot(&self) {
        let mut manual = self.0.lock();
        for byte in &mut manual.uptime.boot_id {
            let (next, overflow) = byte.overflowing_add(1);
            *byte = next;
            if !overflow {
                break;
            }
        }
        manual.uptime.since_boot_us = 0;
    }

    /// Reboots a machine without a battery for its clock: it wakes up in 1970.
    pub fn reboot_without_battery(&self) {
        self.reboot();
        self.step_wall(Timestamp::EPOCH);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.0.lock().wall
    }

    fn uptime(&self) -> Uptime {
        self.0.lock().uptime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_never_goes_back_and_names_its_boot() {
        let (first, second) = (SystemClock.uptime(), SystemClock.uptime());
        assert_eq!(first.boot_id, second.boot_id);
        assert!(first.since_boot_us <= second.since_boot_us);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let before = clock.uptime();
        clock.step_wall(Timestamp::MAX);
        assert_eq!(clock.uptime(), before);
        clock.reboot();
        assert_ne!(clock.uptime().boot_id, before.boot_id);
        assert_eq!(clock.wall(), Timestamp::MAX);
    }
    #[test]
    fn a_frozen_wall_clock_stands_while_the_machine_runs() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let before = clock.uptime().since_boot_us;
        clock.freeze_wall(true);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.wall(), Timestamp::EPOCH);
        assert_eq!(clock.uptime().since_boot_us, before + 1_000_000);
        clock.freeze_wall(false);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.wall(), Timestamp::EPOCH.saturating_add(Duration::from_secs(1)));
    }

    #[test]
    fn a_machine_without_a_battery_wakes_up_in_1970() {
        let clock = ManualClock::at(Timestamp::MAX);
        let before = clock.uptime();
        clock.reboot_without_battery();
        assert_eq!((clock.wall(), clock.uptime().since_boot_us), (Timestamp::EPOCH, 0));
        assert_ne!(clock.uptime().boot_id, before.boot_id);
    }
}
