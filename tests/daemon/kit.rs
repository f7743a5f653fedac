//! A daemon for one test, and a client that says exactly what it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Ten seconds of H.264 in five fragments of two seconds.
pub(crate) const FRONT_DOOR: &str = "src/cli/demo/front-door.mp4";
pub(crate) const START: &str = "2024-01-01T18:00:00Z";

/// How long anything may take before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon and its folder. Ended with its test.
pub(crate) struct Daemon {
    pub(crate) folder: TempDir,
    child: Child,
    pub(crate) address: String,
    /// What it said when it started.
    pub(crate) hello: Value,
    settings: Vec<String>,
    wrapper: Vec<String>,
}

impl Daemon {
    /// Without tokens, on any free port, with small files.
    pub(crate) fn start() -> Self {
        Self::with(&["access.tokens=false"])
    }

    /// The same with further settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let daemon = Self::unchecked(settings);
        daemon.until("/readyz", |answer| answer.status == 200);
        daemon
    }

    /// The same, which may not be ready yet.
    pub(crate) fn unchecked(settings: &[&str]) -> Self {
        Self::over(settings, |_| {})
    }

    /// The same on what `fill` puts into the folder of the store.
    pub(crate) fn over(settings: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fill(&folder.path().join("store"));
        Self::behind(&[], folder, settings)
    }

    /// The same in `folder`, begun by the program `wrapper`, which executes it in its own process.
    pub(crate) fn behind(wrapper: &[&str], folder: TempDir, settings: &[&str]) -> Self {
        let small = ["http.listen=127.0.0.1:0", "store.segment_bytes=4194304"];
        let settings: Vec<String> = small.iter().chain(settings).map(ToString::to_string).collect();
        let wrapper: Vec<String> = wrapper.iter().map(ToString::to_string).collect();
        let (child, hello, address) = spawn(&wrapper, &folder, &settings);
        Self { folder, child, address, hello, settings, wrapper }
    }

    /// Starts it again on the same store.
    pub(crate) fn restart(&mut self) {
        self.kill();
        (self.child, self.hello, self.address) = spawn(&self.wrapper, &self.folder, &self.settings);
        self.until("/readyz", |answer| answer.status == 200);
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// As if the power had gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same store and port: a sender that pushes meanwhile finds it.
    pub(crate) fn restart_in_place(&mut self) {
        self.set(&format!("http.listen={}", self.address));
        self.restart();
    }

    /// The memory that it has in use.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most memory that it ever had in use.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// As systemd ends it.
    pub(crate) fn terminate(&mut self) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// The same, if it ends within `time`.
    pub(crate) fn wait_for(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = std::time::Instant::now() + time;
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::yield_now();
        }
        None
    }

    /// Stops it and lists what its store has: by the command line, which knows nothing of HTTP.
    pub(crate) fn stop_and_list(&mut self) -> Vec<Value> {
        self.terminate();
        assert!(self.wait().success());
        self.list()
    }

    /// What the store of a daemon that does not run has.
    pub(crate) fn list(&self) -> Vec<Value> {
        let listed = clipkeep(&["ls", "--json", "--dir", self.store().to_str().unwrap()]);
        let listed: Value = serde_json::from_slice(&listed).unwrap();
        listed["clips"].as_array().unwrap().clone()
    }

    /// The bytes of a clip of a daemon that does not run.
    pub(crate) fn clip(&self, id: &str) -> Vec<u8> {
        let path = self.folder.path().join("clip");
        let (out, store) = (path.to_str().unwrap().to_owned(), self.store());
        clipkeep(&["get", id, "--force", "-o", &out, "--dir", store.to_str().unwrap()]);
        std::fs::read(path).unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for header in headers {
            head += &format!("{header}\r\n");
        }
        if !headers.iter().any(|header| header.starts_with("Transfer-Encoding")) {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "Connection: close\r\n\r\n";
        // A daemon may refuse before it has read everything.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok();
        Answer::read(&mut stream, method == "HEAD")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Asks for something of which no more than the beginning is read until its answer is wanted.
    pub(crate) fn begin(&self, path: &str) -> Push {
        let mut stream = self.connect();
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
        Push { stream }
    }

    /// A chunked body that goes on until it is finished.
    pub(crate) fn push(&self, path: &str, headers: &[&str]) -> Push {
        self.push_as("POST", path, headers)
    }

    pub(crate) fn push_as(&self, method: &str, path: &str, headers: &[&str]) -> Push {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for header in headers {
            head += &format!("{header}\r\n");
        }
        head += "Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        Push { stream }
    }

    /// Waits until `count` fragments of `camera` are durable: whoever closed without reading the
    /// answer may be gone before.
    pub(crate) fn until_durable(&self, camera: &str, count: usize) {
        let line = format!("clipkeep_ingest_fragments_total{{camera=\"{camera}\"}} {count}\n");
        self.until("/metrics", |answer| answer.text().contains(&line));
    }

    /// Waits until `path` answers something for which `is_so` holds.
    pub(crate) fn until(&self, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path);
            if is_so(&answer) {
                return answer;
            }
            assert!(std::time::Instant::now() < deadline, "{path}: {}", answer.text());
            std::thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(wrapper: &[String], folder: &TempDir, settings: &[String]) -> (Child, Value, String) {
    let own = env!("CARGO_BIN_EXE_clipkeep").to_owned();
    let words: Vec<&String> = wrapper.iter().chain([&own]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLIPKEEP_")) {
        command.env_remove(name);
    }
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.path().join("log"))
        .unwrap();
    command.args(["serve", "--json", "--dir"]).arg(folder.path().join("store"));
    for setting in settings {
        command.args(["--set", setting]);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    let hello: Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{}", log()));
    let url = hello["listening"].as_str().unwrap();
    let address = url.split("://").nth(1).unwrap().to_owned();
    (child, hello, address)
}

/// Says a line past the test runner, which hides what a test that passes prints: `tests/run` shows
/// it. The runner may be in the middle of a line.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// Runs the command line and answers what it printed.
pub(crate) fn clipkeep(args: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_clipkeep")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A body on its way.
pub(crate) struct Push {
    pub(crate) stream: TcpStream,
}

impl Push {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// Ends the body and waits for the answer.
    pub(crate) fn finish(mut self) -> Answer {
        self.stream.write_all(b"0\r\n\r\n").ok();
        self.stream.shutdown(Shutdown::Write).ok();
        Answer::read(&mut self.stream, false)
    }

    /// The answer that comes without the body having ended.
    pub(crate) fn answer(mut self) -> Answer {
        Answer::read(&mut self.stream, false)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut TcpStream, only_head: bool) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer is how a server that wants no more ends the connection.
        let ended = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {ended:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            let mut rest = &bytes[end + 4..];
            let mut again = Vec::new();
            rest.read_to_end(&mut again).unwrap();
            return Self::parse(&again);
        }
        let answer = Self::parse(&bytes);
        assert!(!only_head || answer.body.is_empty());
        answer
    }

    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = bytes[end + 4..].to_vec();
        if head.to_lowercase().contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        Self { status, head, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// Asserts that it went well.
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }

    /// Asserts that it is a problem document with this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:clipkeep:problem:{code}"));
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + len]);
        bytes = &bytes[end + 2 + len + 2..];
    }
}

/// The lengths of an init segment and of the fragments behind it: by the boxes alone, without the
/// code under test.
pub(crate) fn pieces(file: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    let mut at = 0;
    while at < file.len() {
        let len: [u8; 4] = file[at..at + 4].try_into().unwrap();
        let (kind, end) =
            (&file[at + 4..at + 8], at + usize::try_from(u32::from_be_bytes(len)).unwrap());
        if kind == b"moof" {
            pieces.push(Vec::new());
        }
        if kind != b"mfra" {
            pieces.last_mut().unwrap().extend_from_slice(&file[at..end]);
        }
        at = end;
    }
    pieces
}

pub(crate) fn front_door() -> Vec<u8> {
    std::fs::read(FRONT_DOOR).unwrap()
}
