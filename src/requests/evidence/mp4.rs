//! What a bundle must know of MP4.

use std::fmt;
use std::sync::Arc;

use crate::media::{ClipFacts, Export, ExportClip, Format};
use crate::{ClipReader, Result, Window};

use super::footage::{Footage, Trim, TrimError};

/// Footage in MP4, plain or fragmented: parts are cut at whole pictures, from key picture to key
/// picture, as a file that plays everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mp4;

impl Footage for Mp4 {
    fn cut(
        &self,
        clip: &ClipReader,
        part: Window,
    ) -> std::result::Result<Box<dyn Trim>, TrimError> {
        let (start, name) = (clip.clip().window().start(), clip.clip().id().to_string());
        let whole = ExportClip::new(start, name, Arc::new(clip.clone()));
        Ok(Box::new(Cut(Export::plan(&[whole], Some(part), Format::Mp4)?)))
    }

    fn codecs(&self, clip: &ClipReader) -> Option<String> {
        let facts = ClipFacts::read(clip).ok()?;
        Some(facts.init().codecs()).filter(|codecs| !codecs.is_empty())
    }
}

/// A part of a clip: its index is in memory, its pictures are not.
struct Cut(Export);

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cut").field(&self.0.len()).finish()
    }
}

impl Trim for Cut {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, buf)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vfs::sim::SimVfs;
    use crate::{ManualClock, Media, NewClip, Store, Timestamp};

    const FRONT_DOOR: &[u8] = include_bytes!("../../cli/demo/front-door.mp4");

    fn stored(bytes: &'static [u8]) -> ClipReader {
        let options = Store::options().segment_bytes(4 << 20).vfs(SimVfs::new(1));
        let clock = ManualClock::at("2026-11-01T00:00:00Z".parse().unwrap());
        let store = options.free_space_floor(0).clock(clock).open("store").unwrap();
        let window = Window::starting(Timestamp::EPOCH, Duration::from_secs(10)).unwrap();
        let new = NewClip::new(&"front".parse().unwrap(), window).media(Media::FragmentedMp4);
        store.read_copied(store.append(new, bytes).unwrap().id()).unwrap()
    }

    #[test]
    fn the_codec_is_said_where_the_bytes_say_it() {
        let codecs = Mp4.codecs(&stored(FRONT_DOOR));
        assert!(codecs.as_ref().is_some_and(|codecs| codecs.starts_with("avc1.")), "{codecs:?}");
        assert_eq!(Mp4.codecs(&stored(b"no video at all")), None);
    }

    #[test]
    fn a_part_is_the_same_whether_read_at_once_or_a_little_at_a_time() {
        let part = Window::starting(Timestamp::EPOCH, Duration::from_secs(3)).unwrap();
        let clip = stored(FRONT_DOOR);
        let cut = Mp4.cut(&clip, part).unwrap();
        let mut whole = vec![0; usize::try_from(cut.len()).unwrap()];
        cut.read_at(0, &mut whole).unwrap();
        let mut again = Vec::new();
        while again.len() < whole.len() {
            let mut some = vec![0; (whole.len() - again.len()).min(999)];
            let at = u64::try_from(again.len()).unwrap();
            Mp4.cut(&clip, part).unwrap().read_at(at, &mut some).unwrap();
            again.extend(some);
        }
        assert_eq!(whole, again);
        assert!(whole.len() < FRONT_DOOR.len() && whole.windows(4).any(|four| four == b"moov"));
        assert!(cut.read_at(cut.len(), &mut [0]).is_err());
    }
}
