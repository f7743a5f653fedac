//! The name of one crash state: everything that it takes to come to it again.

use std::fmt;
use std::str::FromStr;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fall {
    /// The process is killed; the system keeps what it had written.
    Kill,
    /// The power fails, and what was pending goes the `n`th way.
    Power(u64),
}

/// Where a run ends, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many changes reached the disk.
    pub(crate) changes: usize,
    pub(crate) fall: Fall,
}

/// A scenario's end, and the ends of the recoveries after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scenario: String,
    /// Of the simulated disk: its randomness.
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    /// The same with another end behind it.
    pub(crate) fn then(&self, step: Step) -> Self {
        let mut case = self.clone();
        case.steps.push(step);
        case
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scenario, self.seed)?;
        for Step { changes, fall } in &self.steps {
            match fall {
                Fall::Kill => write!(f, "/{changes}:kill")?,
                Fall::Power(n) => write!(f, "/{changes}:{n}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("case {text:?}: want SCENARIO/SEED/CHANGES:WAY, WAY a number or kill");
        let mut parts = text.split('/');
        let scenario = parts.next().unwrap_or_default().to_owned();
        let seed = parts.next().and_then(|seed| seed.parse().ok()).ok_or_else(wrong)?;
        let step = |part: &str| {
            let (changes, fall) = part.split_once(':')?;
            let fall = match fall {
                "kill" => Fall::Kill,
                n => Fall::Power(n.parse().ok()?),
            };
            Some(Step { changes: changes.parse().ok()?, fall })
        };
        let steps = parts.map(step).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(Self { scenario, seed, steps })
    }
}

#[test]
fn a_case_is_read_back_from_its_name() {
    let name = "relocate/3/143:17/0:kill/2:18446744073709551615";
    let case: Case = name.parse().unwrap();
    assert_eq!(case.to_string(), name);
    assert_eq!(case.steps[1], Step { changes: 0, fall: Fall::Kill });
    assert!("relocate/3/143".parse::<Case>().is_err());
}
