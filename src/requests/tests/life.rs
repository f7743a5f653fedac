//! Each row of a request's life: what it does to the request, to the holds, and what is seen.

use std::time::Duration;

use super::street::{DAY, HOUR, Street, after, agency, camera, hours, midnight, submission, whole};
use crate::requests::{Chosen, HouseholdId, Refusal, RequestId, Text};
use crate::{Clip, ErrorKind, Hold, HoldCause, HoldState, Release, ReleaseCause, Window};

#[test]
fn a_valid_request_is_screened_under_provisional_holds() {
    let street = Street::of(3);
    let view = street.submit();
    assert_eq!((view.status, view.deadline, view.shared.len()), ("received", None, 0));
    let holds = street.desk.store().holds();
    assert_eq!(holds.len(), 1);
    assert_eq!((holds[0].cause(), holds[0].scope().len()), (HoldCause::Provisional, 3));
    // The resident sees the hold the moment that it is there, and not yet the words.
    let asked = street.desk.asked(HouseholdId(1)).unwrap();
    assert_eq!((asked[0].answer, asked[0].holds.len()), ("screening", 1));
    assert_eq!(asked[0].submission, None);
}

#[test]
fn a_request_out_of_bounds_is_refused_and_changes_nothing() {
    let street = Street::of(2);
    let refused = |change: &dyn Fn(&mut crate::requests::Submission)| {
        let mut bad = submission("k");
        change(&mut bad);
        street.desk.submit(&agency(), &bad).unwrap_err()
    };
    let future = Window::new(after(DAY), after(DAY + HOUR)).unwrap();
    let before = Window::new(midnight().saturating_sub(HOUR), after(HOUR)).unwrap();
    let all = [
        refused(&|bad| bad.window = future.into()),
        refused(&|bad| bad.window = hours(1, 14).into()),
        refused(&|bad| bad.window = before.into()),
        refused(&|bad| bad.key.clear()),
        refused(&|bad| bad.incident.clear()),
        refused(&|bad| bad.kind.clear()),
        refused(&|bad| bad.contact.clear()),
        refused(&|bad| bad.contact = "x".repeat(257)),
        refused(&|bad| bad.words = "\u{7}".to_owned()),
        refused(&|bad| {
            bad.area = crate::requests::Area::Circle {
                center: crate::requests::Place { lat: 40.0, lon: -75.0 },
                radius_m: 5000.0,
            };
        }),
    ];
    for refusal in all {
        assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal}");
    }
    let stranger = street.desk.submit(&"shelbyville-pd".parse().unwrap(), &submission("k"));
    assert!(matches!(stranger, Err(Refusal::NotPartner(_))));
    assert!(street.desk.agency_views(&agency()).unwrap().is_empty());
    assert!(street.desk.store().holds().is_empty());
    assert_eq!(street.desk.partners()[0].requests, 0);
}

#[test]
fn a_rejected_request_lets_go_at_once_and_so_does_one_that_nobody_screens() {
    let street = Street::of(1);
    let request = street.submit().request.0;
    street.desk.reject(request).unwrap();
    assert_eq!(street.view(request).status, "rejected");
    assert!(!street.is_held(&street.clip(1, 18)));
    assert!(matches!(street.desk.approve(request), Err(Refusal::Over(_))), "it never reopens");
    let mut again = submission("k2");
    again.incident = "another".to_owned();
    let request = street.desk.submit(&agency(), &again).unwrap().request.0;
    street.clock.advance(DAY);
    assert_eq!(street.view(request).status, "rejected", "before anybody settled it");
    street.desk.settle().unwrap();
    assert_eq!((street.view(request).status, street.answer(1)), ("rejected", "rejected"));
    assert!(!street.is_held(&street.clip(1, 18)));
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn approval_gives_each_household_a_hold_of_its_own() {
    let street = Street::of(2);
    let request = street.open();
    let view = street.view(request);
    assert_eq!(view.status, "open");
    assert_eq!(view.deadline, Some(Text(after(15 * DAY))));
    let holds = street.desk.store().holds();
    let active: Vec<_> = holds.iter().filter(|h| h.state() == HoldState::Active).collect();
    assert_eq!(active.len(), 2);
    assert!(active.iter().all(|h| h.cause() == HoldCause::Request && h.scope().len() == 1));
    for home in 1..=2 {
        let asked = street.desk.asked(HouseholdId(home)).unwrap().remove(0);
        assert!(asked.submission.is_some());
        let own = active.iter().find(|hold| hold.scope()[0].0 == camera(home)).unwrap();
        assert_eq!(asked.holds, [Text(own.id())], "its resident sees it");
    }
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn who_accepts_a_part_shares_that_part_and_the_rest_is_free_at_once() {
    let street = Street::of(1);
    let (other, shared) = (street.record(1, 19), street.clip(1, 18));
    let request = street.open();
    assert!(street.is_held(&other));
    street.desk.accept(HouseholdId(1), request, &[whole(&shared)]).unwrap();
    assert!(!street.is_held(&other) && street.is_held(&shared));
    let holds = street.desk.store().explain(shared.id()).unwrap().holds;
    assert_eq!(holds.iter().map(Hold::cause).collect::<Vec<_>>(), [HoldCause::Disclosure]);
    let view = street.view(request);
    assert_eq!(view.status, "open");
    assert_eq!(view.shared.iter().map(|s| s.clip.0).collect::<Vec<_>>(), [shared.id()]);
    assert!(matches!(street.accept(1, request), Err(Refusal::Over(_))), "one answer");
}

#[test]
fn a_part_of_a_clip_is_shared_as_a_part() {
    let street = Street::of(1);
    let request = street.open();
    let clip = street.clip(1, 18);
    let half = Window::starting(clip.window().start(), Duration::from_secs(30)).unwrap();
    let part = |window: Window| Chosen { clip: Text(clip.id()), part: Some(window.into()) };
    let beyond = Window::starting(clip.window().start(), Duration::from_secs(61)).unwrap();
    let refused = street.desk.accept(HouseholdId(1), request, &[part(beyond)]);
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
    street.desk.accept(HouseholdId(1), request, &[part(half)]).unwrap();
    assert_eq!(street.view(request).shared[0].part.map(crate::requests::Span::window), Some(half));
}

#[test]
fn what_cannot_be_shared_is_refused_and_the_request_still_waits() {
    let street = Street::of(2);
    let request = street.open();
    let (own, neighbours) = (street.clip(1, 18), street.clip(2, 18));
    let outside = street.record(1, 23);
    let one = |chosen: &[Chosen]| street.desk.accept(HouseholdId(1), request, chosen).unwrap_err();
    assert!(matches!(one(&[]), Refusal::Invalid(_)), "silence is not consent");
    assert!(matches!(one(&[whole(&neighbours)]), Refusal::Invalid(_)));
    assert!(matches!(one(&[whole(&outside)]), Refusal::Invalid(_)));
    assert!(matches!(one(&[whole(&own), whole(&own)]), Refusal::Invalid(_)));
    street.desk.erase(HouseholdId(1), own.id()).unwrap();
    assert!(matches!(one(&[whole(&own)]), Refusal::Store(e) if e.kind() == ErrorKind::Expired));
    assert_eq!(street.answer(1), "pending");
    let stranger = street.desk.accept(HouseholdId(9), request, &[whole(&neighbours)]);
    assert!(matches!(stranger, Err(Refusal::Unknown(_))));
}

#[test]
fn a_denied_clip_can_be_undone_for_a_day_and_dies_on_its_own_day() {
    let street = Street::of(1);
    let (request, clip) = (street.open(), street.clip(1, 18));
    let before = street.bytes(request);
    street.desk.deny(HouseholdId(1), request).unwrap();
    assert_eq!(street.bytes(request), before, "the agency sees nothing of it");
    street.clock.advance(23 * HOUR);
    assert!(street.is_held(&clip));
    street.desk.undo_denial(HouseholdId(1), request).unwrap();
    assert_eq!(street.answer(1), "pending");
    street.desk.deny(HouseholdId(1), request).unwrap();
    street.clock.advance(24 * HOUR);
    let late = street.desk.undo_denial(HouseholdId(1), request);
    assert!(matches!(late, Err(Refusal::Over(_))));
    // Recorded on day 0, kept ten days.
    street.days(7);
    assert!(street.desk.store().clip(clip.id()).is_ok(), "not before its day");
    street.days(2);
    let gone = street.desk.store().clip(clip.id()).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Expired);
    assert_eq!(street.view(request).status, "open");
}

#[test]
fn who_says_nothing_has_said_nothing_and_three_days_later_it_is_free() {
    let street = Street::of(1);
    let (request, clip) = (street.open(), street.clip(1, 18));
    street.days(14);
    assert_eq!((street.view(request).status, street.answer(1)), ("closed", "lapsed"));
    assert!(street.view(request).shared.is_empty());
    assert!(street.desk.store().clip(clip.id()).is_ok(), "72 hours of grace");
    assert!(matches!(street.accept(1, request), Err(Refusal::Over(_))));
    street.days(4);
    assert!(street.desk.store().clip(clip.id()).is_err());
}

#[test]
fn who_opts_out_is_let_go_at_every_stage_and_is_not_matched_again() {
    let street = Street::of(3);
    let request = street.submit().request.0;
    street.desk.opt_out(HouseholdId(1)).unwrap();
    street.desk.opt_out(HouseholdId(1)).unwrap();
    assert!(!street.is_held(&street.clip(1, 18)) && street.is_held(&street.clip(2, 18)));
    street.desk.approve(request).unwrap();
    assert!(!street.is_held(&street.clip(1, 18)), "approving does not ask it");
    street.desk.opt_out(HouseholdId(2)).unwrap();
    assert!(!street.is_held(&street.clip(2, 18)), "no grace: it is the resident's word");
    assert!(street.is_held(&street.clip(3, 18)));
    assert_eq!([1, 2, 3].map(|home| street.answer(home)), ["opted-out", "opted-out", "pending"]);
    let mut another = submission("k2");
    another.window = hours(17, 19).into();
    street.desk.submit(&agency(), &another).unwrap();
    assert_eq!(street.desk.screening().unwrap()[0].households, 1);
    let held = street.desk.store().holds().pop().unwrap();
    assert_eq!((held.cause(), held.scope().len()), (HoldCause::Provisional, 1));
    assert_eq!(held.scope()[0].0, camera(3));
    street.desk.approve(RequestId(2)).unwrap();
    let notices = street.desk.notices().unwrap();
    assert!(notices.len() == 2 && notices.iter().all(|one| one.household.0 == HouseholdId(3)));
    assert_eq!(street.desk.asked(HouseholdId(1)).unwrap().len(), 1);
    street.desk.opt_in(HouseholdId(1)).unwrap();
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn a_street_that_opts_out_as_a_whole_leaves_a_request_that_looks_the_same() {
    let street = Street::of(2);
    let request = street.submit().request.0;
    let before = street.bytes(request);
    street.desk.opt_out(HouseholdId(1)).unwrap();
    street.desk.opt_out(HouseholdId(2)).unwrap();
    assert_eq!(street.bytes(request), before);
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    street.desk.approve(request).unwrap();
    assert_eq!(street.view(request).status, "open");
}

#[test]
fn a_withdrawn_request_lets_go_after_three_days_and_shares_nothing_more() {
    let street = Street::of(2);
    let request = street.open();
    street.accept(1, request).unwrap();
    let view = street.desk.withdraw(&agency(), request).unwrap();
    assert_eq!((view.status, view.shared.len()), ("withdrawn", 0));
    assert_eq!([1, 2].map(|home| street.answer(home)), ["withdrawn", "withdrawn"]);
    assert!(street.is_held(&street.clip(2, 18)), "grace");
    street.days(4);
    assert!(!street.is_held(&street.clip(1, 18)) && !street.is_held(&street.clip(2, 18)));
    assert!(matches!(street.desk.withdraw(&agency(), request), Err(Refusal::Over(_))));
    let stranger = street.desk.withdraw(&"other-pd".parse().unwrap(), request);
    assert!(matches!(stranger, Err(Refusal::Unknown(_))));
}

#[test]
fn a_suspended_agency_asks_fetches_and_sees_nothing_until_it_is_reinstated() {
    let street = Street::of(1);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.desk.suspend_agency(&agency()).unwrap();
    street.desk.suspend_agency(&agency()).unwrap();
    let view = street.view(request);
    assert_eq!((view.status, view.shared.len()), ("withdrawn", 0));
    let refused = [
        street.desk.submit(&agency(), &submission("k2")).unwrap_err(),
        street.desk.renew(&agency(), request).unwrap_err(),
        street.desk.acknowledge(&agency(), request, &[]).unwrap_err(),
    ];
    assert!(refused.iter().all(|r| matches!(r, Refusal::NotPartner(_))), "{refused:?}");
    street.desk.reinstate_agency(&agency()).unwrap();
    assert_eq!(street.view(request).status, "withdrawn", "what ended stays ended");
    street.desk.submit(&agency(), &submission("k2")).unwrap();
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn deny_and_erase_answers_for_the_clip_and_the_agency_sees_nothing() {
    let street = Street::of(1);
    let (request, clip, other) = (street.open(), street.clip(1, 18), street.record(1, 19));
    let before = street.bytes(request);
    street.desk.erase(HouseholdId(1), clip.id()).unwrap();
    assert_eq!(street.desk.store().clip(clip.id()).unwrap_err().kind(), ErrorKind::Expired);
    assert_eq!(street.bytes(request), before);
    assert!(street.is_held(&other));
    street.desk.accept(HouseholdId(1), request, &[whole(&other)]).unwrap();
    // Erasing all that was shared takes it back.
    street.desk.erase(HouseholdId(1), other.id()).unwrap();
    assert_eq!((street.view(request).shared.len(), street.answer(1)), (0, "denied"));
    let neighbour = street.desk.erase(HouseholdId(7), other.id());
    assert!(matches!(neighbour, Err(Refusal::Unknown(_))));
}

#[test]
fn an_order_keeps_what_it_names_also_against_the_resident() {
    let street = Street::of(2);
    let (request, clip) = (street.open(), street.clip(1, 18));
    street.desk.order(request, HouseholdId(1), 30 * DAY).unwrap();
    let refused = street.desk.erase(HouseholdId(1), clip.id()).unwrap_err();
    assert!(matches!(refused, Refusal::Store(e) if e.kind() == ErrorKind::Held));
    assert_eq!(street.answer(1), "pending", "and the resident may still answer");
    assert_eq!(street.desk.asked(HouseholdId(1)).unwrap()[0].holds.len(), 2);
    street.desk.erase(HouseholdId(2), street.clip(2, 18).id()).unwrap();
    street.days(20);
    assert!(street.desk.store().clip(clip.id()).is_ok());
    let none = street.desk.order(request, HouseholdId(9), DAY);
    assert!(matches!(none, Err(Refusal::Unknown(_))));
}

#[test]
fn an_order_keeps_its_own_scope_and_two_persons_let_it_go() {
    let street = Street::of(2);
    let (earlier, later) = (street.record(1, 17), street.record(1, 19));
    let (request, ordered) = (street.open(), street.clip(1, 18));
    let home = HouseholdId(1);
    let order = |scope: &[_]| street.desk.order_on(request, home, scope, 60 * DAY);
    let refused = |scope: &[_]| matches!(order(scope), Err(Refusal::Invalid(_)));
    assert!(refused(&[]), "nothing is ordered");
    assert!(refused(&[(camera(2), hours(18, 19))]), "a neighbour's camera");
    assert!(refused(&[(camera(1), hours(16, 18))]), "a time that nobody asked about");
    assert_eq!(street.desk.store().holds().len(), 3, "nothing was placed");
    let hold = order(&[(camera(1), hours(18, 19))]).unwrap();
    street.days(20);
    let kept = |clip: &Clip| street.desk.store().clip(clip.id()).is_ok();
    assert!(kept(&ordered) && !kept(&earlier) && !kept(&later));
    let release = Release::new(ReleaseCause::Ended, "j.doe").reason("19-CV-12 is over");
    let store = street.desk.store();
    let alone = store.release_hold(hold, &release).unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::InvalidInput);
    let twice = store.release_hold(hold, &release.clone().second_actor("J.Doe")).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidInput, "two persons, not one twice");
    assert!(kept(&ordered));
    store.release_hold(hold, &release.second_actor("m.roe")).unwrap();
    street.days(1);
    assert!(!kept(&ordered));
}

#[test]
fn a_home_that_nobody_reaches_is_tried_ever_more_rarely_also_after_reopening() {
    let mut street = Street::of(1);
    let request = street.open();
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(street.desk.notices_due().unwrap().len(), 1);
        street.desk.noticed(request, HouseholdId(1), false).unwrap();
        street = street.reopened();
        assert!(street.desk.notices_due().unwrap().is_empty(), "not at once");
        let notice = street.desk.notices().unwrap().remove(0);
        let wait = notice.next_try.unwrap().0.since(street.desk.store().trusted_now());
        waits.push(wait.as_secs().div_ceil(60));
        street.clock.advance(wait);
    }
    assert_eq!(waits, [1, 5, 30, 120, 480, 1440, 1440, 1440]);
    assert_eq!(street.answer(1), "pending");
    // A renewal begins anew, and once told is told.
    street.desk.renew(&agency(), request).unwrap();
    let notice = street.desk.notices_due().unwrap().remove(0);
    assert_eq!((notice.unreached, notice.next_try), (0, None));
    street.desk.noticed(request, HouseholdId(1), true).unwrap();
    assert!(street.desk.notices().unwrap().is_empty());
}

#[test]
fn a_request_is_renewed_once_and_its_residents_are_told_again() {
    let street = Street::of(1);
    let request = street.open();
    assert_eq!(street.desk.notices().unwrap().len(), 1);
    street.desk.noticed(request, HouseholdId(1), false).unwrap();
    assert_eq!(street.desk.notices().unwrap().len(), 1, "not reached is not told");
    street.desk.noticed(request, HouseholdId(1), true).unwrap();
    assert!(street.desk.notices().unwrap().is_empty());
    street.days(13);
    let view = street.desk.renew(&agency(), request).unwrap();
    assert_eq!(view.deadline, Some(Text(after(29 * DAY))));
    assert_eq!(street.desk.notices().unwrap().len(), 1);
    street.days(5);
    assert_eq!((street.view(request).status, street.answer(1)), ("open", "pending"));
    assert!(matches!(street.desk.renew(&agency(), request), Err(Refusal::Over(_))));
    street.days(10);
    assert_eq!(street.view(request).status, "closed");
    assert!(matches!(street.desk.renew(&agency(), request), Err(Refusal::Over(_))));
}

#[test]
fn what_was_fetched_and_acknowledged_resumes_its_own_clock() {
    let street = Street::of(2);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.accept(2, request).unwrap();
    let clips = [street.clip(1, 18), street.clip(2, 18)];
    let view = street.desk.acknowledge(&agency(), request, &[clips[0].id()]).unwrap();
    assert_eq!(view.shared.len(), 2, "the agency keeps seeing what it has");
    assert!(!street.is_held(&clips[0]) && street.is_held(&clips[1]));
    assert_eq!([1, 2].map(|home| street.answer(home)), ["disclosed", "accepted"]);
    assert!(matches!(street.desk.revoke(HouseholdId(1), request), Err(Refusal::Over(_))));
    street.desk.revoke(HouseholdId(2), request).unwrap();
    assert_eq!((street.view(request).shared.len(), street.answer(2)), (1, "denied"));
    let again = street.accept(2, request);
    assert!(matches!(again, Err(Refusal::Over(_))), "it is over");
    let unknown = street.desk.acknowledge(&agency(), request, &[clips[1].id()]);
    assert!(matches!(unknown, Err(Refusal::Unknown(_))));
    street.days(1);
    assert!(!street.is_held(&clips[1]));
    street.days(7);
    let there = |clip: &Clip| street.desk.store().clip(clip.id()).is_ok();
    assert!(clips.iter().all(there), "not before their day");
    street.days(1);
    assert!(!clips.iter().any(there), "ten days after they were recorded");
}

#[test]
fn after_each_end_of_a_request_its_footage_is_held_for_as_long_as_that_end_says() {
    type End = fn(&Street, RequestId);
    let ends: [(End, u32); 6] = [
        (|street, request| street.desk.deny(HouseholdId(1), request).unwrap(), 24),
        (|street, request| drop(street.desk.withdraw(&agency(), request).unwrap()), 72),
        (|street, _| street.desk.suspend_agency(&agency()).unwrap(), 72),
        (|street, _| street.days(14), 72),
        (|street, _| street.desk.opt_out(HouseholdId(1)).unwrap(), 0),
        (|street, request| street.desk.order(request, HouseholdId(1), DAY).map(drop).unwrap(), 0),
    ];
    for (index, (end, hours)) in ends.into_iter().enumerate() {
        let street = Street::of(1);
        let (request, clip) = (street.open(), street.clip(1, 18));
        end(&street, request);
        let heard = street.bytes(request);
        if index == 5 {
            // The order's own end; the request itself is let go before.
            street.desk.opt_out(HouseholdId(1)).unwrap();
            street.clock.advance(DAY);
        } else if hours > 0 {
            street.clock.advance(Duration::from_secs(u64::from(hours) * 3600 - 1));
            street.desk.store().sweep().unwrap();
            assert!(street.is_held(&clip), "{index}: for {hours} hours");
            assert_eq!(street.bytes(request), heard, "grace gives nobody anything");
            street.clock.advance(Duration::from_secs(1));
        }
        street.desk.store().sweep().unwrap();
        assert!(!street.desk.store().holds().iter().any(Hold::protects), "{index}: no longer");
    }
}

#[test]
fn what_nobody_fetches_for_thirty_days_is_not_shared_any_more() {
    let street = Street::of(1);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.days(29);
    assert_eq!(street.view(request).shared.len(), 1);
    street.days(1);
    assert!(street.view(request).shared.is_empty());
    assert_eq!((street.view(request).status, street.answer(1)), ("closed", "unfetched"));
    street.days(1);
    assert!(street.desk.store().clips(&camera(1), hours(0, 24)).unwrap().next().is_none());
}

#[test]
fn a_post_is_seen_until_it_is_taken_out_and_no_request_touches_it() {
    let street = Street::of(1);
    let clip = street.clip(1, 18);
    let post = street.desk.post(HouseholdId(1), clip.id()).unwrap();
    let request = street.open();
    street.desk.deny(HouseholdId(1), request).unwrap();
    street.days(30);
    assert_eq!(street.desk.feed().len(), 1);
    let stranger = street.desk.withdraw_post(HouseholdId(2), post);
    assert!(matches!(stranger, Err(Refusal::Unknown(_))));
    street.desk.withdraw_post(HouseholdId(1), post).unwrap();
    street.desk.withdraw_post(HouseholdId(1), post).unwrap();
    assert!(street.desk.feed().is_empty());
    street.days(1);
    assert!(street.desk.store().clip(clip.id()).is_err());
}

#[test]
fn a_submission_that_comes_again_changes_nothing_and_an_altered_one_is_refused() {
    let street = Street::of(1);
    let first = street.submit();
    assert_eq!(street.submit(), first);
    let mut altered = submission("k1");
    altered.words.push('!');
    let refused = street.desk.submit(&agency(), &altered).unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)));
    street.desk.approve(first.request.0).unwrap();
    assert_eq!(street.submit().status, "open", "it answers what became of it");
    assert_eq!(street.desk.partners()[0].requests, 1);
    let street = street.reopened();
    assert_eq!(street.submit().request, first.request);
}

#[test]
fn an_incident_has_two_requests_and_one_area_and_time_to_spend() {
    let street = Street::of(1);
    let with = |key: &str, incident: &str, from: u32, to: u32, radius_m: f64| {
        let mut new = submission(key);
        new.incident = incident.to_owned();
        new.window = hours(from, to).into();
        new.area = crate::requests::Area::Circle {
            center: crate::requests::Place { lat: 40.0, lon: -75.0 },
            radius_m,
        };
        street.desk.submit(&agency(), &new)
    };
    with("a", "one", 17, 18, 300.0).unwrap();
    with("b", "one", 18, 19, 300.0).unwrap();
    assert!(matches!(with("c", "one", 19, 20, 300.0), Err(Refusal::OverBudget(_))), "tiling");
    // Two requests of half a square mile for twelve hours are one too many.
    with("d", "two", 0, 12, 640.0).unwrap();
    assert!(matches!(with("e", "two", 12, 24, 640.0), Err(Refusal::OverBudget(_))));
    for n in 0..8 {
        with(&format!("f{n}"), &format!("i{n}"), 0, 12, 640.0).unwrap();
    }
    let refused = (0..8).filter(|n| {
        let more = with(&format!("g{n}"), &format!("j{n}"), 0, 12, 640.0);
        matches!(more, Err(Refusal::OverBudget(_)))
    });
    assert!(refused.count() >= 6, "a day has its budget too");
    street.clock.advance(DAY);
    with("h", "tomorrow", 0, 12, 640.0).unwrap();
}

#[test]
fn the_public_numbers_of_an_agency_are_what_it_knows_itself() {
    let street = Street::of(3);
    let numbers = |street: &Street| {
        let one = street.desk.partners().remove(0);
        (one.requests, one.rejected, one.withdrawn, one.closed, one.shared)
    };
    let ask = |n: u32| {
        let mut new = submission(&format!("k{n}"));
        new.incident = n.to_string();
        street.desk.submit(&agency(), &new).unwrap().request.0
    };
    let asked: Vec<RequestId> = (1..=4).map(ask).collect();
    street.desk.reject(asked[0]).unwrap();
    for request in &asked[1..] {
        street.desk.approve(*request).unwrap();
    }
    street.desk.withdraw(&agency(), asked[1]).unwrap();
    street.accept(1, asked[2]).unwrap();
    street.desk.deny(HouseholdId(2), asked[3]).unwrap();
    assert_eq!(numbers(&street), (4, 1, 1, 0, 0), "nothing of what runs is told");
    street.days(15);
    assert_eq!(numbers(&street), (4, 1, 1, 2, 1));
    let street = street.reopened();
    assert_eq!(numbers(&street), (4, 1, 1, 2, 1));
}

#[test]
fn everything_is_the_same_after_reopening() {
    let street = Street::of(4);
    let request = street.open();
    street.accept(1, request).unwrap();
    street.desk.deny(HouseholdId(2), request).unwrap();
    street.desk.opt_out(HouseholdId(3)).unwrap();
    let post = street.desk.post(HouseholdId(4), street.clip(4, 18).id()).unwrap();
    let told = |street: &Street| {
        let asked: Vec<_> =
            (1..=4).map(|home| street.desk.asked(HouseholdId(home)).unwrap()).collect();
        (street.view(request), asked, street.desk.feed(), street.desk.partners())
    };
    let before = told(&street);
    let street = street.reopened();
    assert_eq!(told(&street), before);
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    street.desk.withdraw_post(HouseholdId(4), post).unwrap();
    assert!(matches!(street.desk.approve(RequestId(9)), Err(Refusal::Unknown(_))));
}
