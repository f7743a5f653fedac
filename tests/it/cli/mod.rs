//! The real `clipkeep` binary on real stores: what scripts and people rely on.

mod basics;
mod damage;
mod demo;
#[cfg(feature = "requests")]
mod evidence;
mod export;
mod holds;
mod import;
mod kill;
mod record;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Ten seconds of H.264 in fragments of two seconds.
const FRONT_DOOR: &str = "src/cli/demo/front-door.mp4";
/// Another camera's, with another decoder set-up or not.
const GARDEN: &str = "src/cli/demo/garden.mp4";
/// Long past, so that windows around it are wholly in the past on any machine.
const START: &str = "2024-01-01T18:00:00Z";

/// A folder for one test, and commands in it.
struct Bench {
    folder: TempDir,
}

/// How a command came out.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With an empty store.
    fn with_store() -> Self {
        let bench = Self::new();
        bench.run(&["init"]).ok();
        bench
    }

    /// With ten seconds of camera `front` in it, from [`START`] on.
    fn with_clip() -> Self {
        let bench = Self::with_store();
        bench.run(&["import", "--camera", "front", "--start", START, FRONT_DOOR]).ok();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The command with `args`, on this store, untouched by the environment of whoever runs tests.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clipkeep"));
        command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLIPKEEP_")) {
            command.env_remove(name);
        }
        command.env("CLIPKEEP_DIR", self.store()).env("TZ", "UTC").env_remove("NO_COLOR");
        // Small files: a test needs little room, and every segment is allocated in full.
        command.env("CLIPKEEP_SEGMENT_SIZE", "4MiB").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::new(&self.command(args).output().unwrap())
    }

    /// Runs it with `input` on its standard input.
    fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // It may refuse the input before the end: that is for the test to see.
        child.stdin.take().unwrap().write_all(input).ok();
        Ran::new(&child.wait_with_output().unwrap())
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.run(&args).ok().json()
    }

    /// The ids of all clips, in order.
    fn ids(&self) -> Vec<String> {
        let listed = self.json(&["ls"]);
        let clips = listed["clips"].as_array().unwrap();
        clips.iter().map(|clip| clip["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Ran {
    fn new(output: &Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code: output.status.code().expect("no signal"), stdout, stderr }
    }

    /// Asserts that all went well.
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// Asserts how it ended.
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }

    /// The error object on standard error.
    fn error(&self) -> Value {
        let objects = self.stderr.lines().filter_map(|line| line.parse::<Value>().ok());
        let error = objects.map(|object| object["error"].clone()).find(|error| !error.is_null());
        error.unwrap_or_else(|| panic!("no error object: {}", self.stderr))
    }
}

/// Ends a child when a test fails before it ends by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
