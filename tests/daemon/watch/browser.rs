//! The page in a real browser: headless Chromium plays, seeks, and draws what it sees.
//!
//! Between browser and daemon stands a relay of the test, which adds one script to the page and
//! takes what that script reports. The daemon and its page know nothing of it. Tokens are on: the
//! script signs in as a person does, and what is played is fetched with the session's cookie.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};

use serde_json::Value;

use super::*;

/// What the probe does in the page: see there.
const PROBE: &str = include_str!("probe.js");
/// How long a slow machine may take for all of it.
const PATIENCE: Duration = Duration::from_mins(3);

/// Relays to `daemon`, with the probe in every page; what the probe reports goes to `reports`.
pub(crate) fn relay(daemon: SocketAddr, probe: String, reports: Sender<Value>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), probe, reports) = (client, probe.clone(), reports.clone()) else {
                return;
            };
            // A browser that hangs up in the middle of a video is nothing to complain of.
            std::thread::spawn(move || one_request(client, daemon, &probe, &reports).ok());
        }
    });
    address
}

fn one_request(
    mut client: TcpStream,
    daemon: SocketAddr,
    probe: &str,
    reports: &Sender<Value>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let first = lines.first().cloned().unwrap_or_default();
    if first.starts_with("GET /probe.js ") {
        return respond(&mut client, "text/javascript", probe);
    }
    let length = lines
        .iter()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    if first.starts_with("POST /report ") {
        reports.send(serde_json::from_slice(&body)?).ok();
        return respond(&mut client, "text/plain", "thank you");
    }
    lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    lines.push("Connection: close\r\n\r\n".to_owned());
    let mut upstream = TcpStream::connect(daemon)?;
    upstream.write_all(lines.join("\r\n").as_bytes())?;
    upstream.write_all(&body)?;
    if ["GET / ", "GET /inbox "].iter().any(|page| first.starts_with(page)) {
        let mut page = String::new();
        upstream.read_to_string(&mut page)?;
        let (head, body) = page.split_once("\r\n\r\n").unwrap_or_default();
        let probed = body.replace("</body>", "<script type=module src=probe.js></script></body>");
        // What the page may load stays as the daemon says.
        let policy = head.lines().find(|line| line.starts_with("content-security-policy: "));
        let kind = format!("text/html\r\n{}", policy.unwrap_or("content-security-policy: missing"));
        return respond(&mut client, &kind, &probed);
    }
    std::io::copy(&mut upstream, &mut client)?;
    Ok(())
}

fn respond(client: &mut TcpStream, kind: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// A browser that shows `url`, until it is dropped.
pub(crate) struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Browser {
    pub(crate) fn open(url: &str) -> Self {
        Self::with(&[url])
    }

    /// The same in a window as narrow as a telephone: only one without a bar may be.
    pub(crate) fn narrow(url: &str) -> Self {
        Self::with(&["--window-size=390,844", &format!("--app={url}")])
    }

    fn with(arguments: &[&str]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-dev-shm-usage", "--mute-audio", "--disable-extensions"])
            .arg("--autoplay-policy=no-user-gesture-required")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromium does not start ({error}): tests/run installs it")
            });
        Self { child, _profile: profile }
    }
}

#[test]
fn the_page_plays_and_seeks_by_playlist_by_file_and_by_clip() {
    let daemon = over(&["access.tokens=true"], |store| {
        record_stream(store, "src/cli/demo/front-door.mp4", 0, 100);
        // After a gap: what the page shows first, because it is the newest.
        put_segments(store, 600);
    });
    let (reports, reported) = mpsc::channel();
    let token = daemon.hello["tokens"]["resident"].as_str().expect("a first token");
    let probe = PROBE.replace("TOKEN", token);
    let address = relay(daemon.address.parse().unwrap(), probe, reports);
    let browser = Browser::open(&format!("http://{address}/"));
    let report = reported.recv_timeout(PATIENCE).expect("the probe reports nothing");
    drop(browser);
    let ways =
        [("hls", "playlist.m3u8", 6.0), ("file", "window.mp4", 6.0), ("clip", "media", 10.0)];
    for (source, way, seconds) in ways {
        let seen = &report[source];
        let number = |name: &str| seen[name].as_f64().unwrap_or_else(|| panic!("{report:#}"));
        assert!(seen["src"].as_str().is_some_and(|src| src.contains(way)), "{report:#}");
        assert!(number("advanced") > 0.0, "currentTime stands still: {report:#}");
        assert_eq!((number("width"), number("height")), (160.0, 120.0), "{report:#}");
        // Chromium counts half a second more of a playlist than its segments say.
        assert!((number("duration") - seconds).abs() < 0.6, "{report:#}");
        // A blank frame has one colour; the test pattern has nearly all of them.
        assert!(number("spread") > 100.0, "blank: {report:#}");
        assert!(number("after_seek") > 4.0, "{report:#}");
        assert!(number("spread_after_seek") > 100.0, "blank after seeking: {report:#}");
        assert!(number("changed_pixels") > 100.0, "another second looks the same: {report:#}");
    }
    assert_eq!(report["cameras"], "front");
    assert!(report["coloured"].as_u64().unwrap() > 0, "an empty timeline: {report:#}");
}
