//! The bounds of requests as the settings have them.

use std::time::Duration;

use crate::requests::{ByRule, Rules};
use crate::{Error, ErrorKind, Result};

use super::super::config::RequestSettings;

/// The rules that the settings say.
///
/// # Errors
///
/// `InvalidInput` for what no hold can keep, or what contradicts itself.
pub(in crate::daemon) fn rules(settings: &RequestSettings) -> Result<Rules> {
    let minutes = |count: u32| Duration::from_secs(u64::from(count) * 60);
    let hours = |count: u32| Duration::from_secs(u64::from(count) * 3_600);
    let days = |count: u32| Duration::from_secs(u64::from(count) * 86_400);
    let mut rules = Rules::default();
    rules.window = (minutes(settings.window_minutes_min), minutes(settings.window_minutes_max));
    rules.reach = days(settings.reach_days);
    rules.area_m2 = (settings.area_m2_min, settings.area_m2_max);
    rules.per_incident = usize::try_from(settings.per_incident).unwrap_or(usize::MAX);
    rules.incident_budget =
        settings.area_m2_max.saturating_mul(u64::from(settings.window_minutes_max));
    rules.agency_day_budget = rules.incident_budget.saturating_mul(settings.day_budget);
    rules.screening = hours(settings.screening_hours);
    rules.answering = days(settings.answering_days);
    rules.fetching = days(settings.fetching_days);
    rules.undo = hours(settings.undo_hours);
    rules.words_days = settings.words_days;
    rules.by_rule = (!settings.rule_kinds.is_empty()).then(|| {
        let kinds = settings.rule_kinds.iter().map(|kind| kind.trim().to_lowercase());
        let mut rule = ByRule::of(kinds.collect());
        rule.area_m2 = settings.rule_area_m2_max;
        rule.window = minutes(settings.rule_window_minutes_max);
        rule.reach = hours(settings.rule_hours_back);
        rule.a_day = settings.rule_requests_a_day;
        rule
    });
    match rules.check() {
        Ok(()) => Ok(rules),
        Err(refusal) => {
            Err(Error::new(ErrorKind::InvalidInput, format!("settings [requests]: {refusal}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::config::Config;

    fn of(flags: &[&str]) -> Result<Rules> {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let config = Config::new("x", "", |_| None, &flags)?;
        rules(&config.requests)
    }

    #[test]
    fn the_default_settings_are_the_default_rules() {
        assert_eq!(of(&[]).unwrap(), Rules::default());
    }

    #[test]
    fn no_request_is_let_through_by_rule_unless_kinds_of_incident_are_named() {
        assert_eq!(of(&[]).unwrap().by_rule, None);
        let rules = of(&["requests.rule_kinds=[\"Package theft\"]"]).unwrap();
        assert_eq!(rules.by_rule, Some(ByRule::of(vec!["package theft".to_owned()])));
    }

    #[test]
    fn a_bound_that_is_set_counts_and_one_that_no_hold_can_keep_is_refused_at_the_start() {
        let rules = of(&["requests.answering_days=7", "requests.area_m2_max=500000"]).unwrap();
        assert_eq!((rules.answering, rules.area_m2.1), (Duration::from_hours(7 * 24), 500_000));
        assert_eq!(rules.incident_budget, 500_000 * 720);
        for bad in ["answering_days=31", "window_minutes_min=800", "per_incident=0", "words_days=0"]
        {
            let error = of(&[&format!("requests.{bad}")]).unwrap_err().to_string();
            assert!(error.contains("[requests]"), "{error}");
        }
    }
}
