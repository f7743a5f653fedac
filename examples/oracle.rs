//! Whether an agency can tell from how long its answers take what there is: the statistics.
//!
//! ```text
//! cargo build --release && cargo run --release --example oracle -- target/release/clipkeep
//! ```
//!
//! Six places, and for each a cause why an agency hears nothing of it: no camera, cameras without
//! clips, homes that opted out, clips that are gone, homes that say no, homes that say nothing. In
//! each round an agency asks about each place, in another order each time, over one kept
//! connection: it submits, and once that was approved (and answered) it looks, tries to fetch, and
//! withdraws. Each of these is timed at the agency's end.
//!
//! For each act and cause the times are compared with those of silence by the two-sample test of
//! Kolmogorov and Smirnov. Its statistic D is the most by which any threshold tells the two apart
//! from one answer (0: not at all, 1: always); p is how often two samples of one distribution
//! differ by as much. It counts as told apart where p is below 1 % over all the comparisons
//! together (Bonferroni). Two things are told apart where they should not be if the second run,
//! with answers at steps, has one; the first, without steps, shows what there is to hide.
//!
//! Further arguments: the rounds (300), and the step in milliseconds (50).

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod daemon;

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use clipkeep::requests::{Desk, HouseholdId, NewHousehold, Place, Rules, Text};
use clipkeep::{CameraId, Clock, NewClip, Store, SystemClock, Timestamp, Uptime, Window};
use serde_json::json;

use daemon::{Daemon, Outcome};

const CAUSES: [&str; 6] =
    ["silence", "no camera", "no clips", "opted out", "clips gone", "says no"];
const ACTS: [&str; 4] = ["submit", "look", "fetch", "withdraw"];
/// Homes at each place, but the one without cameras.
const HOMES: u32 = 6;
const MINUTE: Duration = Duration::from_mins(1);
const REQUESTS: &str = "/v1/agencies/springfield-pd/requests";
/// Told apart: how often that may be said of any comparison at all although it is not so.
const ERROR_IN_ALL: f64 = 0.01;

/// The clocks of this machine, the wall clock some minutes ago.
#[derive(Debug)]
struct Ago(u32);

impl Clock for Ago {
    fn wall(&self) -> Timestamp {
        SystemClock.wall().saturating_sub(MINUTE * self.0)
    }

    fn uptime(&self) -> Uptime {
        SystemClock.uptime()
    }
}

/// Seconds, by act and cause.
type Times = [[Vec<f64>; CAUSES.len()]; ACTS.len()];

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let binary = args.next().unwrap_or_else(|| "target/release/clipkeep".to_owned());
    let rounds: u32 = args.next().map_or(Ok(300), |text| text.parse())?;
    let step: u32 = args.next().map_or(Ok(50), |text| text.parse())?;
    for step in [0, step] {
        println!("requests.answer_ms = {step}, {rounds} rounds");
        let mut times = measure(&binary, rounds, step)?;
        report(&mut times);
    }
    Ok(())
}

/// Has the agency ask `rounds` times about each place.
fn measure(binary: &str, rounds: u32, step: u32) -> Outcome<Times> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("store");
    fill(&dir)?;
    let daemon =
        Daemon::start(binary, &dir, &[&format!("requests.answer_ms={step}"), "log.level=error"])?;
    // The desk is open a little later than the store.
    daemon.wait_for("/v1/agencies")?;
    let mut connection = daemon.connect()?;
    let window = json!({"from": Ago(45).wall().to_string(), "to": Ago(30).wall().to_string()});
    let mut times = Times::default();
    let mut order = Order(1);
    for round in 0..rounds {
        for cause in order.shuffled() {
            let center = json!({"lat": latitude(cause)?, "lon": -75.0});
            let number = format!("{round}-{cause}");
            let asking = json!({
                "key": number, "incident": number, "kind": "theft", "contact": "officer",
                "window": window, "area": {"circle": {"center": center, "radius_m": 150.0}},
            });
            let took = play(&mut connection, &asking.to_string(), cause)?;
            for (act, took) in times.iter_mut().zip(took) {
                act.get_mut(cause).ok_or("no such cause")?.push(took);
            }
        }
    }
    Ok(times)
}

/// One request about one place: the seconds that each act took.
fn play(to: &mut TcpStream, asking: &str, cause: usize) -> Outcome<[f64; ACTS.len()]> {
    let (submit, answer) = timed(to, "POST", REQUESTS, asking)?;
    let view: serde_json::Value = serde_json::from_slice(&answer)?;
    let id = view["request"].as_str().ok_or("no request")?.to_owned();
    ask(to, "POST", &format!("/v1/requests/{id}/approve"), "")?;
    if CAUSES.get(cause) == Some(&"says no") {
        for home in homes(cause)? {
            ask(to, "POST", &format!("/v1/households/h{home}/requests/{id}/deny"), "")?;
        }
    }
    let own = format!("{REQUESTS}/{id}");
    let (look, _) = timed(to, "GET", &own, "")?;
    let (fetch, _) = timed(to, "GET", &format!("{own}/bundle"), "")?;
    let (withdraw, _) = timed(to, "POST", &format!("{own}/withdraw"), "")?;
    Ok([submit, look, fetch, withdraw])
}

/// A store with a partner, and the homes of all places: they joined, and recorded, a while ago.
fn fill(dir: &Path) -> Outcome<()> {
    let options = || Store::options().segment_bytes(4 << 20);
    let desk = Desk::open(options().clock(Ago(50)).open(dir)?, Rules::default())?;
    desk.join_agency(&"springfield-pd".parse()?, "")?;
    let mut cameras: Vec<(usize, CameraId)> = Vec::new();
    for (cause, name) in CAUSES.iter().enumerate().filter(|(_, name)| **name != "no camera") {
        for home in homes(cause)? {
            let camera: CameraId = format!("door-{home}").parse()?;
            let place = Place { lat: latitude(cause)?, lon: -75.0 };
            let contact = String::new();
            let cameras_of = vec![(Text(camera.clone()), place)];
            let id = desk.join_household(&NewHousehold { cameras: cameras_of, contact })?;
            if id != HouseholdId(home) {
                return Err(format!("{id} is not home {home}").into());
            }
            if *name == "opted out" {
                desk.opt_out(id)?;
            }
            cameras.push((cause, camera));
        }
    }
    drop(desk);
    let store = options().open(dir)?;
    for (cause, camera) in cameras {
        let name = CAUSES.get(cause).copied().unwrap_or_default();
        if name == "no clips" {
            continue;
        }
        for minute in 0..10 {
            let window = Window::starting(Ago(44 - minute).wall(), MINUTE)?;
            let clip = store.append(NewClip::new(&camera, window), vec![7; 10_000])?;
            if name == "clips gone" {
                store.delete_clip(clip.id(), "operator", "as if it had expired")?;
            }
        }
    }
    Ok(store.close()?)
}

/// The numbers of the homes at a place: as they join, all places but that without a camera.
fn homes(cause: usize) -> Outcome<std::ops::Range<u32>> {
    let before = CAUSES.iter().take(cause).filter(|name| **name != "no camera").count();
    let first = u32::try_from(before)? * HOMES + 1;
    Ok(first..first + HOMES)
}

/// Places are far apart.
fn latitude(cause: usize) -> Outcome<f64> {
    Ok(40.0 + 0.1 * f64::from(u32::try_from(cause)?))
}

/// One request, the seconds until its answer was there, and that answer.
fn timed(to: &mut TcpStream, method: &str, path: &str, body: &str) -> Outcome<(f64, Vec<u8>)> {
    let begun = daemon::now();
    let (_, answer) = ask(to, method, path, body)?;
    Ok((begun.elapsed().as_secs_f64(), answer))
}

/// One request over a kept connection: status and body of the answer.
fn ask(to: &mut TcpStream, method: &str, path: &str, body: &str) -> Outcome<(u16, Vec<u8>)> {
    let (status, answer) = daemon::ask(to, method, path, "application/json", body.as_bytes())?;
    if matches!(status, 200..300 | 409 | 503) {
        return Ok((status, answer));
    }
    Err(format!("{path}: {status} {}", String::from_utf8_lossy(&answer)).into())
}

/// Prints each comparison, and how many tell something.
fn report(times: &mut Times) {
    let comparisons = ACTS.len() * (CAUSES.len() - 1);
    let bound = ERROR_IN_ALL / f64::from(u32::try_from(comparisons).unwrap_or(u32::MAX));
    let mut told = 0;
    println!("| act | cause | median | median of silence | D | p | told apart |");
    println!("|---|---|---:|---:|---:|---:|---|");
    for (act, of_act) in ACTS.iter().zip(times) {
        for times in of_act.iter_mut() {
            times.sort_unstable_by(f64::total_cmp);
        }
        let Some((silence, others)) = of_act.split_first() else { continue };
        for (cause, times) in CAUSES.iter().skip(1).zip(others) {
            let distance = distance(silence, times);
            let p = chance(distance, silence.len(), times.len());
            let apart = p < bound;
            told += u32::from(apart);
            let (own, other) = (median(times), median(silence));
            let word = if apart { "yes" } else { "no" };
            let medians = format!("{own:.3} ms | {other:.3} ms");
            println!("| {act} | {cause} | {medians} | {distance:.3} | {p:.2e} | {word} |");
        }
    }
    println!("told apart: {told} of {comparisons}, each at p < {bound:.1e}\n");
}

fn median(sorted: &[f64]) -> f64 {
    1e3 * sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The most by which the shares of two sorted samples below any threshold differ.
fn distance(one: &[f64], two: &[f64]) -> f64 {
    let share = |sample: &[f64], at: f64| {
        let below = sample.partition_point(|value| *value <= at);
        count(below) / count(sample.len())
    };
    let all = one.iter().chain(two);
    all.map(|at| (share(one, *at) - share(two, *at)).abs()).fold(0.0, f64::max)
}

/// How often two samples of one distribution are so far apart: the limit for large samples, with
/// the correction of Stephens for finite ones.
fn chance(distance: f64, one: usize, two: usize) -> f64 {
    let root = (count(one) * count(two) / (count(one) + count(two))).sqrt();
    let x = (root + 0.12 + 0.11 / root) * distance;
    if x < 0.3 {
        // There the series converges slowly, and the chance is 1 to five digits.
        return 1.0;
    }
    let term = |k: u32| {
        let k = f64::from(k);
        let sign = if k % 2.0 > 0.5 { 1.0 } else { -1.0 };
        sign * (-2.0 * k * k * x * x).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

fn count(many: usize) -> f64 {
    f64::from(u32::try_from(many).unwrap_or(u32::MAX))
}

/// The causes in another order each time: a multiplicative generator of small numbers.
struct Order(u64);

impl Order {
    fn shuffled(&mut self) -> Vec<usize> {
        let mut left: Vec<usize> = (0..CAUSES.len()).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(self.0 >> 40).unwrap_or(0) % left.len();
            order.push(left.swap_remove(at));
        }
        order
    }
}
