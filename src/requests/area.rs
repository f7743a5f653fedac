//! The area of a request: a circle or a polygon on the earth.
//!
//! Pure. Bounds are the caller's; here an area is only refused when it is no area.

use geo::{
    ChamberlainDuquetteArea, Contains, Distance, Haversine, LineString, Polygon, Validation,
};
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// A place on the earth, in degrees (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Degrees north, from -85 to 85: nearer to a pole a polygon in degrees means nothing.
    pub lat: f64,
    /// Degrees east, from -180 to 180.
    pub lon: f64,
}

/// The area that a request asks about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Area {
    /// Everything within so many metres of a place.
    Circle {
        /// Its middle.
        center: Place,
        /// Metres.
        radius_m: f64,
    },
    /// Everything inside a ring of 3 to 100 corners, which does not cross itself; the last corner
    /// joins the first.
    Polygon {
        /// The corners, in order.
        corners: Vec<Place>,
    },
}

/// What an area lies within, in degrees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) south: f64,
    pub(super) north: f64,
    /// From the west to the east: two of them across the date line.
    pub(super) stretches: Vec<(f64, f64)>,
}

/// A polygon has at most this many corners.
const CORNERS_MAX: usize = 100;
const LAT_MAX: f64 = 85.0;
const LON_MAX: f64 = 180.0;
/// Less than the radius of the earth, so that bounds come out a little too wide.
const EARTH_RADIUS_M: f64 = 6_350_000.0;

impl Place {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        // Written so that what is not a number is outside.
        if self.lat.abs() <= LAT_MAX && self.lon.abs() <= LON_MAX {
            return Ok(());
        }
        Err(Refusal::Invalid(format!(
            "place {}, {}: want -85 to 85 degrees north and -180 to 180 east",
            self.lat, self.lon
        )))
    }

    fn point(self) -> geo::Point {
        geo::Point::new(self.lon, self.lat)
    }
}

impl Area {
    /// Its size in square metres, at least 1.
    ///
    /// # Errors
    ///
    /// `Invalid` when it is no area: numbers that are none, places off the earth, too few or too
    /// many corners, a ring that crosses itself or the date line.
    pub fn square_metres(&self) -> Result<u64, Refusal> {
        let size = match self {
            Self::Circle { center, radius_m } => {
                center.check()?;
                if !(radius_m.is_finite() && *radius_m > 0.0) {
                    return Err(Refusal::Invalid(format!("radius {radius_m}: want metres")));
                }
                std::f64::consts::PI * radius_m * radius_m
            }
            Self::Polygon { corners } => {
                check_ring(corners)?;
                ring(corners).chamberlain_duquette_unsigned_area()
            }
        };
        size.ceil()
            .to_u64()
            .map(|size| size.max(1))
            .ok_or_else(|| Refusal::Invalid("area: larger than the earth".to_owned()))
    }

    /// Whether `place` is inside.
    #[must_use]
    pub fn contains(&self, place: Place) -> bool {
        match self {
            Self::Circle { center, radius_m } => {
                Haversine.distance(center.point(), place.point()) <= *radius_m
            }
            Self::Polygon { corners } => ring(corners).contains(&place.point()),
        }
    }

    /// What it lies within: no place outside of that is in it.
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Circle { center, radius_m } => around(*center, *radius_m),
            Self::Polygon { corners } => {
                let (south, north) = least_and_most(corners, |corner| corner.lat);
                Bounds { south, north, stretches: vec![least_and_most(corners, |one| one.lon)] }
            }
        }
    }
}

/// What a circle lies within.
fn around(center: Place, radius_m: f64) -> Bounds {
    // As an angle at the middle of the earth, with a metre for the rounding of small ones.
    let angle = (radius_m + 1.0) / EARTH_RADIUS_M;
    let (south, north) = (center.lat - angle.to_degrees(), center.lat + angle.to_degrees());
    let (width, parallel) = (angle.sin(), center.lat.to_radians().cos());
    let has_a_pole = south <= -90.0 || north >= 90.0 || width >= parallel;
    if has_a_pole {
        return Bounds { south, north, stretches: vec![(-LON_MAX, LON_MAX)] };
    }
    // Where a meridian touches the circle, which is nearer to the pole than its middle is.
    let half = (width / parallel).asin().to_degrees();
    let (west, east) = (center.lon - half, center.lon + half);
    // The date line has two names, so that a circle which touches it is on both sides.
    let stretches = if west <= -LON_MAX {
        vec![(west + 2.0 * LON_MAX, LON_MAX), (-LON_MAX, east)]
    } else if east >= LON_MAX {
        vec![(west, LON_MAX), (-LON_MAX, east - 2.0 * LON_MAX)]
    } else {
        vec![(west, east)]
    };
    Bounds { south, north, stretches }
}

fn least_and_most(corners: &[Place], of: fn(&Place) -> f64) -> (f64, f64) {
    let least = corners.iter().map(of).fold(f64::INFINITY, f64::min);
    (least, corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max))
}

fn ring(corners: &[Place]) -> Polygon {
    let line: LineString = corners.iter().map(|corner| (corner.lon, corner.lat)).collect();
    Polygon::new(line, Vec::new())
}

fn check_ring(corners: &[Place]) -> Result<(), Refusal> {
    corners.iter().try_for_each(Place::check)?;
    if !(3..=CORNERS_MAX).contains(&corners.len()) {
        let message = format!("polygon of {} corners: want 3 to {CORNERS_MAX}", corners.len());
        return Err(Refusal::Invalid(message));
    }
    let (west, east) = least_and_most(corners, |corner| corner.lon);
    if east - west > LON_MAX {
        let message = "polygon: it crosses the date line, ask for each side";
        return Err(Refusal::Invalid(message.to_owned()));
    }
    if ring(corners).is_valid() {
        return Ok(());
    }
    Err(Refusal::Invalid("polygon: it crosses itself, or has no inside".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OAK_STREET: Place = Place { lat: 40.0, lon: -75.0 };

    fn square(half: f64) -> Area {
        let corner = |lat: f64, lon: f64| Place { lat: 40.0 + lat, lon: -75.0 + lon };
        Area::Polygon {
            corners: vec![
                corner(-half, -half),
                corner(-half, half),
                corner(half, half),
                corner(half, -half),
            ],
        }
    }

    #[test]
    fn a_circle_has_what_is_within_its_radius() {
        let circle = Area::Circle { center: OAK_STREET, radius_m: 500.0 };
        assert_eq!(circle.square_metres().unwrap(), 785_399);
        assert!(circle.contains(OAK_STREET));
        // A thousandth of a degree north is 111 m.
        assert!(circle.contains(Place { lat: 40.004_4, lon: -75.0 }));
        assert!(!circle.contains(Place { lat: 40.004_6, lon: -75.0 }));
        assert!(!circle.contains(Place { lat: -40.0, lon: -75.0 }));
    }

    #[test]
    fn a_polygon_has_what_is_inside_and_its_size_follows_the_latitude() {
        let size = square(0.005).square_metres().unwrap();
        // 0.01 degrees: 1,111 m north, 852 m east at 40 degrees.
        assert!((930_000..960_000).contains(&size), "{size}");
        assert!(square(0.005).contains(Place { lat: 40.004_9, lon: -75.004_9 }));
        assert!(!square(0.005).contains(Place { lat: 40.005_1, lon: -75.0 }));
    }

    #[test]
    fn what_is_no_area_is_refused_and_says_why() {
        let place = |lat, lon| Place { lat, lon };
        let circle = |center, radius_m| Area::Circle { center, radius_m };
        let bad = [
            circle(place(f64::NAN, 0.0), 10.0),
            circle(place(86.0, 0.0), 10.0),
            circle(place(0.0, 180.5), 10.0),
            circle(OAK_STREET, 0.0),
            circle(OAK_STREET, -1.0),
            circle(OAK_STREET, f64::INFINITY),
            circle(OAK_STREET, 1e300),
            Area::Polygon { corners: vec![place(0.0, 0.0), place(1.0, 1.0)] },
            Area::Polygon { corners: vec![place(0.0, 0.0); 3] },
            Area::Polygon { corners: vec![OAK_STREET; 101] },
            // A bow tie.
            Area::Polygon {
                corners: vec![place(0.0, 0.0), place(1.0, 1.0), place(1.0, 0.0), place(0.0, 1.0)],
            },
            Area::Polygon {
                corners: vec![place(0.0, 179.9), place(0.1, -179.9), place(0.1, 179.9)],
            },
        ];
        for area in bad {
            let refusal = area.square_metres().unwrap_err();
            assert!(matches!(refusal, Refusal::Invalid(_)), "{area:?}");
        }
    }
}
