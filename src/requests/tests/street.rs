//! A street of homes with a desk, on a simulated disk, with a clock that moves when told.

use std::time::Duration;

use crate::requests::{
    AgencyId, AgencyView, Area, Chosen, Desk, HouseholdId, NewHousehold, Place, Refusal, RequestId,
    Rules, Submission, Text,
};
use crate::vfs::sim::SimVfs;
use crate::{
    CameraId, Clip, ManualClock, NewClip, Retention, Store, StoreOptions, Timestamp, Window,
};

pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Midnight before the theft.
pub(super) fn midnight() -> Timestamp {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// So long after it.
pub(super) fn after(time: Duration) -> Timestamp {
    midnight().saturating_add(time)
}

/// From hour to hour of the day of the theft.
pub(super) fn hours(from: u32, to: u32) -> Window {
    Window::new(after(HOUR * from), after(HOUR * to)).unwrap()
}

/// Words that must be nowhere but in private records.
pub(super) const SECRETS: [&str; 5] =
    ["4471-PARCEL", "officer.dunn@example", "resident@example", "a blue van", "desk@springfield"];

/// A street, its desk, its disk and its clock.
#[derive(Debug)]
pub(super) struct Street {
    pub(super) disk: SimVfs,
    pub(super) clock: ManualClock,
    pub(super) desk: Desk,
}

/// The agency of the tests.
pub(super) fn agency() -> AgencyId {
    "springfield-pd".parse().unwrap()
}

pub(super) fn camera(home: u32) -> CameraId {
    format!("door-{home}").parse().unwrap()
}

pub(super) fn options(disk: &SimVfs, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .segment_bytes(4 << 20)
        .free_space_floor(0)
        .evidence_reserve(4 << 20)
        .retention(Retention::days(5, 10).unwrap())
        .vfs(disk.clone())
        .clock(clock.clone())
}

impl Street {
    /// A partner and no homes; it is the day before the theft.
    pub(super) fn empty() -> Self {
        Self::empty_with(|options| options)
    }

    /// The same over a store with other options.
    pub(super) fn empty_with(change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let (disk, clock) = (SimVfs::new(1), ManualClock::at(midnight()));
        let store = change(options(&disk, &clock)).open("store").unwrap();
        let desk = Desk::open(store, Rules::default()).unwrap();
        desk.join_agency(&agency(), SECRETS[4]).unwrap();
        Self { disk, clock, desk }
    }

    /// A partner and `homes` homes with a clip each of the theft at 18:00; it is the next day.
    pub(super) fn of(homes: u32) -> Self {
        let street = Self::empty();
        for home in 1..=homes {
            assert_eq!(street.home(home), HouseholdId(home));
        }
        for home in 1..=homes {
            street.record(home, 18);
        }
        street.clock.advance(DAY);
        street
    }

    /// The home with number `home`, on Oak Street, some 11 m from the one before.
    pub(super) fn home(&self, home: u32) -> HouseholdId {
        let lat = 40.0 + f64::from(home) * 0.000_1;
        let place = Place { lat, lon: -75.0 };
        let contact = SECRETS[2].to_owned();
        let cameras = vec![(Text(camera(home)), place)];
        self.desk.join_household(&NewHousehold { cameras, contact }).unwrap()
    }

    /// A clip of a minute from `hour` on.
    pub(super) fn record(&self, home: u32, hour: u32) -> Clip {
        let start = after(HOUR * hour);
        let window = Window::starting(start, Duration::from_mins(1)).unwrap();
        let bytes = format!("<clip of {home} at {hour}>").into_bytes();
        self.desk.store().append(NewClip::new(&camera(home), window), bytes).unwrap()
    }

    /// The clip of `home` from `hour` on.
    pub(super) fn clip(&self, home: u32, hour: u32) -> Clip {
        let window = hours(hour, hour + 1);
        self.desk.store().clips(&camera(home), window).unwrap().next().unwrap()
    }

    /// Asks about the theft.
    pub(super) fn submit(&self) -> AgencyView {
        self.desk.submit(&agency(), &submission("k1")).unwrap()
    }

    /// Asks, and lets it through.
    pub(super) fn open(&self) -> RequestId {
        let request = self.submit().request.0;
        self.desk.approve(request).unwrap();
        request
    }

    pub(super) fn view(&self, request: RequestId) -> AgencyView {
        self.desk.agency_view(&agency(), request).unwrap()
    }

    /// What the agency is told, in bytes.
    pub(super) fn bytes(&self, request: RequestId) -> Vec<u8> {
        serde_json::to_vec(&self.view(request)).unwrap()
    }

    /// What home `home` is told of its one request.
    pub(super) fn answer(&self, home: u32) -> &'static str {
        self.desk.asked(HouseholdId(home)).unwrap().last().unwrap().answer
    }

    pub(super) fn accept(&self, home: u32, request: RequestId) -> Result<(), Refusal> {
        self.desk.accept(HouseholdId(home), request, &[whole(&self.clip(home, 18))])
    }

    /// Whether a hold keeps the clip of `home` from being deleted.
    pub(super) fn is_held(&self, clip: &Clip) -> bool {
        !self.desk.store().explain(clip.id()).unwrap().holds.is_empty()
    }

    /// Time goes by, a day at a time, with a sweep each.
    pub(super) fn days(&self, days: u32) {
        for _ in 0..days {
            self.clock.advance(DAY);
            self.desk.settle().unwrap();
            self.desk.store().sweep().unwrap();
        }
        assert_eq!(self.desk.disagreements(), Vec::<String>::new());
    }

    /// Closes everything and opens it again.
    pub(super) fn reopened(self) -> Self {
        let Self { disk, clock, desk } = self;
        drop(desk);
        let store = options(&disk, &clock).open("store").unwrap();
        let desk = Desk::open(store, Rules::default()).unwrap();
        Self { disk, clock, desk }
    }
}

/// A whole clip.
pub(super) fn whole(clip: &Clip) -> Chosen {
    Chosen { clip: Text(clip.id()), part: None }
}

/// What the agency asks about the theft.
pub(super) fn submission(key: &str) -> Submission {
    Submission {
        key: key.to_owned(),
        window: hours(17, 20).into(),
        area: Area::Circle { center: Place { lat: 40.0, lon: -75.0 }, radius_m: 300.0 },
        incident: SECRETS[0].to_owned(),
        kind: "theft".to_owned(),
        contact: SECRETS[1].to_owned(),
        words: format!("A parcel was taken. {}.", SECRETS[3]),
    }
}
