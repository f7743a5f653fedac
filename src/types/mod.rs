//! The words that every layer uses: ids, times, windows, clips, clocks, errors.

mod catch_up;
mod clip;
pub(crate) mod clock;
mod error;
mod id;
mod timestamp;
mod window;

pub use catch_up::CatchUp;
pub(crate) use catch_up::CatchUps;
pub use clip::{Clip, ClipState, Media, NewClip, UNCERTAINTY_MAX};
#[cfg(feature = "bench")]
pub use clock::Stopwatch;
pub(crate) use clock::monotonic;
pub use clock::{Clock, ManualClock, SystemClock, Uptime};
pub use error::{Error, ErrorKind, Result};
pub use id::{CAMERA_ID_BYTES_MAX, CameraId, ClassId, ClipId, HoldId, SegmentId};
pub use timestamp::Timestamp;
pub use window::Window;
