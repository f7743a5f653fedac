//! What an agency submits, and the notes that the ledger has of requests.
//!
//! Asserts that a note comes back from its text as it was, that no number makes the geometry of an
//! area fail, and that an area has a size exactly when it is one.

use serde::Deserialize;

use super::choices::Choices;
use super::{index, memory};
use crate::requests::{Area, Event, Place, Submission};

/// A tenth of a millimetre: nearer to each other, corners are the same to the arithmetic.
const ROUNDING_DEGREES: f64 = 1e-9;

/// Input: how; then a note or a submission as JSON, or the numbers of an area.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 4 {
        0 => {
            let Some(event) = read::<Event>(choices.rest()) else { return };
            let text = serde_json::to_vec(&event).unwrap();
            assert_eq!(serde_json::from_slice::<Event>(&text).unwrap(), event, "another note");
        }
        1 => {
            // Not written again: numbers with fractions may come out as another text.
            let Some(submission) = read::<Submission>(choices.rest()) else { return };
            let window = submission.window.window();
            assert!(window.start() < window.end(), "a window that is none");
            measured(&submission.area, &[]);
        }
        2 => circle(&mut choices),
        _ => polygon(&mut choices),
    }
}

/// The value that is spelled, in no more memory than its spelling is worth.
fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    memory::within(memory::for_reading(bytes.len()), || serde_json::from_slice(bytes)).ok()
}

/// A place near others, or, one time in eight, of any bits.
fn place(choices: &mut Choices<'_>) -> Place {
    if choices.below(8) == 0 {
        return Place { lat: number(choices), lon: number(choices) };
    }
    let near = |choices: &mut Choices<'_>| f64::from(choices.u8()) / 64.0;
    Place { lat: near(choices), lon: near(choices) }
}

fn number(choices: &mut Choices<'_>) -> f64 {
    f64::from_bits(choices.u64())
}

fn circle(choices: &mut Choices<'_>) {
    let center = place(choices);
    let radius_m = if choices.flag() { number(choices) } else { f64::from(choices.u16()) };
    let area = Area::Circle { center, radius_m };
    let places = [center, place(choices)];
    if measured(&area, &places) {
        assert!(radius_m > 0.0 && area.contains(center), "its own middle is outside: {area:?}");
    }
}

fn polygon(choices: &mut Choices<'_>) {
    let count = choices.below(110);
    let corners: Vec<Place> = (0..count).map(|_| place(choices)).collect();
    let asked: Vec<Place> = (0..4).map(|_| place(choices)).collect();
    let area = Area::Polygon { corners: corners.clone() };
    if !measured(&area, &asked) {
        return;
    }
    assert!((3..=100).contains(&corners.len()), "{} corners", corners.len());
    let between = |of: fn(&Place) -> f64, place: &Place| {
        corners.iter().any(|corner| of(corner) <= of(place) + ROUNDING_DEGREES)
            && corners.iter().any(|corner| of(place) <= of(corner) + ROUNDING_DEGREES)
    };
    for place in asked.iter().filter(|place| on_earth(place)).filter(|place| area.contains(**place))
    {
        let inside = between(|place| place.lat, place) && between(|place| place.lon, place);
        assert!(inside, "{place:?} is inside of {area:?}");
    }
    assert_eq!(index(count), corners.len());
}

/// Whether it is an area; then it is known of every place on the earth whether it lies inside.
fn measured(area: &Area, places: &[Place]) -> bool {
    let Ok(size) = area.square_metres() else { return false };
    assert!(size >= 1, "an area of nothing: {area:?}");
    let inside = places
        .iter()
        .filter(|place| on_earth(place))
        .filter(|place| area.contains(**place))
        .count();
    assert!(inside <= places.len(), "answered for each of them");
    true
}

/// Where a camera can be: others are refused when their home joins.
fn on_earth(place: &Place) -> bool {
    place.lat.abs() <= 85.0 && place.lon.abs() <= 180.0
}
