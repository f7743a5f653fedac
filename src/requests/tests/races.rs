//! What comes at the same time: whatever the order, one outcome, on record, and holds that agree.

use super::street::{DAY, Street, agency, whole};
use crate::requests::{HouseholdId, Refusal, RequestId};

const HOME: HouseholdId = HouseholdId(1);

/// Somebody's act on the one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Accept,
    Deny,
    Withdraw,
    OptOut,
    Deadline,
    Erase,
}

const ACTS: [Act; 6] =
    [Act::Accept, Act::Deny, Act::Withdraw, Act::OptOut, Act::Deadline, Act::Erase];

fn run(street: &Street, request: RequestId, act: Act) -> Result<(), Refusal> {
    let desk = &street.desk;
    match act {
        Act::Accept => {
            let clips = desk.store().clips(&super::street::camera(1), super::street::hours(0, 24));
            let clip = clips.unwrap().next().ok_or_else(|| Refusal::Over("no clip".to_owned()))?;
            desk.accept(HOME, request, &[whole(&clip)])
        }
        Act::Deny => desk.deny(HOME, request),
        Act::Withdraw => desk.withdraw(&agency(), request).map(drop),
        Act::OptOut => desk.opt_out(HOME),
        Act::Deadline => {
            // Without sweeps: expiry is another test's matter.
            street.clock.advance(14 * DAY);
            desk.settle()
        }
        Act::Erase => desk.erase(HOME, street_clip(street)?),
    }
}

fn street_clip(street: &Street) -> Result<crate::ClipId, Refusal> {
    let clips =
        street.desk.store().clips(&super::street::camera(1), super::street::hours(0, 24))?;
    clips.map(|clip| clip.id()).next().ok_or_else(|| Refusal::Over("no clip".to_owned()))
}

/// Every order of all acts.
fn orders() -> Vec<Vec<Act>> {
    fn grow(rest: &[Act], so_far: &[Act], all: &mut Vec<Vec<Act>>) {
        if rest.is_empty() {
            all.push(so_far.to_vec());
        }
        for act in rest {
            let left: Vec<Act> = rest.iter().copied().filter(|other| other != act).collect();
            grow(&left, &[so_far, &[*act]].concat(), all);
        }
    }
    let mut all = Vec::new();
    grow(&ACTS, &[], &mut all);
    all
}

#[test]
fn every_order_of_acts_ends_in_one_outcome_that_is_never_taken_back() {
    let orders = orders();
    assert_eq!(orders.len(), 720);
    for order in orders {
        let street = Street::of(1);
        let request = street.open();
        let mut answers = Vec::new();
        for act in &order {
            let done = run(&street, request, *act);
            answers.push((street.answer(1), done.is_ok()));
            assert_eq!(street.desk.disagreements(), Vec::<String>::new(), "{order:?}");
        }
        // Accept and deny: whoever comes first, and both only while it can be answered.
        let place = |act: Act| order.iter().position(|other| *other == act).unwrap();
        let done = |act: Act| answers[place(act)].1;
        assert!(!(done(Act::Accept) && done(Act::Deny)), "{order:?}");
        for ended in [Act::Withdraw, Act::OptOut, Act::Deadline] {
            for answer in [Act::Accept, Act::Deny] {
                let late = place(ended) < place(answer) && done(ended);
                assert!(!(late && done(answer)), "{answer:?} after {ended:?}: {order:?}");
            }
        }
        // What is over does not become anything else that gives more.
        let over = ["denied", "opted-out", "lapsed", "withdrawn", "unfetched"];
        for two in answers.windows(2) {
            let stays = !over.contains(&two[0].0) || two[0].0 == two[1].0;
            assert!(stays, "{} became {}: {order:?}", two[0].0, two[1].0);
        }
        let last = street.bytes(request);
        let answer = street.answer(1);
        let street = street.reopened();
        assert_eq!((street.answer(1), street.bytes(request)), (answer, last), "{order:?}");
    }
}

#[test]
fn threads_that_act_at_the_same_time_get_one_answer() {
    for round in 0..24 {
        let street = Street::of(1);
        let request = street.open();
        // Whoever is started first has an advantage: each in turn.
        let mut acts = ACTS;
        acts.rotate_left(round % ACTS.len());
        let done: Vec<(Act, bool)> = std::thread::scope(|scope| {
            let threads = acts.map(|act| {
                scope.spawn({
                    let street = &street;
                    move || (act, run(street, request, act).is_ok())
                })
            });
            threads.map(|thread| thread.join().unwrap()).to_vec()
        });
        let did = |act: Act| done.contains(&(act, true));
        assert!(!(did(Act::Accept) && did(Act::Deny)), "accepted and denied");
        assert!(did(Act::OptOut) && did(Act::Deadline), "nothing stands in their way: {done:?}");
        assert_eq!(street.desk.disagreements(), Vec::<String>::new(), "{done:?}");
        if did(Act::Erase) {
            assert!(street_clip(&street).is_err(), "it is gone: {done:?}");
        }
        let (answer, bytes) = (street.answer(1), street.bytes(request));
        let over = ["accepted", "denied", "opted-out", "lapsed", "withdrawn", "unfetched"];
        assert!(over.contains(&answer), "{answer}: {done:?}");
        let street = street.reopened();
        assert_eq!((street.answer(1), street.bytes(request)), (answer, bytes), "{done:?}");
    }
}
