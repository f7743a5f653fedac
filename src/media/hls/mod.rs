//! HLS over clips as they are stored: which byte ranges to fetch, and what they show.
//!
//! Nothing is copied or made anew: a segment of a playlist is a range of a stored clip, from the
//! `moof` of a key frame to the end of an `mdat`. [`ClipIndex`] finds the ranges, and [`Playlist`]
//! writes them down so that players agree on what it means.

mod index;
mod playlist;

pub use index::{CLIP_FRAGMENTS_MAX, ClipIndex};
pub use playlist::{Playlist, PlaylistClip};

#[cfg(test)]
mod tests;
