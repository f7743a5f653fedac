//! What a caller asks for when placing a hold, and every check on it.
//!
//! Owns the rules of placing that need no store. Whether the cameras exist and the budget allows
//! it is the store's to say.

use std::time::Duration;

use super::HoldCause;
use super::scope::{check_ranges, check_text, normalise};
use crate::format::entry::{HoldPlaced, SCOPE_RANGES_MAX};
use crate::types::{CameraId, Error, HoldId, Result, Timestamp, Window};

/// A hold to be placed: cameras, windows, what for, and for how long.
///
/// Nothing is checked until it is placed; then all of it is, and a refused hold changes nothing.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use clipkeep::{CameraId, HoldCause, NewHold, Window};
///
/// let camera: CameraId = "front-door".parse()?;
/// let window = Window::parse("2026-11-23T18:00:00Z", "2026-11-23T22:00:00Z")?;
/// let hold = NewHold::new([camera], window)
///     .cause(HoldCause::Request)
///     .reference("case 19-4471")
///     .for_duration(Duration::from_hours(7 * 24));
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewHold {
    scope: Vec<(CameraId, Window)>,
    cause: HoldCause,
    reference: String,
    reason: String,
    actor: String,
    agency: String,
    duration: Option<Duration>,
    grace: Option<Duration>,
    idempotency_key: String,
}

impl NewHold {
    /// A hold on what `cameras` recorded during `window`, at most 1024 of them.
    #[must_use]
    pub fn new(cameras: impl IntoIterator<Item = CameraId>, window: Window) -> Self {
        // One more than allowed is enough to refuse it, and an endless iterator ends here.
        let cameras = cameras.into_iter().take(SCOPE_RANGES_MAX + 1);
        Self {
            scope: cameras.map(|camera| (camera, window)).collect(),
            cause: HoldCause::Keep,
            reference: String::new(),
            reason: String::new(),
            actor: String::new(),
            agency: String::new(),
            duration: None,
            grace: None,
            idempotency_key: String::new(),
        }
    }

    /// Holds another window too, of the same or another camera.
    #[must_use]
    pub fn also(mut self, camera: &CameraId, window: Window) -> Self {
        if self.scope.len() <= SCOPE_RANGES_MAX {
            self.scope.push((camera.clone(), window));
        }
        self
    }

    /// What it is for. Default: [`HoldCause::Keep`].
    #[must_use]
    pub fn cause(mut self, cause: HoldCause) -> Self {
        self.cause = cause;
        self
    }

    /// The case it belongs to, like `case 19-4471`. Required for provisional, request and order
    /// holds, so that whoever asks later why footage is still there finds the paper. Default: none.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    /// Why, in words. Default: empty.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Who places it. Default: empty.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// The agency it is placed for; its own budget of held bytes counts. Default: none.
    #[must_use]
    pub fn agency(mut self, agency: impl Into<String>) -> Self {
        self.agency = agency.into();
        self
    }

    /// How long it lasts from now, by the store's trusted time. Default and limit: see
    /// [`HoldCause`]. Required for an order.
    #[must_use]
    pub fn for_duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// How long an order goes on protecting after it ended, as written in the order; for orders
    /// only, at most 10 years. Default: not at all.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Placing again with the same key and scope while the hold is active gives the same hold, so
    /// that a caller who lost the answer can ask again. Default: none.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = key.into();
        self
    }

    /// The ledger's form of it, as hold `id` placed at trusted time `now`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when a rule of its cause, or a limit, is broken.
    pub(crate) fn into_placed(self, id: HoldId, now: Timestamp) -> Result<HoldPlaced> {
        check_ranges(&self.scope)?;
        self.check_texts()?;
        let deadline = self.deadline(now)?;
        let grace_us = self.grace_us()?;
        let scope = normalise(self.scope);
        let (latest, what) =
            if self.cause.past_only() { (now, "now") } else { (deadline, "its deadline") };
        if let Some((camera, window)) = scope.iter().find(|(_, w)| w.end() > latest) {
            let cause = self.cause;
            return Err(Error::invalid(format!(
                "place {cause} hold on {camera} {window}: the window ends after {what}, {latest}"
            )));
        }
        Ok(HoldPlaced {
            hold: id,
            cause: self.cause.code(),
            scope,
            deadline,
            grace_us,
            reference: self.reference,
            reason: self.reason,
            actor: self.actor,
            agency: self.agency,
            idempotency_key: self.idempotency_key,
        })
    }

    fn check_texts(&self) -> Result<()> {
        check_text("reference", &self.reference)?;
        check_text("reason", &self.reason)?;
        check_text("actor", &self.actor)?;
        check_text("agency", &self.agency)?;
        check_text("idempotency key", &self.idempotency_key)?;
        if self.cause.needs_reference() && self.reference.trim().is_empty() {
            return Err(Error::invalid(format!("place {} hold: want a reference", self.cause)));
        }
        Ok(())
    }

    fn deadline(&self, now: Timestamp) -> Result<Timestamp> {
        let cause = self.cause;
        let Some(duration) = self.duration.or(cause.default_duration()) else {
            return Err(Error::invalid(format!("place {cause} hold: want a duration")));
        };
        let limit = cause.max_duration();
        let deadline = now.saturating_add(duration);
        // At the end of time, or below a microsecond, adding changes nothing: no deadline.
        if deadline <= now || duration > limit {
            return Err(Error::invalid(format!(
                "place {cause} hold for {duration:?}: want more than zero and at most {limit:?}"
            )));
        }
        Ok(deadline)
    }

    fn grace_us(&self) -> Result<Option<u64>> {
        let Some(grace) = self.grace else { return Ok(None) };
        let cause = self.cause;
        if cause != HoldCause::Order {
            return Err(Error::invalid(format!("place {cause} hold: only an order has a grace")));
        }
        let limit = cause.max_duration();
        match u64::try_from(grace.as_micros()) {
            Ok(us) if grace <= limit => Ok(Some(us)),
            _ => Err(Error::invalid(format!("grace of {grace:?}: want at most {limit:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::entry::TEXT_BYTES_MAX;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().unwrap()
    }

    fn past() -> NewHold {
        let window = Window::starting(now().saturating_sub(DAY), DAY).unwrap();
        NewHold::new(["door".parse().unwrap()], window).reference("case 1")
    }

    fn reaching(cause: HoldCause, after_now: Duration) -> Result<HoldPlaced> {
        let window = Window::starting(now().saturating_sub(DAY), DAY + after_now).unwrap();
        let hold = NewHold::new(["door".parse().unwrap()], window).reference("case 1");
        hold.cause(cause).for_duration(DAY).into_placed(HoldId(1), now())
    }

    fn refused(hold: NewHold) -> String {
        let error = hold.into_placed(HoldId(1), now()).unwrap_err();
        assert_eq!(error.kind(), crate::types::ErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn every_hold_gets_a_deadline_from_trusted_now() {
        let days = |cause| past().cause(cause).into_placed(HoldId(1), now()).unwrap().deadline;
        assert_eq!(days(HoldCause::Provisional), now().saturating_add(DAY));
        assert_eq!(days(HoldCause::Request), now().saturating_add(14 * DAY));
        assert_eq!(days(HoldCause::Disclosure), now().saturating_add(30 * DAY));
        assert_eq!(days(HoldCause::Keep), now().saturating_add(365 * DAY));
    }

    #[test]
    fn an_order_must_say_how_long_and_which_case() {
        let order = past().cause(HoldCause::Order);
        assert!(refused(order.clone()).contains("want a duration"));
        assert!(refused(order.clone().for_duration(DAY).reference(" ")).contains("reference"));
        assert!(order.for_duration(DAY).into_placed(HoldId(1), now()).is_ok());
    }

    #[test]
    fn request_and_screening_need_a_reference_and_keep_does_not() {
        for cause in [HoldCause::Request, HoldCause::Provisional] {
            assert!(refused(past().cause(cause).reference("")).contains("reference"));
        }
        assert!(past().reference("").into_placed(HoldId(1), now()).is_ok());
    }

    #[test]
    fn zero_and_overlong_durations_are_refused() {
        for cause in [HoldCause::Provisional, HoldCause::Request, HoldCause::Order] {
            let hold = past().cause(cause);
            refused(hold.clone().for_duration(Duration::ZERO));
            refused(hold.clone().for_duration(Duration::from_nanos(999)));
            refused(hold.clone().for_duration(cause.max_duration() + Duration::from_secs(1)));
            refused(hold.clone().for_duration(Duration::MAX));
            let longest = hold.for_duration(cause.max_duration());
            assert!(longest.into_placed(HoldId(1), now()).is_ok());
        }
    }

    #[test]
    fn a_window_in_the_future_is_refused_except_for_keep() {
        use HoldCause::{Disclosure, Keep, Order, Provisional, Request};
        let microsecond = Duration::from_micros(1);
        for cause in [Disclosure, Order, Provisional, Request] {
            assert!(reaching(cause, Duration::ZERO).is_ok(), "{cause}");
            assert!(reaching(cause, microsecond).is_err(), "{cause}");
        }
        assert!(reaching(Keep, DAY).is_ok());
        assert!(reaching(Keep, DAY + microsecond).is_err());
    }

    #[test]
    fn a_hold_without_cameras_or_with_too_many_is_refused() {
        let window = Window::starting(now().saturating_sub(DAY), DAY).unwrap();
        refused(NewHold::new([], window));
        let many = |count: usize| {
            let cameras = (0..count).map(|n| format!("camera-{n}").parse().unwrap());
            NewHold::new(cameras.collect::<Vec<CameraId>>(), window)
        };
        assert!(many(SCOPE_RANGES_MAX).into_placed(HoldId(1), now()).is_ok());
        refused(many(SCOPE_RANGES_MAX + 1));
        refused(many(SCOPE_RANGES_MAX).also(&"door".parse().unwrap(), window));
        let endless = std::iter::repeat("door".parse::<CameraId>().unwrap());
        refused(NewHold::new(endless, window));
    }

    #[test]
    fn overlong_texts_are_refused_wherever_they_stand() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for hold in [
            past().reference(&long),
            past().reason(&long),
            past().actor(&long),
            past().agency(&long),
            past().idempotency_key(&long),
            past().reason("a\u{7}b"),
        ] {
            refused(hold);
        }
    }

    #[test]
    fn only_an_order_carries_a_grace_of_its_own() {
        refused(past().grace(DAY));
        let order = past().cause(HoldCause::Order).for_duration(DAY);
        refused(order.clone().grace(Duration::MAX));
        let placed = order.grace(DAY).into_placed(HoldId(1), now()).unwrap();
        assert_eq!(placed.grace_us, Some(86_400_000_000));
    }

    #[test]
    fn nothing_can_be_held_past_the_end_of_time() {
        assert!(past().into_placed(HoldId(1), Timestamp::MAX).is_err());
    }
}
