//! `clipkeep serve`: the standalone daemon.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::{self, Exit};
use super::files;
use super::output::Out;
use crate::daemon::{Config, Started};
use crate::types::Result;

/// The store of who says nothing of one, in the working directory.
const DIR: &str = "clipkeep-data";

/// Serve the store over HTTP: cameras push, people look
///
/// Listens on loopback until told otherwise. SIGTERM ends it: what is being written is finished and
/// made durable.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep serve                        # the store is clipkeep-data, in this folder
  clipkeep serve --dir /srv/clips
  clipkeep serve --dir /srv/clips --config /etc/clipkeep.toml --set log.format=json
  clipkeep serve --print-config > clipkeep.toml")]
pub(super) struct Args {
    /// The store's folder; it is made when it is absent or empty, unless the setting store.create
    /// says otherwise
    #[arg(long, env = "CLIPKEEP_DIR", value_name = "DIR", default_value = DIR)]
    dir: PathBuf,

    /// Settings that differ from the defaults
    #[arg(long, env = "CLIPKEEP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where to listen, for `--set http.listen=ADDRESS`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Change one setting, as in `ingest.clip_seconds=30`
    #[arg(long = "set", value_name = "SETTING")]
    set: Vec<String>,

    /// Print every setting with its default and what it does
    #[arg(long)]
    print_config: bool,

    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    if args.print_config {
        out.line(Config::defaults().trim_end())?;
        return Ok(Exit::Done);
    }
    let config = config(args)?;
    crate::daemon::serve(config, |started| {
        if let Err(error) = announce(started, &args.dir, out) {
            exit::warn(&format!("cannot say where it listens: {error}"), args.json);
        }
    })?;
    Ok(Exit::Done)
}

fn config(args: &Args) -> Result<Config> {
    let text = args.config.as_deref().map_or_else(|| Ok(String::new()), files::read_text)?;
    let listen = args.listen.iter().map(|address| format!("http.listen={address}"));
    let flags: Vec<String> = listen.chain(args.set.iter().cloned()).collect();
    Config::new(&args.dir, &text, |name| std::env::var(name).ok(), &flags)
}

fn announce(started: &Started, dir: &Path, out: &mut Out) -> anyhow::Result<()> {
    let scheme = if started.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}", started.address);
    if out.wants_json() {
        // One line, so that a wrapper knows when it has read it.
        let tokens: serde_json::Map<_, _> =
            started.tokens.iter().map(|(role, token)| (role.clone(), json!(token))).collect();
        out.line(json!({"listening": url, "store": dir, "tokens": tokens}))?;
        return out.flush();
    }
    out.line(format_args!("Listening on {url}, on the store in {}", dir.display()))?;
    let mut camera_token = "CAMERA-TOKEN";
    if !started.tokens.is_empty() {
        out.line(
            "\nThe first tokens, shown once and kept by nobody (`clipkeep token` makes others):",
        )?;
    }
    for (role, token) in &started.tokens {
        out.line(format_args!("  {role:9} {token}"))?;
        if role == "camera" {
            camera_token = token;
        }
    }
    out.line(format_args!("\nPush a first stream:\n{}", push_line(started, &url, camera_token)))?;
    out.flush()
}

/// The command that pushes a test picture.
fn push_line(started: &Started, url: &str, token: &str) -> String {
    let token = if started.wants_tokens {
        format!("  -headers $'Authorization: Bearer {token}\\r\\n' \\\n")
    } else {
        String::new()
    };
    format!(
        "  ffmpeg -re -f lavfi -i testsrc2=size=640x360:rate=25 -c:v libx264 -g 50 -f mp4 \\\n  \
         -movflags +frag_keyframe+empty_moov+default_base_moof+delay_moov \\\n{token}  \
         -method POST {url}/v1/cameras/front-door/stream"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_line_that_is_printed() {
        let address = "127.0.0.1:9300".parse().unwrap();
        let started = Started { address, tls: false, wants_tokens: true, tokens: Vec::new() };
        let line = push_line(&started, "http://127.0.0.1:9300", "TOKEN");
        assert!(include_str!("../../README.md").contains(&line), "README.md has not\n{line}");
    }
}
