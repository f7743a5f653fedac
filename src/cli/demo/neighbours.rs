//! The second half of the demo: a street of twelve homes, one department, one request.
//!
//! Two streets live side by side that differ in one thing: in the first a resident says no, in the
//! second the same resident says nothing. What the department hears must be the same bytes.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::scenario::CAMERAS;
use super::story::Story;
use crate::cli::files;
use crate::requests::evidence::{Mp4, check, check_certificate};
use crate::requests::{
    AgencyId, Area, Chosen, Desk, HouseholdId, NewHousehold, Place, RequestId, Rules, Submission,
    Text,
};
use crate::types::{Error, Result};
use crate::{
    CameraId, Clip, ClipId, Durability, ErrorKind, HoldState, ManualClock, Media, NewClip,
    Retention, Store, Timestamp, Window,
};

const HOMES: u32 = 12;
/// Never want to be asked.
const OPTED_OUT: [u32; 3] = [2, 7, 11];
/// Their cameras were off.
const WITHOUT_CLIPS: [u32; 2] = [4, 9];
const ACCEPTS: HouseholdId = HouseholdId(5);
const DENIES: HouseholdId = HouseholdId(6);
const REQUEST: RequestId = RequestId(1);
const DAY: Duration = Duration::from_hours(24);

/// A street with its desk.
#[derive(Debug)]
struct Street {
    clock: ManualClock,
    desk: Desk,
}

fn start() -> Timestamp {
    Timestamp::from_micros(1_793_491_200_000_000)
}

fn agency() -> Result<AgencyId> {
    Ok("northside-pd".parse::<AgencyId>()?)
}

fn camera(home: u32) -> Result<CameraId> {
    format!("oak-street-{home}").parse()
}

fn evening() -> Result<Window> {
    Window::starting(start().saturating_add(Duration::from_hours(17)), Duration::from_hours(3))
}

impl Street {
    /// Twelve homes on the day before anything happens, and their clips of the evening.
    fn build(dir: &Path) -> Result<Self> {
        let clock = ManualClock::at(start());
        let options = Store::options()
            .segment_bytes(4 << 20)
            .evidence_reserve(4 << 20)
            .free_space_floor(4 << 20)
            .durability(Durability::Buffered)
            .retention(Retention::days(5, 10)?)
            .clock(clock.clone());
        let desk = Desk::open(options.open(dir)?, Rules::default())?;
        desk.join_agency(&agency()?, "desk@northside.example")?;
        for home in 1..=HOMES {
            let lat = 40.0 + f64::from(home) * 0.000_2;
            let cameras = vec![(Text(camera(home)?), Place { lat, lon: -75.0 })];
            let contact = format!("resident of {home}, Oak Street");
            desk.join_household(&NewHousehold { cameras, contact })?;
        }
        for home in OPTED_OUT {
            desk.opt_out(HouseholdId(home))?;
        }
        let street = Self { clock, desk };
        street.clock.advance(Duration::from_hours(15));
        for hour in 15..21 {
            for home in (1..=HOMES).filter(|home| !WITHOUT_CLIPS.contains(home)) {
                street.record(home, hour)?;
            }
            street.clock.advance(Duration::from_hours(1));
        }
        street.clock.advance(Duration::from_hours(3));
        Ok(street)
    }

    /// Ten seconds of real video.
    fn record(&self, home: u32, hour: u32) -> Result<Clip> {
        let (_, bytes) = CAMERAS.first().copied().unwrap_or_default();
        let begin = start().saturating_add(Duration::from_hours(1) * hour);
        let window = Window::starting(begin, Duration::from_secs(10))?;
        let clip = NewClip::new(&camera(home)?, window).media(Media::FragmentedMp4);
        self.desk.store().append(clip, bytes)
    }

    /// Days go by, with a sweep each; `heard` is told what the department sees each day.
    fn days(&self, days: u32, heard: &mut Vec<String>) -> anyhow::Result<()> {
        for _ in 0..days {
            self.clock.advance(DAY);
            self.desk.settle().map_err(Error::from)?;
            self.desk.store().seal()?;
            self.desk.store().sweep()?;
            heard.push(self.view()?);
        }
        Ok(())
    }

    /// What the department sees, in bytes.
    fn view(&self) -> anyhow::Result<String> {
        let view = self.desk.agency_view(&agency()?, REQUEST).map_err(Error::from)?;
        Ok(serde_json::to_string(&view)?)
    }

    /// The clip of `home` at 18:00.
    fn clip(&self, home: u32) -> Result<ClipId> {
        let clips = self.desk.store().clips(&camera(home)?, evening()?)?;
        let mut at_six = clips.skip(1);
        at_six.next().map(|clip| clip.id()).ok_or_else(|| Error::invalid("demo: no clip"))
    }
}

/// Tells it. `work` is for stores and files.
pub(super) fn play(work: &Path, story: &mut Story<'_>) -> anyhow::Result<()> {
    story.act("Another street: twelve homes, and a department that may ask")?;
    let street = Street::build(&work.join("oak-street"))?;
    let silent = Street::build(&work.join("oak-street-silent"))?;
    story.say(
        "Northside PD has become a partner, which anybody can look up. Twelve homes of Oak Street \
         have a camera; three never want to be asked, two were off that day.",
    )?;
    let partners = street.desk.partners();
    story.check("the public list shows the department", partners.len() == 1)?;

    ask(&street, &silent, story)?;
    let denied_clip = street.clip(DENIES.0)?;
    let mut heard = (Vec::new(), Vec::new());
    answer(&street, &silent, &mut heard, story)?;

    story.act("Sixteen days pass")?;
    street.days(16, &mut heard.0)?;
    silent.days(16, &mut heard.1)?;
    let denied = street.desk.asked(DENIES).map_err(Error::from)?;
    story.check("the no stands", denied.iter().all(|view| view.answer == "denied"))?;
    story.check(
        "day by day the department was told the same bytes as in the street where that resident \
         said nothing",
        heard.0 == heard.1 && heard.0.len() == 18,
    )?;
    let bundle = hand_over(&street, work, story)?;
    forge(&bundle, &street, story)?;
    certify(&street, denied_clip, story)
}

/// The request comes in and is screened.
fn ask(street: &Street, silent: &Street, story: &mut Story<'_>) -> anyhow::Result<()> {
    story.act("A parcel is taken, and the department asks")?;
    let submission = Submission {
        key: "first".to_owned(),
        window: evening()?.into(),
        area: Area::Circle { center: Place { lat: 40.001, lon: -75.0 }, radius_m: 300.0 },
        incident: "26-4471".to_owned(),
        kind: "package theft".to_owned(),
        contact: "Officer Dunn, 555-0143".to_owned(),
        words: "A parcel was taken from a porch. Did your camera see who?".to_owned(),
    };
    let view = street.desk.submit(&agency()?, &submission).map_err(Error::from)?;
    silent.desk.submit(&agency()?, &submission).map_err(Error::from)?;
    story.say("\"What did the cameras within 300 m see from 17:00 to 20:00?\"")?;
    story.check("the department is told: received. Nothing else", view.status == "received")?;
    let held: Vec<String> = street
        .desk
        .store()
        .holds()
        .iter()
        .filter(|hold| hold.state() == HoldState::Active)
        .flat_map(|hold| hold.scope().iter().map(|(camera, _)| camera.to_string()))
        .collect();
    let wanted = (1..=HOMES).filter(|home| !OPTED_OUT.contains(home)).count();
    let none_opted_out = !OPTED_OUT.iter().any(|home| held.contains(&format!("oak-street-{home}")));
    story.check(
        &format!("meanwhile that evening is kept at {wanted} homes, and at none that opted out"),
        held.len() == wanted && none_opted_out,
    )?;
    street.desk.approve(REQUEST).map_err(Error::from)?;
    silent.desk.approve(REQUEST).map_err(Error::from)?;
    let notices = street.desk.notices().map_err(Error::from)?;
    story.check(
        &format!("somebody has read it; {wanted} residents are told who asks for what, and why"),
        notices.len() == wanted,
    )
}

/// One shares a part, one says no, the others say nothing.
fn answer(
    street: &Street,
    silent: &Street,
    heard: &mut (Vec<String>, Vec<String>),
    story: &mut Story<'_>,
) -> anyhow::Result<()> {
    story.act("One resident shares five seconds, one says no, the rest say nothing")?;
    let clip = street.clip(ACCEPTS.0)?;
    let begin = street.desk.store().clip(clip)?.window().start();
    let part = Window::starting(begin, Duration::from_secs(5))?;
    let chosen = [Chosen { clip: Text(clip), part: Some(part.into()) }];
    for one in [street, silent] {
        one.desk.accept(ACCEPTS, REQUEST, &chosen).map_err(Error::from)?;
    }
    heard.0.push(street.view()?);
    heard.1.push(silent.view()?);
    street.desk.deny(DENIES, REQUEST).map_err(Error::from)?;
    heard.0.push(street.view()?);
    heard.1.push(silent.view()?);
    let same = heard.0.first() == heard.0.last();
    story.check("after the no the department sees what it saw before it", same)?;
    let view = street.desk.agency_view(&agency()?, REQUEST).map_err(Error::from)?;
    story.check("it sees one shared clip, and may have five seconds of it", {
        view.shared.len() == 1 && view.shared.first().is_some_and(|one| one.part.is_some())
    })?;
    let others = street.desk.store().clips(&camera(ACCEPTS.0)?, evening()?)?;
    let explained: Result<Vec<_>> =
        others.map(|clip| street.desk.store().explain(clip.id())).collect();
    let held = explained?.iter().filter(|explained| !explained.holds.is_empty()).count();
    story.check("what that resident did not share is not kept any longer", held == 1)
}

/// The bundle.
fn hand_over(street: &Street, work: &Path, story: &mut Story<'_>) -> anyhow::Result<PathBuf> {
    story.act("The department fetches what was shared")?;
    let path = work.join("evidence.zip");
    files::write(&path, true, |file| {
        Ok(street.desk.bundle(&agency()?, REQUEST, &Mp4, file).map_err(Error::from)?)
    })?;
    let key = street.desk.verifying_key().map_err(Error::from)?;
    let report = check(BufReader::new(files::open(&path)?), &[key]);
    story.say(
        "One zip file: the video, who agreed to what, and the proof of each step against the \
         signed ledger. It is checked by `clipkeep verify evidence.zip` with no store at hand.",
    )?;
    story.check("verified: every byte and every proof (exit code 0)", report.exit_code() == 0)?;
    Ok(path)
}

/// One byte.
fn forge(bundle: &Path, street: &Street, story: &mut Story<'_>) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    files::open(bundle)?.read_to_end(&mut bytes)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let key = street.desk.verifying_key().map_err(Error::from)?;
    let report = check(&bytes[..], &[key]);
    story.check(
        "a copy with one bit changed is refused (exit code 1: altered)",
        report.exit_code() == 1,
    )
}

/// What became of the clip of the resident who said no.
fn certify(street: &Street, id: ClipId, story: &mut Story<'_>) -> anyhow::Result<()> {
    story.act("And the clip of the resident who said no?")?;
    let gone = street.desk.store().clip(id).err().map(|error| error.kind());
    story.check("it died on its own day", gone == Some(ErrorKind::Expired))?;
    let bytes = street.desk.deletion_certificate(id).map_err(Error::from)?;
    let key = street.desk.verifying_key().map_err(Error::from)?;
    let (report, why) = check_certificate(&bytes, &[key]);
    story.check(
        &format!("its certificate says so: {}", why.unwrap_or_default()),
        report.exit_code() == 0,
    )?;
    story.check("requests and holds agree", street.desk.disagreements().is_empty())
}
