//! Where the cameras of homes are, roughly: from the private records, in memory alone.
//!
//! A request looks at the homes near its area and not at all that there are. They are kept by
//! squares of the map, so that taking a request in takes as long as there are homes around it.

use std::collections::{BTreeMap, BTreeSet};

use num_traits::ToPrimitive;

use crate::CameraId;

use super::HouseholdId;
use super::area::{Area, Bounds, Place};

/// Squares a degree: some 550 m from south to north, about the size of the largest area.
const SQUARES_A_DEGREE: f64 = 200.0;

/// The homes, and the squares that their cameras are in.
#[derive(Debug, Default)]
pub(super) struct Places {
    homes: BTreeMap<HouseholdId, Vec<(CameraId, Place)>>,
    /// By row from the south, then by column from the west: only those that have a camera.
    rows: BTreeMap<i32, BTreeMap<i32, BTreeSet<HouseholdId>>>,
}

impl Places {
    /// Takes in a home that is not among them.
    pub(super) fn insert(&mut self, home: HouseholdId, cameras: Vec<(CameraId, Place)>) {
        for (_, place) in &cameras {
            let columns = self.rows.entry(square(place.lat)).or_default();
            columns.entry(square(place.lon)).or_default().insert(home);
        }
        self.homes.insert(home, cameras);
    }

    /// Forgets a home.
    pub(super) fn remove(&mut self, home: HouseholdId) {
        for (_, place) in self.homes.remove(&home).unwrap_or_default() {
            let (row, column) = (square(place.lat), square(place.lon));
            let Some(columns) = self.rows.get_mut(&row) else { continue };
            if let Some(homes) = columns.get_mut(&column) {
                homes.remove(&home);
                if homes.is_empty() {
                    columns.remove(&column);
                }
            }
            if columns.is_empty() {
                self.rows.remove(&row);
            }
        }
    }

    /// The homes that `may_ask` lets through with those of their cameras that lie in `area`, in the
    /// order of their ids. What it does not let through is compared with nothing.
    pub(super) fn inside(
        &self,
        area: &Area,
        may_ask: impl Fn(HouseholdId) -> bool,
    ) -> Vec<(HouseholdId, Vec<CameraId>)> {
        let near = self.near(&area.bounds()).into_iter().filter(|home| may_ask(*home));
        let matched = near.map(|home| {
            let cameras = self.homes.get(&home).into_iter().flatten();
            let inside = cameras.filter(|(_, place)| area.contains(*place));
            (home, inside.map(|(camera, _)| camera.clone()).collect::<Vec<_>>())
        });
        matched.filter(|(_, cameras)| !cameras.is_empty()).collect()
    }

    /// The homes with a camera in a square that `bounds` touches.
    fn near(&self, bounds: &Bounds) -> BTreeSet<HouseholdId> {
        let mut near = BTreeSet::new();
        for (_, columns) in self.rows.range(square(bounds.south)..=square(bounds.north)) {
            for (west, east) in &bounds.stretches {
                let touched = columns.range(square(*west)..=square(*east));
                near.extend(touched.flat_map(|(_, homes)| homes));
            }
        }
        near
    }
}

/// The row or column of so many degrees.
fn square(degrees: f64) -> i32 {
    (degrees * SQUARES_A_DEGREE).floor().to_i32().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(lat: f64, lon: f64) -> Vec<(CameraId, Place)> {
        vec![("door".parse().unwrap(), Place { lat, lon })]
    }

    /// Homes in a wide grid around `middle`, some of them across the date line.
    fn around(middle: Place) -> Places {
        let mut places = Places::default();
        let mut id = 0;
        for north in -30_i32..=30 {
            for east in -30_i32..=30 {
                let lat = middle.lat + f64::from(north) * 0.000_7;
                let lon = middle.lon + f64::from(east) * 0.001_1;
                let lon = if lon > 180.0 { lon - 360.0 } else { lon };
                let lon = if lon < -180.0 { lon + 360.0 } else { lon };
                id += 1;
                if lat.abs() <= 85.0 {
                    places.insert(HouseholdId(id), home(lat, lon));
                }
            }
        }
        places
    }

    fn ids(found: &[(HouseholdId, Vec<CameraId>)]) -> Vec<HouseholdId> {
        found.iter().map(|(home, _)| *home).collect()
    }

    /// Those that a look at every home finds.
    fn by_looking_at_all(places: &Places, area: &Area) -> Vec<HouseholdId> {
        let homes = places.homes.iter();
        let inside = homes.filter(|(_, cameras)| area.contains(cameras[0].1));
        inside.map(|(home, _)| *home).collect()
    }

    #[test]
    fn what_is_found_by_squares_is_what_a_look_at_every_home_finds() {
        let middles = [(40.0, -75.0), (0.0, 0.0), (84.99, 12.0), (-33.9, 179.99), (51.5, -179.995)];
        for (lat, lon) in middles {
            let middle = Place { lat, lon };
            let places = around(middle);
            let corner = |lat_by: f64, lon_by: f64| Place { lat: lat + lat_by, lon: lon + lon_by };
            let mut areas: Vec<Area> = [1.0, 50.0, 143.0, 640.0, 5_000.0]
                .map(|radius_m| Area::Circle { center: middle, radius_m })
                .to_vec();
            areas.push(Area::Polygon {
                corners: vec![corner(-0.004, -0.004), corner(-0.003, 0.004), corner(0.005, 0.0)],
            });
            for area in areas {
                let found = places.inside(&area, |_| true);
                assert_eq!(ids(&found), by_looking_at_all(&places, &area), "{area:?}");
            }
        }
    }

    #[test]
    fn a_home_far_away_is_not_looked_at() {
        let mut places = around(Place { lat: 40.0, lon: -75.0 });
        places.insert(HouseholdId(1_000_000), home(-40.0, 75.0));
        let area = Area::Circle { center: Place { lat: 40.0, lon: -75.0 }, radius_m: 200.0 };
        let near = places.near(&area.bounds());
        assert!((20..1_000).contains(&near.len()), "{} of {}", near.len(), places.homes.len());
        assert!(!near.contains(&HouseholdId(1_000_000)));
    }

    #[test]
    fn a_home_that_left_or_may_not_be_asked_is_in_no_answer() {
        let mut places = Places::default();
        for id in 1..=3 {
            places.insert(HouseholdId(id), home(40.0, -75.0));
        }
        let area = Area::Circle { center: Place { lat: 40.0, lon: -75.0 }, radius_m: 200.0 };
        places.remove(HouseholdId(1));
        places.remove(HouseholdId(1));
        assert_eq!(ids(&places.inside(&area, |home| home != HouseholdId(3))), [HouseholdId(2)]);
        for id in 2..=3 {
            places.remove(HouseholdId(id));
        }
        assert!(places.rows.is_empty() && places.homes.is_empty());
    }
}
