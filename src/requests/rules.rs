//! The bounds of a request.
//!
//! The defaults are the published rules of the programme that this workflow answers, as the design
//! states them: a window of 15 minutes to 12 hours, wholly in the past and of the last 45 days; an
//! area of 0.025 to 0.5 square miles; at most two requests an incident.

use std::time::Duration;

use crate::{Timestamp, Window};

use super::Refusal;

/// Square metres in a square mile.
const SQUARE_MILE_M2: u64 = 2_589_988;
const MINUTE: Duration = Duration::from_mins(1);

/// What a request must keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The shortest and the longest window.
    pub window: (Duration, Duration),
    /// How far back a window may begin.
    pub reach: Duration,
    /// The smallest and the largest area, in square metres.
    pub area_m2: (u64, u64),
    /// How many requests there may be about one incident.
    pub per_incident: usize,
    /// What all requests about one incident may cover together: square metres x minutes. One
    /// request may be large or long; tiling an incident with many must not reach further.
    pub incident_budget: u64,
    /// The same for all requests of one agency in one day of trusted time.
    pub agency_day_budget: u64,
    /// How long screening may take.
    pub screening: Duration,
    /// How long residents have to answer.
    pub answering: Duration,
    /// How long shared clips can be fetched.
    pub fetching: Duration,
    /// How long a resident can take a denial back.
    pub undo: Duration,
    /// For how many days the words of a request are kept after it is over, at least. What counts
    /// is the rule of the day on which it came.
    pub words_days: u32,
    /// Which requests are let through without a person; none: each is screened by one.
    pub by_rule: Option<ByRule>,
}

/// What a request must keep to beyond [`Rules`] so that it is let through without a person. All of
/// it is in the request's own words, or in how often its agency asked: whether there is footage,
/// and whose, decides nothing. Residents decide as they do of any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByRule {
    /// The kinds of incident, as the agency writes them, in small letters.
    pub kinds: Vec<String>,
    /// The largest area, in square metres.
    pub area_m2: u64,
    /// The longest window.
    pub window: Duration,
    /// How far back a window may begin.
    pub reach: Duration,
    /// How many requests of one agency in one day of trusted time; the others wait for a person.
    pub a_day: u32,
}

impl ByRule {
    /// These kinds of incident, in an eighth of a square mile, over two hours of the last three
    /// days, three a day.
    #[must_use]
    pub fn of(kinds: Vec<String>) -> Self {
        Self {
            kinds,
            area_m2: SQUARE_MILE_M2 / 8,
            window: Duration::from_hours(2),
            reach: Duration::from_hours(72),
            a_day: 3,
        }
    }

    /// Whether a request about this `kind` of incident, an area of so many square metres and
    /// `window`, is let through at trusted time `now`, when `today` of its agency's were before it.
    #[must_use]
    pub fn lets_through(
        &self,
        kind: &str,
        area_m2: u64,
        window: Window,
        now: Timestamp,
        today: u32,
    ) -> bool {
        let kind = kind.trim().to_lowercase();
        self.kinds.contains(&kind)
            && area_m2 <= self.area_m2
            && window.duration() <= self.window
            && window.start() >= now.saturating_sub(self.reach)
            && today < self.a_day
    }
}

impl Default for Rules {
    fn default() -> Self {
        let largest = SQUARE_MILE_M2 / 2 * 12 * 60;
        Self {
            window: (15 * MINUTE, Duration::from_hours(12)),
            reach: Duration::from_hours(45 * 24),
            area_m2: (SQUARE_MILE_M2 / 40, SQUARE_MILE_M2 / 2),
            per_incident: 2,
            incident_budget: largest,
            agency_day_budget: 10 * largest,
            screening: Duration::from_hours(24),
            answering: Duration::from_hours(14 * 24),
            fetching: Duration::from_hours(30 * 24),
            undo: Duration::from_hours(24),
            words_days: 3,
            by_rule: None,
        }
    }
}

impl Rules {
    /// Checks that these rules do not contradict themselves, and ask of no hold what it cannot do.
    ///
    /// # Errors
    ///
    /// `Invalid`, with what is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        const DAY: Duration = Duration::from_hours(24);
        let cost = Self::most(self.area_m2.1, self.window.1);
        let wanted = [
            (
                MINUTE <= self.window.0 && self.window.0 <= self.window.1 && self.window.1 <= DAY,
                "window: want a minute to a day, the shortest not above the longest",
            ),
            (self.window.1 <= self.reach, "reach: want at least the longest window"),
            (
                0 < self.area_m2.0 && self.area_m2.0 <= self.area_m2.1,
                "area: want more than 0 square metres, the smallest not above the largest",
            ),
            (self.per_incident > 0, "requests an incident: want at least 1"),
            (
                cost <= self.incident_budget && cost <= self.agency_day_budget,
                "budgets: want room for one request of the largest area and the longest window",
            ),
            (
                MINUTE <= self.screening && self.screening <= DAY,
                "screening: want a minute to 24 hours, for which a provisional hold keeps",
            ),
            (
                MINUTE <= self.answering && self.answering <= 30 * DAY,
                "answering: want a minute to 30 days, for which a hold of a request keeps",
            ),
            (
                MINUTE <= self.fetching && self.fetching <= 30 * DAY,
                "fetching: want a minute to 30 days, for which a hold on shared clips keeps",
            ),
            (self.undo <= DAY, "undo: want at most 24 hours, for which what was denied is kept"),
            (
                (3..=90).contains(&self.words_days),
                "words: want 3 days, for which something may still be held, to 90",
            ),
        ];
        match wanted.iter().find(|(is_so, _)| !is_so) {
            Some((_, why)) => Err(Refusal::Invalid(format!("rules of requests: {why}"))),
            None => Ok(()),
        }
    }

    /// Checks a request's window against trusted time `now`.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the bound that it breaks.
    pub fn check_window(&self, window: Window, now: Timestamp) -> Result<(), Refusal> {
        let (shortest, longest) = self.window;
        let length = window.duration();
        if length < shortest || length > longest {
            return Err(Refusal::Invalid(format!(
                "window of {} minutes: want {} minutes to {} hours",
                length.as_secs() / 60,
                shortest.as_secs() / 60,
                longest.as_secs() / 3600
            )));
        }
        if window.end() > now {
            return Err(Refusal::Invalid(format!(
                "window: it ends at {}, and it is {now}; a request is about the past",
                window.end()
            )));
        }
        if window.start() < now.saturating_sub(self.reach) {
            return Err(Refusal::Invalid(format!(
                "window: it begins more than {} days ago",
                self.reach.as_secs() / 86_400
            )));
        }
        Ok(())
    }

    /// Checks the size of a request's area.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the bound that it breaks.
    pub fn check_area(&self, square_metres: u64) -> Result<(), Refusal> {
        let (smallest, largest) = self.area_m2;
        if (smallest..=largest).contains(&square_metres) {
            return Ok(());
        }
        Err(Refusal::Invalid(format!(
            "area of {square_metres} square metres: want {smallest} to {largest}"
        )))
    }

    /// What a request counts against the budgets: square metres x begun minutes.
    #[must_use]
    pub fn cost(square_metres: u64, window: Window) -> u64 {
        Self::most(square_metres, window.duration())
    }

    fn most(square_metres: u64, length: Duration) -> u64 {
        square_metres.saturating_mul(length.as_secs().div_ceil(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from_min: i64, to_min: i64) -> Window {
        let at = |minutes: i64| Timestamp::from_micros(minutes * 60_000_000);
        Window::new(at(from_min), at(to_min)).unwrap()
    }

    #[test]
    fn a_window_is_short_past_and_recent() {
        let rules = Rules::default();
        let now = Timestamp::from_micros(100_000 * 60_000_000);
        let ok = |from, to| rules.check_window(window(from, to), now).is_ok();
        assert!(ok(99_000, 99_015) && ok(99_000, 99_720) && ok(99_985, 100_000));
        assert!(!ok(99_000, 99_014) && !ok(99_000, 99_721), "too short, too long");
        assert!(!ok(99_990, 100_010), "live access by parts");
        assert!(ok(100_000 - 45 * 1440, 100_000 - 45 * 1440 + 60));
        assert!(!ok(100_000 - 45 * 1440 - 1, 100_000 - 45 * 1440 + 60));
    }

    #[test]
    fn an_area_is_neither_a_house_nor_a_town() {
        let rules = Rules::default();
        let ok = |size| rules.check_area(size).is_ok();
        assert!(ok(64_749) && ok(1_294_994));
        assert!(!ok(64_748) && !ok(1_294_995) && !ok(0));
    }

    #[test]
    fn rules_that_no_hold_can_keep_are_refused_and_say_why() {
        const DAY: Duration = Duration::from_hours(24);
        assert!(Rules::default().check().is_ok());
        let bad = |change: fn(&mut Rules), about: &str| {
            let mut rules = Rules::default();
            change(&mut rules);
            let refusal = rules.check().unwrap_err().to_string();
            assert!(refusal.contains(about), "{refusal}");
        };
        bad(|rules| rules.window.0 = Duration::ZERO, "window");
        bad(|rules| rules.window = (2 * MINUTE, MINUTE), "window");
        bad(|rules| rules.window.1 = 2 * DAY, "window");
        bad(|rules| rules.reach = MINUTE, "reach");
        bad(|rules| rules.area_m2 = (0, 1), "area");
        bad(|rules| rules.area_m2 = (2, 1), "area");
        bad(|rules| rules.per_incident = 0, "incident");
        bad(|rules| rules.incident_budget -= 1, "budgets");
        bad(|rules| rules.agency_day_budget = 1, "budgets");
        bad(|rules| rules.screening = 25 * MINUTE * 60, "screening");
        bad(|rules| rules.answering = 31 * DAY, "answering");
        bad(|rules| rules.fetching = 31 * DAY, "fetching");
        bad(|rules| rules.undo = 2 * DAY, "undo");
        bad(|rules| rules.words_days = 2, "words");
        bad(|rules| rules.words_days = 91, "words");
    }

    #[test]
    fn a_rule_lets_through_what_keeps_to_each_of_its_bounds_and_nothing_else() {
        let rule = ByRule::of(vec!["package theft".to_owned()]);
        let now = Timestamp::from_micros(100_000 * 60_000_000);
        let lets = |kind: &str, area, from, to, today| {
            rule.lets_through(kind, area, window(from, to), now, today)
        };
        assert!(lets(" Package Theft", 323_748, 99_000, 99_120, 2));
        assert!(!lets("theft", 323_748, 99_000, 99_120, 2), "another kind");
        assert!(!lets("package theft", 323_749, 99_000, 99_120, 2), "a larger area");
        assert!(!lets("package theft", 323_748, 99_000, 99_121, 2), "a longer window");
        assert!(!lets("package theft", 323_748, 95_679, 95_700, 2), "too long ago");
        assert!(lets("package theft", 323_748, 95_680, 95_700, 2));
        assert!(!lets("package theft", 323_748, 99_000, 99_120, 3), "too many today");
    }

    #[test]
    fn the_largest_single_request_is_within_every_budget() {
        let rules = Rules::default();
        let cost = Rules::cost(rules.area_m2.1, window(0, 720));
        assert!(cost <= rules.incident_budget && cost <= rules.agency_day_budget);
        assert_eq!(Rules::cost(100, window(0, 15)), 1500);
    }
}
