//! What README.md tells a newcomer to type, typed: two terminals, one stream.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

const README: &str = include_str!("../../README.md");
/// How long the daemon may take to say something.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `clipkeep serve` and nothing else, in a folder of its own. The port alone is another: tests run
/// beside one another.
fn serve_alone(folder: &TempDir) -> (Running, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clipkeep"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLIPKEEP_")) {
        command.env_remove(name);
    }
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    command.arg("serve").current_dir(folder.path()).env("CLIPKEEP_HTTP_LISTEN", "127.0.0.1:0");
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines() {
            send.send(line.unwrap()).unwrap();
        }
    });
    let running = Running(child);
    let mut said: Vec<String> = Vec::new();
    while !said.last().is_some_and(|line| line.contains("-method POST")) {
        said.push(lines.recv_timeout(PATIENCE).expect("the line that pushes"));
    }
    (running, said)
}

/// The word after `before` on a line of `said`.
fn word<'a>(said: &'a [String], before: &str) -> &'a str {
    let rest = said.iter().find_map(|line| line.split_once(before)).expect(before).1;
    rest.split_whitespace().next().unwrap().trim_end_matches(',')
}

fn bash(script: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-euc", script]).stdin(Stdio::null());
    bash
}

#[test]
fn two_terminals_are_enough_to_push_a_stream_and_to_play_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, said) = serve_alone(&folder);
    assert!(folder.path().join("clipkeep-data/STORE").exists(), "{said:?}");
    assert!(said[0].ends_with("on the store in clipkeep-data"), "{said:?}");
    let address = word(&said, "http://").split('/').next().unwrap().to_owned();
    let (resident, operator) = (word(&said, "  resident "), word(&said, "  operator "));

    let at = said.iter().position(|line| line.trim_start().starts_with("ffmpeg")).unwrap();
    let push = format!("exec {}", said[at..].join("\n").trim_start());
    let quiet = push.replacen("ffmpeg ", "ffmpeg -v error ", 1);
    let mut camera = Running(bash(&quiet).stderr(Stdio::piped()).spawn().unwrap());
    // The first ten seconds, which the lines below ask for, are there.
    let count = format!(
        "until curl -s --fail -H 'Authorization: Bearer {operator}' http://{address}/metrics \
         | grep -q 'ingest_fragments_total{{camera=\"front-door\"}} [6-9]'; do sleep 0.2; done"
    );
    assert!(
        Command::new("timeout").args(["120", "bash", "-c", &count]).status().unwrap().success()
    );

    let from = README.find("AUTH=").expect("README.md reads what was pushed");
    let lines = README[from..].split("```").next().unwrap();
    let lines = lines.replace("127.0.0.1:9300", &address).replace("RESIDENT-TOKEN", resident);
    assert_eq!(lines.matches("\nff").count(), 3, "{lines}");
    let read = bash(&lines).output().unwrap();
    let (shown, errors) = (text(&read.stdout), text(&read.stderr));
    assert!(read.status.success() && errors.is_empty(), "{lines}: {shown}{errors}");
    assert!(shown.contains("h264,640,360"), "{shown}");

    // It was pushing all the while, and nothing was wrong with that either.
    assert!(camera.0.try_wait().unwrap().is_none());
    camera.0.kill().unwrap();
    let mut errors = String::new();
    camera.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
