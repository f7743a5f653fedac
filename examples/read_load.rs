//! How fast the daemon gives whole clips away, against a file server with the same bytes.
//!
//! ```text
//! cargo build --release && cargo run --release --example read_load -- target/release/clipkeep
//! ```
//!
//! Fills a store, and a folder with the same clips as files; starts the daemon and, where it is
//! installed, nginx; lets the same readers fetch every clip from the one and the other, in turns,
//! in one run. Prints each round and the medians. Both read from the page cache: what is measured
//! is the way from there to the socket, checksums included on our side.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod daemon;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use clipkeep::{CameraId, NewClip, Store, Timestamp, Window};

use daemon::{Daemon, Outcome, now};

const CLIPS: u32 = 32;
const CLIP_BYTES: usize = 8 << 20;
const READERS: usize = 8;
const ROUNDS: usize = 7;

/// An nginx that ends with this program.
struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked, not killed: a killed nginx leaves its workers behind.
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = id.map(|id| kill_process(id, Signal::TERM));
        if !matches!(asked, Some(Ok(()))) {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

fn main() -> Outcome<()> {
    let binary = std::env::args().nth(1).unwrap_or_else(|| "target/release/clipkeep".to_owned());
    let folder = tempfile::tempdir()?;
    let (store, files) = (folder.path().join("store"), folder.path().join("files"));
    fs::create_dir(&files)?;
    let ids = fill(&store, &files)?;
    let daemon = Daemon::start(&binary, &store, &[])?;
    let nginx = start_nginx(folder.path(), &files)?;
    let ours: Vec<String> = ids.iter().map(|id| format!("/v1/clips/{id}/media")).collect();
    let theirs: Vec<String> = ids.iter().map(|id| format!("/{id}")).collect();

    let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let own = rate(daemon.address, &ours)?;
        our_rates.push(own);
        print!("round {round}: clipkeep {own:6.0} MB/s");
        if let Some(nginx) = &nginx {
            let other = rate(nginx.address, &theirs)?;
            their_rates.push(other);
            print!(", nginx {other:6.0} MB/s");
        }
        println!();
    }
    let own = median(&mut our_rates);
    println!("{READERS} readers, {CLIPS} clips of {CLIP_BYTES} bytes, medians of {ROUNDS} rounds");
    println!("clipkeep {own:.0} MB/s");
    if their_rates.is_empty() {
        println!("nginx is not installed (Debian: nginx-light): nothing to compare with");
    } else {
        let other = median(&mut their_rates);
        println!("nginx    {other:.0} MB/s: clipkeep is at {:.2} of it", own / other);
    }
    Ok(())
}

/// Stores the clips, and writes each as a file named by its id.
fn fill(dir: &Path, files: &Path) -> Outcome<Vec<String>> {
    let store = Store::options().open(dir)?;
    let camera: CameraId = "front".parse()?;
    let start: Timestamp = "2024-01-01T00:00:00Z".parse()?;
    let mut ids = Vec::new();
    for number in 0..CLIPS {
        let seed = blake3::hash(&number.to_le_bytes());
        let mut bytes = vec![0; CLIP_BYTES];
        blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof().fill(&mut bytes);
        let at = start.saturating_add(Duration::from_mins(1) * number);
        let window = Window::starting(at, Duration::from_mins(1))?;
        let clip = store.append(NewClip::new(&camera, window), bytes.clone())?;
        fs::write(files.join(clip.id().to_string()), &bytes)?;
        ids.push(clip.id().to_string());
    }
    store.seal()?;
    store.close()?;
    Ok(ids)
}

/// nginx as Debian ships it, with its own `sendfile`; `None` where it is not installed.
fn start_nginx(folder: &Path, files: &Path) -> Outcome<Option<Nginx>> {
    // Nobody else takes the port between here and there, on the machine of a measurement.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (pid, root) = (folder.join("nginx.pid"), files.display());
    let config = format!(
        "daemon off; worker_processes auto; pid {}; error_log /dev/null; events {{}}\n\
         http {{ access_log off; sendfile on; tcp_nopush on;\n\
         server {{ listen {address}; root {root}; }} }}\n",
        pid.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    // Its workers are nobody, and must be able to look in.
    Command::new("chmod").arg("-R").arg("a+rX").arg(folder).status()?;
    let started = Command::new("nginx").arg("-c").arg(&path).stderr(Stdio::null()).spawn();
    let Ok(child) = started else { return Ok(None) };
    let server = Nginx { child, address };
    wait_for(|| TcpStream::connect(address).map(drop).map_err(Into::into))?;
    Ok(Some(server))
}

/// Tries until it works, for ten seconds.
fn wait_for(mut attempt: impl FnMut() -> Outcome<()>) -> Outcome<()> {
    let started = now();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > Duration::from_secs(10) => return Err(error),
            Err(_) => thread::yield_now(),
        }
    }
}

/// Megabytes a second when all readers together fetch every path twice.
fn rate(address: SocketAddr, paths: &[String]) -> Outcome<f64> {
    let started = now();
    let bytes = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| scope.spawn(move || read_all(address, paths, reader)))
            .collect();
        let read = readers.into_iter().map(|reader| reader.join().or(Err("a reader panicked"))?);
        read.sum::<Outcome<u64>>()
    })?;
    let whole = u64::from(CLIPS) * 2 * u64::try_from(CLIP_BYTES)?;
    if bytes != whole {
        return Err(format!("{bytes} bytes came, of {whole}").into());
    }
    let megabytes = f64::from(u32::try_from(bytes / 1_000_000)?);
    Ok(megabytes / started.elapsed().as_secs_f64())
}

/// What reader `number` of all fetches: its share of the paths, twice, over one connection.
fn read_all(address: SocketAddr, paths: &[String], number: usize) -> Outcome<u64> {
    let mut connection = TcpStream::connect(address)?;
    let mut bytes = 0;
    for path in paths.iter().skip(number).step_by(READERS).flat_map(|path| [path, path]) {
        bytes += fetch(&mut connection, path)?;
    }
    Ok(bytes)
}

/// Fetches `path` and says how many bytes its body had.
fn fetch(connection: &mut TcpStream, path: &str) -> Outcome<u64> {
    write!(connection, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut buffer = vec![0; 256 << 10];
    let mut head = Vec::new();
    let head_end = loop {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            return Err("the connection ended within the headers".into());
        }
        head.extend_from_slice(buffer.get(..read).unwrap_or(&[]));
        if let Some(at) = head.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(head.get(..head_end).unwrap_or(&[])).to_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(format!("{path}: {text}").into());
    }
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length: u64 = length.ok_or("an answer without a length")?.trim().parse()?;
    let mut got = u64::try_from(head.len() - head_end)?;
    while got < length {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            return Err(format!("{path}: {got} of {length} bytes").into());
        }
        got += u64::try_from(read)?;
    }
    Ok(length)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
