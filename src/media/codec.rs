//! What a sample entry says: codec name, picture size, and what its decoder is set up with.
//!
//! Only the leaf box of a known codec is given to `mp4-atom`, and only when it is small: its
//! decoders of whole sample entries call themselves for entries nested in entries, so that a
//! camera could overflow the stack of whoever reads its `moov`. What `mp4-atom` cannot read still
//! gets a name and an identity, from the bytes alone.

use std::fmt::Write as _;

use mp4_atom::{Av1c, Avcc, Decode, Esds, Hvcc, VpcC};

use super::boxes::{Fields, FourCc, Mp4Box, boxes, find, name};
use super::init::TrackKind;

/// The largest configuration box that is decoded: real ones have 20 to 500 bytes.
const CONFIG_BYTES_MAX: usize = 4096;
/// Bytes of the fixed part of a picture's sample entry.
const VISUAL_BYTES: usize = 78;
/// Bytes of the fixed part of a sound's sample entry, in versions 0, 1 and 2 (the latter two are
/// `QuickTime`'s).
const AUDIO_BYTES: [usize; 3] = [28, 44, 64];

/// What the first sample entry of a track says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SampleEntry {
    /// As in the `codecs` parameter of RFC 6381.
    pub(super) codec: String,
    pub(super) width: u16,
    pub(super) height: u16,
    /// Decoding needs a key that nobody gave us.
    pub(super) encrypted: bool,
    /// What the decoder is set up with, without hints such as bit rates.
    pub(super) config: Vec<u8>,
    /// How many entries there are; what is said here is of the first.
    pub(super) entries: u32,
}

impl SampleEntry {
    /// Reads the body of an `stsd` box; `None` when there is no whole entry in it.
    pub(super) fn parse(stsd: &[u8], kind: TrackKind) -> Option<Self> {
        let mut fields = Fields::new(stsd);
        fields.version_flags()?;
        let entries = fields.u32()?;
        let entry = boxes(fields.take(fields.len())?).next()?.ok()?;
        let (width, height) = match kind {
            TrackKind::Video => picture_size(entry.body)?,
            TrackKind::Audio | TrackKind::Other => (0, 0),
        };
        let children = children(entry.body, kind).unwrap_or(&[]);
        let (codec, config) = describe(entry, children);
        let encrypted = matches!(&entry.kind, b"encv" | b"enca");
        Some(Self { codec, width, height, encrypted, config, entries })
    }
}

fn picture_size(entry: &[u8]) -> Option<(u16, u16)> {
    let mut fields = Fields::new(entry);
    fields.take(24)?;
    Some((fields.u16()?, fields.u16()?))
}

/// The boxes after the fixed part of a sample entry.
fn children(entry: &[u8], kind: TrackKind) -> Option<&[u8]> {
    let fixed = match kind {
        TrackKind::Video => VISUAL_BYTES,
        TrackKind::Audio => {
            let mut fields = Fields::new(entry);
            fields.take(8)?;
            *AUDIO_BYTES.get(usize::from(fields.u16()?))?
        }
        TrackKind::Other => 8,
    };
    entry.get(fixed..)
}

/// The codec's name, and the bytes that its decoder is set up with.
fn describe(entry: Mp4Box<'_>, children: &[u8]) -> (String, Vec<u8>) {
    let known: &[(&FourCc, Describe)] = &[
        (b"avcC", avc),
        (b"hvcC", hevc),
        (b"av1C", av1),
        (b"vpcC", vp9),
        (b"esds", mpeg4),
        (b"dOps", |_, _| Some("opus".to_owned())),
        (b"dfLa", |_, _| Some("flac".to_owned())),
    ];
    for (kind, describe) in known {
        let Some(found) = find(children, **kind) else { continue };
        let codec = describe(entry.kind, found.whole).filter(|_| small(&found));
        let payload = if **kind == *b"esds" { decoder_specific(&found) } else { None };
        let payload = payload.unwrap_or_else(|| found.body.to_vec());
        let mut config = entry.kind.to_vec();
        config.extend_from_slice(&fixed_part(entry.body, children));
        config.extend_from_slice(&payload);
        return (codec.unwrap_or_else(|| name(entry.kind)), config);
    }
    (name(entry.kind), without_bitrate(entry, children))
}

type Describe = fn(FourCc, &[u8]) -> Option<String>;

fn small(config: &Mp4Box<'_>) -> bool {
    config.whole.len() <= CONFIG_BYTES_MAX
}

/// The fields before the child boxes: picture size, or channels and sample rate.
fn fixed_part(entry: &[u8], children: &[u8]) -> Vec<u8> {
    entry.get(..entry.len().saturating_sub(children.len())).unwrap_or(&[]).to_vec()
}

/// The whole entry but for `btrt`: for codecs whose configuration box is not known here.
fn without_bitrate(entry: Mp4Box<'_>, children: &[u8]) -> Vec<u8> {
    let mut config = entry.kind.to_vec();
    config.extend_from_slice(&fixed_part(entry.body, children));
    for child in boxes(children).map_while(Result::ok).filter(|child| child.kind != *b"btrt") {
        config.extend_from_slice(child.whole);
    }
    config
}

/// Decodes a whole leaf box, if it is small enough to be one.
fn decoded<T: Decode>(whole: &[u8]) -> Option<T> {
    if whole.len() > CONFIG_BYTES_MAX {
        return None;
    }
    T::decode(&mut &*whole).ok()
}

/// What identifies an MPEG-4 decoder: the object type and the specific configuration. The bit
/// rates beside them differ between two recordings of one camera.
fn decoder_specific(esds: &Mp4Box<'_>) -> Option<Vec<u8>> {
    let config = decoded::<Esds>(esds.whole)?.es_desc.dec_config;
    let mut bytes = vec![config.object_type_indication];
    bytes.extend_from_slice(&config.dec_specific?.raw);
    Some(bytes)
}

fn avc(entry: FourCc, config: &[u8]) -> Option<String> {
    let config: Avcc = decoded(config)?;
    let (profile, compatible) = (config.avc_profile_indication, config.profile_compatibility);
    Some(format!(
        "{}.{profile:02x}{compatible:02x}{:02x}",
        name(entry),
        config.avc_level_indication
    ))
}

fn hevc(entry: FourCc, config: &[u8]) -> Option<String> {
    let config: Hvcc = decoded(config)?;
    let space = ["", "A", "B", "C"].get(usize::from(config.general_profile_space))?;
    let compatible = u32::from_be_bytes(config.general_profile_compatibility_flags).reverse_bits();
    let tier = if config.general_tier_flag { 'H' } else { 'L' };
    let mut codec = format!(
        "{}.{space}{}.{compatible:X}.{tier}{}",
        name(entry),
        config.general_profile_idc,
        config.general_level_idc
    );
    let constraints = config.general_constraint_indicator_flags;
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        write!(codec, ".{byte:X}").ok()?;
    }
    Some(codec)
}

fn av1(entry: FourCc, config: &[u8]) -> Option<String> {
    let config: Av1c = decoded(config)?;
    let tier = if config.seq_tier_0 { 'H' } else { 'M' };
    let depth = match (config.high_bitdepth, config.twelve_bit) {
        (true, true) => 12,
        (true, false) => 10,
        (false, _) => 8,
    };
    let (profile, level) = (config.seq_profile, config.seq_level_idx_0);
    Some(format!("{}.{profile}.{level:02}{tier}.{depth:02}", name(entry)))
}

fn vp9(entry: FourCc, config: &[u8]) -> Option<String> {
    let config: VpcC = decoded(config)?;
    let (profile, level) = (config.profile, config.level);
    Some(format!("{}.{profile:02}.{level:02}.{:02}", name(entry), config.bit_depth))
}

fn mpeg4(entry: FourCc, config: &[u8]) -> Option<String> {
    let config = decoded::<Esds>(config)?.es_desc.dec_config;
    let object = config.object_type_indication;
    let plain = format!("{}.{object:x}", name(entry));
    // 0x40 is MPEG-4 audio, whose own object type (2: AAC-LC) is part of the name.
    match config.dec_specific {
        Some(specific) if object == 0x40 => Some(format!("{plain}.{}", specific.profile)),
        _ => Some(plain),
    }
}
