//! Several partitions read as one, in the order in which a partition has its parts.
//!
//! Each is read from its first page to its last, some pages at a time, since cameras stand in the
//! same order in all of them: what is in memory does not grow with what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::Damage;
use crate::format::page::{PAGE_BYTES, PAGE_PARTS, Page, Run};
use crate::format::page_part::{PagePart, PartBytes};
use crate::types::{CameraId, Error, Result, SegmentId};

use super::partition::{Partition, READ_PAGES_MAX};

/// Partitions that are read as one, each with those of its segments that count.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    sources: Vec<Source<'a>>,
}

/// A partition as far as it was read.
#[derive(Debug)]
struct Source<'a> {
    partition: &'a Partition,
    segments: &'a BTreeSet<SegmentId>,
    /// Which of its cameras the next share is of, and the number of that one's first part.
    next: (usize, usize),
    /// The number of the first of these pages, and their bytes.
    first_page: usize,
    pages: Vec<u8>,
    /// The parts of the share at hand that count, and how many of them were taken.
    share: (Vec<PartBytes>, usize),
    /// The camera that the share at hand is of; `None` behind the last one.
    camera: Option<&'a CameraId>,
}

impl<'a> Merge<'a> {
    pub(crate) fn of(sources: &'a [(Arc<Partition>, BTreeSet<SegmentId>)]) -> Self {
        let sources = sources.iter().map(|(partition, segments)| Source::of(partition, segments));
        Self { sources: sources.collect() }
    }

    /// How many parts each camera has, of those that have any. A partition of which something is
    /// gone is read for it; `each` is called now and then meanwhile, and may put an end to it.
    ///
    /// # Errors
    ///
    /// When a page cannot be read or is damaged; what `each` answers.
    pub(crate) fn counts<E: From<Error>>(
        &self,
        mut each: impl FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<Vec<(CameraId, u32)>, E> {
        let mut counts: BTreeMap<&CameraId, usize> = BTreeMap::new();
        for Source { partition, segments, .. } in &self.sources {
            if partition.segments.iter().all(|id| segments.contains(id)) {
                for (camera, span) in partition.spans() {
                    *counts.entry(camera).or_default() += span.parts;
                }
                continue;
            }
            let mut source = Source::of(partition, segments);
            let mut count = 0;
            while let Some(camera) = source.next_share(|run| {
                count += run.len();
                Ok(())
            })? {
                *counts.entry(camera).or_default() += std::mem::take(&mut count);
                each()?;
            }
        }
        let some = counts.into_iter().filter(|(_, parts)| *parts > 0);
        let counted = |parts: usize| u32::try_from(parts).unwrap_or(u32::MAX);
        Ok(some.map(|(camera, parts)| (camera.clone(), counted(parts))).collect())
    }

    /// Hands the parts of all cameras to `each`, by camera and [`PagePart::key`].
    ///
    /// # Errors
    ///
    /// When a page cannot be read, is damaged or not in order; what `each` answers.
    pub(crate) fn each<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(&PagePart) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.sources.iter_mut().try_for_each(Source::fill)?;
        while let Some(camera) = self.sources.iter().filter_map(|source| source.camera).min() {
            let its = self.sources.iter_mut().filter(|source| source.camera == Some(camera));
            let mut its: Vec<&mut Source<'_>> = its.collect();
            while let Some((place, first)) = first_of(&its) {
                each(&first.part())?;
                let Some(source) = its.get_mut(place) else { continue };
                source.share.1 += 1;
                if source.share.1 == source.share.0.len() {
                    source.fill()?;
                    if source.camera != Some(camera) {
                        its.remove(place);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The first part of all that `sources` have at hand, and which of them has it.
fn first_of<'a>(sources: &'a [&mut Source<'_>]) -> Option<(usize, &'a PartBytes)> {
    let firsts = sources.iter().enumerate();
    let firsts = firsts.filter_map(|(place, source)| Some((place, source.first()?)));
    firsts.min_by_key(|(_, part)| part.key())
}

impl<'a> Source<'a> {
    fn of(partition: &'a Partition, segments: &'a BTreeSet<SegmentId>) -> Self {
        Self {
            partition,
            segments,
            next: (0, 0),
            first_page: 0,
            pages: Vec::new(),
            share: (Vec::with_capacity(PAGE_PARTS), 0),
            camera: None,
        }
    }

    /// The first part at hand that was not taken.
    fn first(&self) -> Option<&PartBytes> {
        self.share.0.get(self.share.1)
    }

    /// Goes on to the next share of which a part counts.
    fn fill(&mut self) -> Result<()> {
        let (mut parts, taken) = std::mem::take(&mut self.share);
        let mut last = parts.get(taken.saturating_sub(1)).map(PartBytes::key);
        let before = self.camera;
        parts.clear();
        while parts.is_empty() {
            self.camera = self.next_share(|run| run.copy_into(&mut parts))?;
            if self.camera.is_none() {
                break;
            }
        }
        if self.camera != before {
            last = None;
        }
        let keys = last.into_iter().chain(parts.iter().map(PartBytes::key));
        if !keys.is_sorted() {
            let page = self.next.1.saturating_sub(1) / PAGE_PARTS;
            return Err(self.partition.damaged(page, Damage::Field("start")));
        }
        self.share = (parts, 0);
        Ok(())
    }

    /// Hands what counts of the next share to `each`, in runs that stand in one segment, and
    /// answers whose it is; `None` behind the last one.
    fn next_share(
        &mut self,
        mut each: impl FnMut(Run<'_>) -> std::result::Result<(), Damage>,
    ) -> Result<Option<&'a CameraId>> {
        let (partition, segments, (place, from)) = (self.partition, self.segments, self.next);
        let Some((camera, span)) = partition.span_at(place) else { return Ok(None) };
        let number = from / PAGE_PARTS;
        let (base, to) = (number * PAGE_PARTS, span.end().min((number + 1) * PAGE_PARTS));
        let bytes = self.page(number)?;
        let page = partition.decoded(number, Page::decode(bytes, partition.salt(), number))?;
        if page.len() < to - base {
            return Err(partition.damaged(number, Damage::Field("parts")));
        }
        for run in page.runs(from - base..to - base) {
            if segments.contains(&run.segment()) {
                partition.decoded(number, each(run))?;
            } else if partition.segments.binary_search(&run.segment()).is_err() {
                // How many parts there will be was counted without them.
                return Err(partition.damaged(number, Damage::Field("segment")));
            }
        }
        self.next = (if to == span.end() { place + 1 } else { place }, to);
        Ok(Some(camera))
    }

    /// The bytes of page `number`, which is the one at hand or a later one.
    fn page(&mut self, number: usize) -> Result<&[u8]> {
        let (from, partition) = (self.first_page, self.partition);
        if number < from || number >= from + self.pages.len() / PAGE_BYTES {
            let end = partition.pages().min(number + READ_PAGES_MAX);
            partition.copy(number..end, &mut self.pages)?;
            self.first_page = number;
        }
        let offset = (number - self.first_page) * PAGE_BYTES;
        Ok(self.pages.get(offset..offset + PAGE_BYTES).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::format::arbitrary::{STORE, camera, sample_part, sample_partition};
    use crate::format::name;
    use crate::format::partition::{Row, encode};
    use crate::format::partition_writer::PartitionWriter;
    use crate::types::{ClipId, Timestamp};
    use crate::vfs::Vfs as _;
    use crate::vfs::sim::SimVfs;

    const SALT: [u8; 16] = [9; 16];

    type Parts = BTreeMap<CameraId, Vec<PagePart>>;
    type Served = (Arc<Partition>, BTreeSet<SegmentId>);

    /// Numbers below what is asked for, the same for each seed.
    struct Odds(u64);

    impl Odds {
        fn below(&mut self, end: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            u32::try_from((self.0 >> 20) % u64::from(end)).unwrap()
        }
    }

    fn rows(segments: &BTreeSet<SegmentId>) -> Vec<Row> {
        let sample = sample_partition().0.remove(0);
        let row = |id: &SegmentId| {
            let mut row = sample.clone();
            row.trailer.header.key.segment = *id;
            row
        };
        segments.iter().map(row).collect()
    }

    /// Partition `number` of these parts, made for these segments.
    fn partition(
        disk: &SimVfs,
        number: u32,
        ids: &BTreeSet<SegmentId>,
        parts: &Parts,
    ) -> Partition {
        let bytes = encode(STORE, SALT, rows(ids), parts.clone());
        disk.create_dir(name::INDEX).unwrap();
        let len = u64::try_from(bytes.len()).unwrap();
        let file = disk.create(&name::partition(number), len).unwrap();
        file.write_at(0, &[&bytes]).unwrap();
        Partition::open(disk, number, &STORE).unwrap().0
    }

    /// Parts of up to 9 cameras among these segments, many of which start at the same time.
    fn some_parts(odds: &mut Odds, ids: &BTreeSet<SegmentId>) -> Parts {
        let mut parts = Parts::new();
        let (ids, cameras) = (Vec::from_iter(ids), 1 + odds.below(9));
        for ordinal in 0..odds.below(1500) {
            let segment = *ids[usize::try_from(odds.below(5)).unwrap()];
            // Some have very few.
            let rare = if odds.below(40) == 0 { 10 + odds.below(20) } else { 0 };
            let name = camera(&format!("c{}", odds.below(cameras) + rare));
            let start = Timestamp::from_micros(odds.below(400).into());
            let clip = ClipId::new(segment, ordinal);
            let part = PagePart { start, segment, clip, end: start, ..sample_part(0) };
            parts.entry(name).or_default().push(part);
        }
        for of in parts.values_mut() {
            of.sort_by_key(PagePart::key);
        }
        parts
    }

    /// Up to four partitions that have some segments in common, of which each answers for some;
    /// and what they have together.
    fn some_sources(odds: &mut Odds, disk: &SimVfs) -> (Vec<Served>, Parts) {
        let (mut served, mut all, count) = (Vec::new(), Parts::new(), 1 + odds.below(4));
        let gone = odds.below(3) == 0;
        let mut taken = BTreeSet::new();
        for number in 0..count {
            let ids: BTreeSet<_> = (1..6).map(|id| SegmentId(3 * number + id)).collect();
            let parts = some_parts(odds, &ids);
            let mut own = ids.clone();
            own.retain(|id| (gone || odds.below(4) > 0) && taken.insert(*id));
            for (camera, of) in &parts {
                let own = of.iter().filter(|part| own.contains(&part.segment)).copied();
                all.entry(camera.clone()).or_default().extend(own);
            }
            served.push((Arc::new(partition(disk, number, &ids, &parts)), own));
        }
        all.retain(|_, of| !of.is_empty());
        for of in all.values_mut() {
            of.sort_by_key(PagePart::key);
        }
        (served, all)
    }

    #[test]
    fn partitions_become_one_byte_for_byte_as_if_encoded_at_once() {
        let (mut vanished, mut most) = (0, 0);
        for seed in 1..60 {
            let disk = SimVfs::new(seed);
            let (sources, all) = some_sources(&mut Odds(seed * 0x9e37_79b9), &disk);
            let rows = rows(&sources.iter().flat_map(|(_, own)| own).copied().collect());
            let mut merge = Merge::of(&sources);
            let counts = merge.counts(|| Ok::<(), Error>(())).unwrap();
            let count = |of: &Vec<PagePart>| u32::try_from(of.len()).unwrap();
            let expected = all.iter().map(|(camera, of)| (camera.clone(), count(of)));
            assert_eq!(counts, expected.collect::<Vec<_>>(), "seed {seed}");
            let mut writer = PartitionWriter::new((STORE, SALT), rows.clone(), counts);
            let mut bytes = vec![0; usize::try_from(writer.file_bytes()).unwrap()];
            let mut sink = |offset: u64, piece: &[u8]| {
                let from = usize::try_from(offset).unwrap();
                bytes[from..from + piece.len()].copy_from_slice(piece);
                Ok::<(), Error>(())
            };
            merge.each(|part| writer.put(part, &mut sink)).unwrap();
            writer.finish(&mut sink).unwrap();
            assert!(bytes == encode(STORE, SALT, rows, all.clone()), "seed {seed}");
            // What capacity there is, was needed at most at one time.
            for source in &merge.sources {
                assert!(source.pages.capacity() <= READ_PAGES_MAX * PAGE_BYTES);
                assert!(source.share.0.capacity() <= PAGE_PARTS);
                most = most.max(source.partition.pages());
            }
            let cameras = sources.iter().flat_map(|(partition, _)| partition.spans());
            let cameras: BTreeSet<_> = cameras.map(|(camera, _)| camera).collect();
            vanished += cameras.len() - all.len();
        }
        assert!(vanished > 10, "cameras of which nothing is left: {vanished}");
        assert!(most > READ_PAGES_MAX, "pages: {most}");
    }

    #[test]
    fn who_is_called_meanwhile_may_put_an_end_to_it() {
        let disk = SimVfs::new(1);
        let ids: BTreeSet<_> = [1, 2, 3, 4, 5].map(SegmentId).into();
        let mut odds = Odds(7);
        let parts = some_parts(&mut odds, &ids);
        let own = [SegmentId(2)].into();
        let sources = [(Arc::new(partition(&disk, 1, &ids, &parts)), own)];
        let stop = || Error::invalid("enough");
        let counted = Merge::of(&sources).counts(|| Err(stop()));
        assert_eq!(counted.unwrap_err().to_string(), stop().to_string());
        let read = Merge::of(&sources).each(|_| Err(stop()));
        assert_eq!(read.unwrap_err().to_string(), stop().to_string());
        assert!(sources[0].0.problem().is_none());
    }

    /// What becomes of a merge of a partition whose pages say this, with right checksums.
    fn merged(change: fn(&mut Parts)) -> (Result<()>, Option<Error>) {
        let (disk, ids) = (SimVfs::new(1), [1, 2, 3, 4, 5].map(SegmentId).into());
        let mut parts = some_parts(&mut Odds(7), &ids);
        change(&mut parts);
        let sources = [(Arc::new(partition(&disk, 1, &ids, &parts)), ids)];
        let done = Merge::of(&sources).each(|_| Ok(()));
        (done, sources[0].0.problem())
    }

    #[test]
    fn a_page_that_is_not_what_a_partition_has_is_its_problem() {
        assert!(matches!(merged(|_| ()), (Ok(()), None)));
        let (done, problem) = merged(|parts| {
            let of = parts.values_mut().next().unwrap();
            let last = of.len() - 2;
            of.swap(1, last);
        });
        assert_eq!(done.unwrap_err().to_string(), problem.unwrap().to_string(), "out of order");
        let (done, problem) = merged(|parts| {
            let last = parts.values_mut().next_back().unwrap().last_mut().unwrap();
            last.segment = SegmentId(77);
        });
        assert_eq!(
            done.unwrap_err().to_string(),
            problem.unwrap().to_string(),
            "of a segment without a row"
        );
    }
}
