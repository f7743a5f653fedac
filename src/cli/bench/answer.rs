//! The one question that all figures are for: how many cameras, for how many days?

use super::measure::Measured;
use crate::cli::size;
use crate::workload::Track;

/// What the box can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// What a camera sends.
    pub(super) mbit: u32,
    /// Bytes a second that the store took, durable, while it expired as much.
    pub(super) sustained: u64,
    /// Cameras whose footage is half of that.
    pub(super) cameras: u64,
    /// Room for footage: what is free, less a tenth.
    pub(super) room_bytes: u64,
    /// Days that the room lasts for that many cameras, in tenths.
    pub(super) days_of_all_tenths: u64,
    /// Cameras that the room keeps for five days.
    pub(super) cameras_for_five_days: u64,
}

const DAY_SECONDS: u64 = 86_400;

impl Answer {
    pub(super) fn of(measured: &Measured, mbit: u32) -> Self {
        let slowest = measured.steady.iter().map(|pair| rate(&pair.own.track)).min();
        let sustained = slowest.unwrap_or(0);
        Self::from(sustained, measured.machine.free_bytes, mbit)
    }

    fn from(sustained: u64, free_bytes: u64, mbit: u32) -> Self {
        let a_second = u64::from(mbit.max(1)) * 1_000_000 / 8;
        let a_day = a_second * DAY_SECONDS;
        let cameras = sustained / 2 / a_second;
        let room_bytes = free_bytes / 10 * 9;
        Self {
            mbit,
            sustained,
            cameras,
            room_bytes,
            days_of_all_tenths: room_bytes / 100 * 1000 / (cameras.max(1) * a_day),
            cameras_for_five_days: room_bytes / (5 * a_day),
        }
    }

    /// Days that the room lasts for `cameras`, in tenths.
    pub(super) fn days_tenths(&self, cameras: u64) -> u64 {
        let a_day = u64::from(self.mbit) * 1_000_000 / 8 * DAY_SECONDS;
        self.room_bytes / 100 * 1000 / (cameras.max(1) * a_day)
    }

    /// In plain words.
    pub(super) fn sentences(&self) -> [String; 2] {
        let sustained = size::bytes(self.sustained);
        let speed = format!(
            "This box keeps up with {} of {} Mbit/s: half of the {sustained} a second that it \
             stored durably while it expired as much.",
            size::count(self.cameras, "camera"),
            self.mbit,
        );
        let room = size::bytes(self.room_bytes);
        let days = if self.cameras <= self.cameras_for_five_days {
            let days = tenths(self.days_of_all_tenths);
            format!("Its {room} of room (nine tenths of what is free) keep them for {days} days.")
        } else {
            let few = self.cameras_for_five_days.max(1);
            let days = tenths(self.days_tenths(few));
            format!(
                "Its {room} of room (nine tenths of what is free) keep {} for {days} days: more \
                 disk, not a faster one, is what more cameras need.",
                size::count(few, "camera"),
            )
        };
        [speed, days]
    }
}

/// The median of a track's rounds, in whole bytes a second.
pub(super) fn rate(track: &Track) -> u64 {
    let mut rates: Vec<u64> = track
        .rounds
        .iter()
        .map(|round| {
            let micros = round.wall.as_micros().max(1);
            u64::try_from(u128::from(round.bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
        })
        .collect();
    rates.sort_unstable();
    rates.get(rates.len() / 2).copied().unwrap_or(0)
}

/// A number of tenths as a decimal.
pub(super) fn tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_follow_from_the_rate_and_days_from_the_room() {
        // 2 Mbit/s are 250,000 bytes a second and 21.6 GB a day.
        let answer = Answer::from(500_000_000, 2_400_000_000_000, 2);
        assert_eq!(answer.cameras, 1000);
        assert_eq!(answer.cameras_for_five_days, 20);
        assert_eq!(answer.days_tenths(20), 50);
        assert!(answer.sentences()[1].contains("20 cameras for 5.0 days"));
    }

    #[test]
    fn a_slow_disk_with_much_room_is_told_so() {
        let answer = Answer::from(1_000_000, 24_000_000_000_000, 2);
        assert_eq!(answer.cameras, 2);
        assert_eq!(answer.days_of_all_tenths, 5000);
        assert!(answer.sentences()[0].contains("2 cameras of 2 Mbit/s"));
        assert!(answer.sentences()[1].contains("500.0 days"));
    }
}
