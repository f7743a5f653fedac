//! One figure, measured once a round: the middle one, and how far the others lie from it.

use std::time::Duration;

/// What the rounds gave, in their order.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Takes in the figure of one more round.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The same of a time, in seconds.
    pub fn add_time(&mut self, took: Duration) {
        self.add(took.as_secs_f64());
    }

    /// The middle one; of two middle ones what lies between them, as a track's rates have it.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let above = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        let below = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        f64::midpoint(below, above)
    }

    /// The median, with the smallest and the largest, each as `text` has it.
    pub fn text(&self, text: impl Fn(f64) -> String) -> String {
        let sorted = self.sorted();
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
            return "-".to_owned();
        };
        format!("{} ({}..{})", text(self.median()), text(*least), text(*most))
    }

    /// As a whole number.
    pub fn whole(&self) -> String {
        self.text(|figure| format!("{figure:.0}"))
    }

    /// As a time.
    pub fn time(&self) -> String {
        self.text(|seconds| short(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// A time in three figures or so.
pub fn short(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_nanos() {
        0..10_000 => format!("{:.1} us", seconds * 1e6),
        10_000..1_000_000 => format!("{:.0} us", seconds * 1e6),
        _ => format!("{:.1} ms", seconds * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_is_told_and_how_far_the_others_are() {
        let mut spread = Spread::default();
        assert_eq!(spread.whole(), "-", "of no round");
        for seconds in [0.004, 0.000_002, 0.000_5] {
            spread.add_time(Duration::from_secs_f64(seconds));
        }
        assert_eq!(spread.time(), "500 us (2.0 us..4.0 ms)");
    }

    #[test]
    fn of_two_middle_ones_neither_is_taken_for_the_median() {
        let mut spread = Spread::default();
        for figure in [9.0, 4.0, 1.0, 6.0] {
            spread.add(figure);
        }
        assert_eq!(spread.whole(), "5 (1..9)");
        spread.add(9.0);
        assert_eq!(spread.whole(), "6 (1..9)");
    }
}
