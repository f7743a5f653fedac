//! The outcome for scripts. Durations are seconds, rates bytes a second, sizes bytes.

use serde_json::{Value, json};

use super::answer::{Answer, rate};
use super::measure::{Measured, SteadyPair};
use super::table::{best_limit, budget_rows, median_opening};
use crate::workload::{Bulk, Latencies, Lookups, Space, Track, ratio};

/// Everything that was measured.
pub(super) fn of(measured: &Measured, answer: &Answer) -> Value {
    let machine = &measured.machine;
    let finds = &measured.finds;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "profile": measured.profile.name(),
        "seconds": measured.took.as_secs_f64(),
        "machine": {
            "cores": machine.cores,
            "processor": machine.processor,
            "memory_bytes": machine.memory_bytes,
            "disk": machine.disk,
            "file_system": machine.file_system,
            "free_bytes": machine.free_bytes,
        },
        "record": {
            "each": tracks(&measured.each),
            "grouped": tracks(&measured.grouped),
            "small": tracks(&measured.small),
            "large": tracks(&measured.large),
            "memory_peak_bytes": measured.memory_peak_bytes,
            "cached": measured.cached.iter().map(|(name, (cached, all))| {
                json!({"name": name, "share": ratio(*cached, *all)})
            }).collect::<Vec<_>>(),
            "cpu_seconds_per_gib": budget_rows(measured).map(|(what, seconds)| {
                json!({"what": what, "seconds": seconds.parse::<f64>().ok()})
            }).collect::<Vec<_>>(),
        },
        "fragments": fragments(measured),
        "beside_expiry": measured.steady.iter().map(pair).collect::<Vec<_>>(),
        "space": space(&measured.space),
        "bulk_expiry": measured.bulk.iter().map(bulk).collect::<Vec<_>>(),
        "read": measured.reads.iter().map(|row| json!({
            "name": row.name,
            "cold": row.cold,
            "is_range": row.is_range,
            "bytes_per_second": row.reads.bytes_per_second(),
            "first_byte": latencies(&row.reads.first_byte),
            "whole_clip": latencies(&row.reads.latencies),
        })).collect::<Vec<_>>(),
        "find": {
            "clips": finds.clips,
            "lookups": lookups(&finds.lookups),
            "vector": lookups(&finds.vector),
            "index_bytes": finds.index_bytes,
            "hold_seconds": finds.hold_took.as_secs_f64(),
            "hold_syncs": finds.hold_syncs,
            "open_seconds": median_opening(measured, false).as_secs_f64(),
            "open_killed_seconds": median_opening(measured, true).as_secs_f64(),
        },
        "answer": {
            "text": answer.sentences().join(" "),
            "mbit": answer.mbit,
            "sustained_bytes_per_second": answer.sustained,
            "cameras": answer.cameras,
            "room_bytes": answer.room_bytes,
            "cameras_for_five_days": answer.cameras_for_five_days,
        },
    })
}

fn tracks(tracks: &[Track]) -> Value {
    let limit = best_limit(tracks);
    tracks.iter().map(|one| track(one, limit)).collect()
}

fn track(track: &Track, limit: Option<&Track>) -> Value {
    json!({
        "name": track.name,
        "settings": track.settings,
        "bytes": track.bytes(),
        "rounds": track.rounds.len(),
        "bytes_per_second": rate(track),
        "of_the_limit": limit.map(|limit| {
            let (median, least, most) = track.rate_against(limit);
            json!({"median": median, "least": least, "most": most})
        }),
        "cpu_seconds_per_gib": track.cpu_seconds_per_gib(),
        "written_per_byte": track.written_per_byte(),
        "device_per_byte": track.device_per_byte(),
        "syncs": track.syncs,
        "commit": latencies(&track.latencies),
    })
}

fn pair(pair: &SteadyPair) -> Value {
    json!({
        "held_percent": pair.held_percent,
        "clipkeep": track(&pair.own.track, Some(&pair.limit.track)),
        "limit": track(&pair.limit.track, None),
        "sweeps": pair.own.sweeps.len(),
        "disk_bytes": pair.own.space.disk_bytes,
        "live_bytes": pair.own.space.live_bytes,
    })
}

fn space(space: &Space) -> Value {
    json!({
        "held_percent": 1,
        "live_bytes": space.live_bytes,
        "expired_bytes": space.expired_bytes,
        "overhead_bytes": space.overhead_bytes,
        "reserved_bytes": space.reserved_bytes,
        "disk_bytes": space.disk_bytes,
        "disk_per_live": space.all(),
        "growing_per_live": space.growing(),
    })
}

/// How long fragments wait until they are durable.
fn fragments(measured: &Measured) -> Value {
    let crowd = &measured.crowd;
    let mut all = serde_json::Map::new();
    let without_a_pause = json!({
        "clipkeep": track(&crowd.own, None),
        "bare": latencies(&crowd.bare),
        "bare_groups": latencies(&crowd.bare_groups),
        "bare_all": latencies(&crowd.bare_all),
        "group_bytes": crowd.group_bytes,
    });
    all.insert("without_a_pause".to_owned(), without_a_pause);
    for row in &measured.paced {
        let paced = json!({
            "cameras": row.plan.cameras,
            "fragment_bytes": row.plan.fragment_bytes,
            "clipkeep": latencies(&row.tracks.own),
            "bare": latencies(&row.tracks.bare),
            "segments_dropped": row.tracks.segments_dropped,
            "read_bytes": row.tracks.read_bytes,
        });
        all.insert(row.name.to_owned(), paced);
    }
    Value::Object(all)
}

fn bulk((name, bulk): &(String, Bulk)) -> Value {
    json!({
        "name": name,
        "bytes": bulk.bytes,
        "seconds": bulk.took.as_secs_f64(),
        "disk_bytes_before": bulk.disk_bytes.0,
        "disk_bytes_after": bulk.disk_bytes.1,
        "kept_bytes": bulk.kept_bytes,
        "given_back_seconds": bulk.given_back.map(|took| took.as_secs_f64()),
        "writer_commits": bulk.beside.map(|beside| beside.commits),
        "writer_p99_seconds": bulk.beside.map(|beside| beside.p99.as_secs_f64()),
        "writer_max_seconds": bulk.beside.map(|beside| beside.max.as_secs_f64()),
    })
}

fn lookups(rows: &[Lookups]) -> Value {
    let row = |(row, clips): (&Lookups, u32)| {
        let took = latencies(&row.latencies);
        json!({"window_clips": clips, "found": row.found, "took": took})
    };
    rows.iter().zip([10, 60, 1440]).map(row).collect()
}

fn latencies(latencies: &Latencies) -> Value {
    let seconds = |percent| latencies.percentile(percent).as_secs_f64();
    json!({
        "count": latencies.count(),
        "p50": seconds(50.0),
        "p90": seconds(90.0),
        "p99": seconds(99.0),
        "p999": seconds(99.9),
        "max": latencies.max().as_secs_f64(),
    })
}
