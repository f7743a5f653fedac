//! A typed client of the daemon's reading side, with the standard library alone: lists the clips of
//! a camera page by page, and fetches one window as a file, going on where a connection broke off.
//!
//! ```text
//! cargo run --example client -- 127.0.0.1:9300 front-door 2026-11-23T18:00:00Z 3600 evening.mp4
//! ```
//!
//! `CLIPKEEP_TOKEN` is the token of a resident. It speaks plain HTTP, for the daemon on the same
//! machine; beyond it, take an HTTP client with TLS and keep the types.

#![expect(
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "an example tells what it does, and shows each step"
)]

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often a download goes on before it is given up.
const ATTEMPTS_MAX: u32 = 5;

/// A daemon, and who asks it.
struct Client {
    address: String,
    token: Option<String>,
}

/// What the daemon says of a clip; the fields that this example needs.
#[derive(Debug)]
struct Clip {
    id: String,
    start: String,
    end: String,
    bytes: u64,
}

/// Why the daemon refused: its problem document.
#[derive(Debug)]
struct Problem {
    status: u16,
    /// Stable: programs decide by it.
    code: String,
    /// For people.
    detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} {})", self.detail, self.status, self.code)
    }
}

impl Error for Problem {}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, camera, from, seconds, path] = arguments.as_slice() else {
        return Err("want ADDRESS CAMERA FROM SECONDS FILE".into());
    };
    let token = std::env::var("CLIPKEEP_TOKEN").ok();
    let client = Client { address: address.clone(), token };
    let seconds: u32 = seconds.parse()?;
    let clips = client.clips(camera)?;
    for clip in &clips {
        println!("{:>8}  {} to {}  {} bytes", clip.id, clip.start, clip.end, clip.bytes);
    }
    println!("{} clips of {camera}", clips.len());
    #[expect(clippy::disallowed_methods, reason = "the file is the user's, not the store's")]
    let mut file = File::create(path)?;
    let bytes = client.download(camera, from, seconds, &mut file)?;
    println!("{path}: {bytes} bytes");
    Ok(())
}

impl Client {
    /// All clips of `camera`, oldest first.
    fn clips(&self, camera: &str) -> Outcome<Vec<Clip>> {
        let mut clips = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.json(&format!("/v1/cameras/{camera}/clips?limit=500{cursor}"))?;
            for clip in page["clips"].as_array().into_iter().flatten() {
                let text = |name: &str| clip[name].as_str().unwrap_or_default().to_owned();
                let bytes = clip["bytes"].as_u64().unwrap_or(0);
                clips.push(Clip { id: text("id"), start: text("start"), end: text("end"), bytes });
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(clips),
            }
        }
    }

    /// Writes what `camera` recorded from `from` on to `out`, as one MP4 file.
    ///
    /// A connection that breaks off is no reason to start again: the length is known from the first
    /// answer, `Range` asks for the rest, and `If-Range` makes sure that it is a rest of the same
    /// bytes. If it is not, the whole comes again, and this gives up: `out` has the old beginning.
    fn download(
        &self,
        camera: &str,
        from: &str,
        seconds: u32,
        out: &mut dyn io::Write,
    ) -> Outcome<u64> {
        let path = format!("/v1/cameras/{camera}/window.mp4?from={from}&seconds={seconds}");
        let mut answer = self.get(&path, &[])?;
        let (len, etag) = (answer.number("content-length")?, answer.header("etag").to_owned());
        let mut got = io::copy(&mut (&mut answer.body).take(len), out)?;
        for _ in 0..ATTEMPTS_MAX {
            if got == len {
                return Ok(got);
            }
            let rest = [format!("Range: bytes={got}-"), format!("If-Range: {etag}")];
            let mut answer = self.get(&path, &rest)?;
            if answer.status != 206 {
                return Err("the window has changed since: start again".into());
            }
            got += io::copy(&mut (&mut answer.body).take(len - got), out)?;
        }
        if got == len { Ok(got) } else { Err(format!("only {got} of {len} bytes came").into()) }
    }

    fn json(&self, path: &str) -> Outcome<Value> {
        let mut answer = self.get(path, &[])?;
        let len = answer.number("content-length")?;
        Ok(serde_json::from_reader((&mut answer.body).take(len))?)
    }

    /// The answer to `path`; one that refuses is an error.
    fn get(&self, path: &str, headers: &[String]) -> Outcome<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if let Some(token) = &self.token {
            request += &format!("Authorization: Bearer {token}\r\n");
        }
        request += "Connection: close\r\n\r\n";
        stream.write_all(request.as_bytes())?;
        Answer::read(stream)?.checked()
    }
}

/// The head of an answer, and a body to read.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: BufReader<TcpStream>,
}

impl Answer {
    fn read(stream: TcpStream) -> Outcome<Self> {
        let mut body = BufReader::new(stream);
        let mut first = String::new();
        body.read_line(&mut first)?;
        let status = first.split(' ').nth(1).ok_or("no HTTP")?.parse()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            body.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Ok(Self { status, headers, body })
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> Outcome<u64> {
        Ok(self.header(name).parse()?)
    }

    fn checked(mut self) -> Outcome<Self> {
        if self.status < 300 {
            return Ok(self);
        }
        let len = self.number("content-length")?;
        let said: Value = serde_json::from_reader((&mut self.body).take(len))?;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        Err(Problem { status: self.status, code: text("code"), detail: text("detail") }.into())
    }
}
