//! What an agency is told does not depend on what there is: bytes and sizes, over all causes of
//! silence and at every moment of a request's life.

use super::street::{DAY, HOUR, Street, agency, camera, submission};
use crate::requests::{AgencyView, HouseholdId, NewHousehold, Place, Refusal, RequestId, Text};

/// Why nothing comes from the one home that an area has, or might have.
#[derive(Clone, Copy, Debug)]
enum Silence {
    NoCamera,
    NoClips,
    OptedOut,
    Expired,
    Denied,
    Unanswered,
    Unreachable,
    OptedOutLater,
    Erased,
    NoRoom,
    TooMany,
}

const ALL: [Silence; 11] = [
    Silence::NoCamera,
    Silence::NoClips,
    Silence::OptedOut,
    Silence::Expired,
    Silence::Denied,
    Silence::Unanswered,
    Silence::Unreachable,
    Silence::OptedOutLater,
    Silence::Erased,
    Silence::NoRoom,
    Silence::TooMany,
];

/// A street on the day after the theft with one home, and footage where there is some.
fn street(silence: Silence) -> Street {
    let street = match silence {
        Silence::NoRoom => Street::empty_with(|options| options.hold_budget(1)),
        _ => Street::empty(),
    };
    if !matches!(silence, Silence::NoCamera) {
        street.home(1);
    }
    match silence {
        Silence::NoCamera | Silence::NoClips => {}
        Silence::TooMany => crowd(&street),
        Silence::Expired => {
            let clip = street.record(1, 18);
            street.desk.store().delete_clip(clip.id(), "test", "as if it had expired").unwrap();
        }
        _ => drop(street.record(1, 18)),
    }
    if matches!(silence, Silence::OptedOut) {
        street.desk.opt_out(HouseholdId(1)).unwrap();
    }
    street.clock.advance(DAY);
    street
}

/// More cameras than a request may ask, on one spot.
fn crowd(street: &Street) {
    for home in 0..20 {
        let cameras = (0..60).map(|n| {
            let id = format!("home-{home}-{n}").parse().unwrap();
            (Text(id), Place { lat: 40.0, lon: -75.0 })
        });
        let home = NewHousehold { cameras: cameras.collect(), contact: String::new() };
        street.desk.join_household(&home).unwrap();
    }
}

/// The resident's side, once the request is open.
fn live(street: &Street, silence: Silence, request: RequestId) {
    let home = HouseholdId(1);
    match silence {
        Silence::Denied => street.desk.deny(home, request).unwrap(),
        Silence::Unreachable => street.desk.noticed(request, home, false).unwrap(),
        Silence::OptedOutLater => street.desk.opt_out(home).unwrap(),
        Silence::Erased => street.desk.erase(home, street.clip(1, 18).id()).unwrap(),
        _ => {}
    }
}

/// All that the agency ever hears: every answer and every view, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard(Vec<Vec<u8>>);

impl Heard {
    fn view(&mut self, heard: Result<AgencyView, Refusal>) {
        let text = match heard {
            Ok(view) => serde_json::to_string(&view).unwrap(),
            Err(refusal) => format!("{}: {refusal}", refusal.name()),
        };
        self.0.push(text.into_bytes());
    }

    fn all(&mut self, street: &Street, request: RequestId) {
        self.view(street.desk.agency_view(&agency(), request));
        for view in street.desk.agency_views(&agency()).unwrap() {
            self.view(Ok(view));
        }
        let clip = crate::ClipId::new(crate::SegmentId(1), 1);
        self.view(street.desk.acknowledge(&agency(), request, &[clip]));
        let partners = serde_json::to_vec(&street.desk.partners()).unwrap();
        self.0.push(partners);
        self.0.push(serde_json::to_vec(&street.desk.feed()).unwrap());
    }
}

/// How a request goes on, as far as the agency and the operator have it in their hands.
#[derive(Clone, Copy, Debug)]
enum Course {
    Approved,
    Renewed,
    Withdrawn,
    Rejected,
    NotScreened,
    Suspended,
}

fn hear(silence: Silence, course: Course) -> Heard {
    let street = street(silence);
    let mut heard = Heard::default();
    heard.view(street.desk.submit(&agency(), &submission("k1")));
    let request = RequestId(1);
    heard.all(&street, request);
    // The same again, and an altered one.
    heard.view(street.desk.submit(&agency(), &submission("k1")));
    let mut altered = submission("k1");
    altered.words.clear();
    heard.view(street.desk.submit(&agency(), &altered));
    match course {
        Course::Rejected => street.desk.reject(request).unwrap(),
        Course::NotScreened => street.clock.advance(25 * HOUR),
        _ => {
            street.desk.approve(request).unwrap();
            heard.all(&street, request);
            live(&street, silence, request);
        }
    }
    heard.all(&street, request);
    for day in 1..=40 {
        street.clock.advance(DAY);
        street.desk.store().sweep().unwrap();
        match (course, day) {
            (Course::Renewed, 13 | 14) => heard.view(street.desk.renew(&agency(), request)),
            (Course::Withdrawn, 5 | 6) => heard.view(street.desk.withdraw(&agency(), request)),
            (Course::Suspended, 4) => street.desk.suspend_agency(&agency()).unwrap(),
            (Course::Suspended, 8) => street.desk.reinstate_agency(&agency()).unwrap(),
            _ => {}
        }
        heard.all(&street, request);
    }
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    heard
}

#[test]
fn the_agency_hears_the_same_bytes_whatever_there_is_or_is_not() {
    let courses = [
        Course::Approved,
        Course::Renewed,
        Course::Withdrawn,
        Course::Rejected,
        Course::NotScreened,
        Course::Suspended,
    ];
    for course in courses {
        let unanswered = hear(Silence::Unanswered, course);
        assert!(unanswered.0.len() > 150, "{} answers", unanswered.0.len());
        for silence in ALL {
            let heard = hear(silence, course);
            let differs = heard.0.iter().zip(&unanswered.0).position(|(one, two)| one != two);
            assert_eq!(differs, None, "{silence:?} is told apart in {course:?}");
            assert_eq!(heard, unanswered);
        }
    }
}

#[test]
fn an_answer_that_is_no_silence_is_heard() {
    // Otherwise the test above could not fail.
    let street = street(Silence::Unanswered);
    let request = street.open();
    let before = street.bytes(request);
    street.accept(1, request).unwrap();
    assert_ne!(street.bytes(request), before);
}

/// A street of `homes` homes with a clip each, and room to hold `clips` of them.
fn cramped(homes: u32, clips: u64) -> Street {
    let street = Street::empty_with(|options| options.hold_budget(clips * 17 + 1));
    for home in 1..=homes {
        street.home(home);
        assert_eq!(street.record(home, 18).len(), 17);
    }
    street.clock.advance(DAY);
    street
}

#[test]
fn a_request_that_the_hold_budget_cannot_cover_is_received_like_any_other() {
    let street = cramped(2, 1);
    let desk = &street.desk;
    let view = street.submit();
    assert_eq!(view.status, "received");
    assert!(desk.store().holds().is_empty(), "not even for the one that there is room for");
    let screening = desk.screening().unwrap();
    assert!(screening[0].unheld && !screening[0].open && screening[0].households == 2);
    let approval = desk.approve(view.request.0).unwrap();
    assert_eq!((approval.asked, approval.not_asked), (0, 2), "the operator is told");
    assert!(desk.store().holds().is_empty() && desk.notices().unwrap().is_empty());
    assert_eq!((street.view(view.request.0).status, street.answer(1)), ("open", "screening"));
    let screening = desk.screening().unwrap();
    assert!(screening[0].open && screening[0].unheld && screening[0].households == 2);
    let refused = desk.approve(view.request.0).unwrap_err();
    assert_eq!(refused.name(), "hold-budget", "there is no more room than before");
    assert_eq!(desk.disagreements(), Vec::<String>::new());
    street.days(15);
    assert_eq!((street.view(view.request.0).status, street.answer(1)), ("closed", "not-asked"));
    assert!(street.desk.screening().unwrap().is_empty());
}

#[test]
fn who_was_not_asked_for_lack_of_room_is_asked_once_there_is_and_no_agency_is_told() {
    let street = cramped(2, 1);
    let request = street.open();
    street.days(2);
    let heard = |street: &Street| {
        let audit = street.desk.audit_of_agency(&agency()).unwrap();
        (street.bytes(request), serde_json::to_string(&audit).unwrap())
    };
    let before = heard(&street);
    // One of them makes room by leaving it.
    street.desk.opt_out(HouseholdId(2)).unwrap();
    let approval = street.desk.approve(request).unwrap();
    assert_eq!((approval.asked, approval.not_asked), (1, 0));
    assert_eq!(heard(&street), before, "its deadline has not moved either");
    assert!(street.is_held(&street.clip(1, 18)));
    assert_eq!(street.desk.notices().unwrap().len(), 1);
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
    let again = street.desk.approve(request);
    assert!(matches!(again, Err(Refusal::Over(_))), "everybody is asked");
    let street = street.reopened();
    assert_eq!((street.answer(1), street.answer(2)), ("pending", "opted-out"));
    street.accept(1, request).unwrap();
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}

#[test]
fn no_view_of_an_agency_names_a_camera_a_household_or_a_number_of_them() {
    let street = Street::of(5);
    let request = street.submit().request.0;
    let mut seen = Vec::new();
    let mut look = || {
        let text = String::from_utf8(street.bytes(request)).unwrap();
        for home in 1..=5 {
            assert!(!text.contains(camera(home).as_str()), "{text}");
            assert!(!text.contains(&format!("\"h{home}\"")), "{text}");
        }
        let fields: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names: Vec<&String> = fields.as_object().unwrap().keys().collect();
        assert_eq!(names, ["deadline", "request", "shared", "status", "submitted", "window"]);
        for shared in fields["shared"].as_array().unwrap() {
            let names: Vec<&String> = shared.as_object().unwrap().keys().collect();
            assert_eq!(names, ["clip", "part", "until"]);
        }
        seen.push((fields["status"].as_str().unwrap().to_owned(), fields["shared"].to_string()));
    };
    look();
    street.desk.opt_out(HouseholdId(1)).unwrap();
    street.desk.approve(request).unwrap();
    look();
    street.accept(2, request).unwrap();
    look();
    street.desk.deny(HouseholdId(3), request).unwrap();
    street.desk.order(request, HouseholdId(4), DAY).unwrap();
    look();
    street.desk.acknowledge(&agency(), request, &[street.clip(2, 18).id()]).unwrap();
    look();
    street.clock.advance(DAY * 15);
    street.desk.settle().unwrap();
    look();
    let status: Vec<&str> = seen.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(status, ["received", "open", "open", "open", "open", "closed"]);
    assert_eq!(seen[2], seen[3], "a no and an order change nothing of what is shared");
}

#[test]
fn a_request_that_would_ask_too_many_is_received_like_any_other() {
    let street = Street::empty();
    crowd(&street);
    street.clock.advance(DAY);
    let view = street.submit();
    assert_eq!(view.status, "received");
    assert!(street.desk.store().holds().is_empty());
    let screening = street.desk.screening().unwrap();
    assert!(screening[0].unheld && screening[0].households == 0, "the operator is told");
    street.desk.reject(view.request.0).unwrap();
    assert_eq!(street.desk.disagreements(), Vec::<String>::new());
}
