//! A picture of what is kept: a row a camera, a column each quarter of a day.

use serde_json::{Value, json};

use super::scenario::{CAMERAS, DAYS, Scenario, day_start};
use super::story::Story;
use crate::cli::view;
use crate::{ErrorKind, Result, Timestamp};

/// Columns a day.
const SLOTS: u32 = 4;
const SLOT_SECONDS: u64 = 6 * 3_600;

/// What there is of six hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    /// It has not come yet.
    Empty,
    /// All of it is gone.
    Gone,
    /// Some of it is kept.
    Kept,
    /// Some of it is kept by a hold.
    Held,
}

/// The picture at one moment.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    now: Timestamp,
    rows: Vec<(&'static str, Vec<Slot>)>,
}

impl Timeline {
    /// The picture of `scenario` now, by asking the store for every clip that ever came.
    pub(super) fn of(scenario: &Scenario) -> Result<Self> {
        let holds = scenario.store().holds();
        let columns = usize::try_from(DAYS * SLOTS).unwrap_or(0);
        let mut rows: Vec<_> =
            CAMERAS.iter().map(|(name, _)| (*name, vec![Slot::Empty; columns])).collect();
        for clip in scenario.arrived() {
            let slot = match scenario.store().clip(clip.id) {
                Ok(found) if view::holds_on(&found, &holds).next().is_some() => Slot::Held,
                Ok(_) => Slot::Kept,
                Err(error) if error.kind() == ErrorKind::Expired => Slot::Gone,
                Err(error) => return Err(error),
            };
            let column = clip.start.since(day_start(1)).as_secs() / SLOT_SECONDS;
            let row = rows.iter_mut().find(|(name, _)| *name == clip.camera);
            let cell = row.and_then(|(_, cells)| cells.get_mut(usize::try_from(column).ok()?));
            if let Some(cell) = cell {
                *cell = (*cell).max(slot);
            }
        }
        Ok(Self { now: scenario.now(), rows })
    }

    /// Prints it.
    pub(super) fn tell(&self, story: &mut Story<'_>) -> anyhow::Result<()> {
        let marks = story.marks();
        let days = (1..=DAYS).map(|day| format!("{day:<5}"));
        story.plain(&format!("  {:<12}{}", "day", days.collect::<String>()))?;
        for (name, cells) in &self.rows {
            let days = cells.chunks(usize::try_from(SLOTS).unwrap_or(1));
            let drawn: Vec<String> = days
                .map(|day| day.iter().map(|slot| marks[usize::from(slot.index())]).collect())
                .collect();
            story.plain(format!("  {name:<12}{}", drawn.join(" ")).trim_end())?;
        }
        let [_, gone, kept, held] = marks;
        story.plain(&format!("  {:<12}{kept} kept   {held} held   {gone} gone", ""))?;
        story.plain("")
    }

    /// The picture, for scripts: a letter each six hours.
    pub(super) fn json(&self) -> Value {
        let row = |cells: &Vec<Slot>| -> String {
            cells.iter().map(|slot| [' ', '.', 'k', 'h'][usize::from(slot.index())]).collect()
        };
        let rows: serde_json::Map<String, Value> =
            self.rows.iter().map(|(name, cells)| ((*name).to_owned(), json!(row(cells)))).collect();
        json!({"now": self.now.to_string(), "slot_seconds": SLOT_SECONDS, "cameras": rows})
    }
}

impl Slot {
    fn index(self) -> u8 {
        match self {
            Self::Empty => 0,
            Self::Gone => 1,
            Self::Kept => 2,
            Self::Held => 3,
        }
    }
}
