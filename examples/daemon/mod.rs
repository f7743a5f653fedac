//! A daemon of an example's own, which ends with it, and requests to it over one kept connection.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long it may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon on a port of its own, without tokens. What it logs goes nowhere: of who reads footage
/// it has a line a clip.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Daemon {
    /// Starts `binary` on the store in `dir`, with `settings` like `ingest.clip_seconds=30`, and
    /// waits until it is ready.
    pub(crate) fn start(binary: &str, dir: &Path, settings: &[&str]) -> Outcome<Self> {
        let always = ["access.tokens=false", "access.requests_per_second=0"];
        let settings = always.iter().chain(settings).flat_map(|setting| ["--set", setting]);
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .args(settings)
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the daemon has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let hello: serde_json::Value = serde_json::from_str(&line)?;
        let url = hello["listening"].as_str().ok_or("the daemon does not say where it listens")?;
        let daemon = Self { child, address: url.trim_start_matches("http://").parse()? };
        daemon.wait_for("/readyz")?;
        Ok(daemon)
    }

    /// A connection that does not hold small requests back.
    pub(crate) fn connect(&self) -> Outcome<TcpStream> {
        let connection = TcpStream::connect(self.address)?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }

    /// Waits until `path` is answered with success.
    pub(crate) fn wait_for(&self, path: &str) -> Outcome<()> {
        let begun = now();
        loop {
            let answer = self.connect().and_then(|mut to| ask(&mut to, "GET", path, "", b""));
            match answer {
                Ok((200..300, _)) => return Ok(()),
                _ if begun.elapsed() < PATIENCE => thread::yield_now(),
                Ok((status, _)) => return Err(format!("{path}: {status}").into()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// One request with a body of that `kind`: status and body of the answer.
pub(crate) fn ask(
    to: &mut TcpStream,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> Outcome<(u16, Vec<u8>)> {
    let len = body.len();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n");
    if !kind.is_empty() {
        head = format!("{head}Content-Type: {kind}\r\n");
    }
    // In one write: a second one would wait for the answer to the first.
    let mut request = format!("{head}\r\n").into_bytes();
    request.extend_from_slice(body);
    to.write_all(&request)?;
    let mut answer = Vec::new();
    let mut room = vec![0; 64 << 10];
    loop {
        let read = to.read(&mut room)?;
        if read == 0 {
            return Err(format!("{path}: the connection ended").into());
        }
        answer.extend_from_slice(room.get(..read).unwrap_or(&[]));
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(answer.get(..end).unwrap_or(&[])).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        if answer.len() >= end + 4 + length {
            let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
            return Ok((status, answer.split_off(end + 4)));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement takes the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
