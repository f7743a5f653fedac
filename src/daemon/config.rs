//! The settings: `default.toml`, then the file, the environment and the flags that change it.
//!
//! Owns the order in which they count, and what cannot work together. Every setting has its default
//! and its explanation in `default.toml`, and nowhere else; a setting that is not there is refused
//! by its name.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::{Table, Value};

use crate::requests::Rules;
use crate::{Error, ErrorKind, Result};

/// The defaults, each explained: what `clipkeep serve --print-config` prints.
const DEFAULTS: &str = include_str!("default.toml");

/// The longest clips that a stream can be cut into: with a fragment on top, the store takes them.
const CLIP_SECONDS_MAX: u64 = 3_000;

/// The lowest rate of a camera: what is read at once then takes a second at most.
const BYTES_PER_SECOND_MIN: u64 = 64 << 10;

/// Every setting of the daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The store's folder: given by a flag alone.
    #[serde(skip)]
    pub(super) dir: PathBuf,
    pub(super) http: Http,
    pub(super) access: AccessSettings,
    pub(super) store: StoreSettings,
    pub(super) ingest: Ingest,
    pub(super) requests: RequestSettings,
    pub(super) log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) listen: SocketAddr,
    pub(super) tls_certificate: PathBuf,
    pub(super) tls_key: PathBuf,
    pub(super) reader_threads: usize,
    pub(super) writer_threads: usize,
    pub(super) connections_max: usize,
    pub(super) header_seconds: u64,
    pub(super) body_idle_seconds: u64,
    pub(super) body_seconds: u64,
    pub(super) stop_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessSettings {
    pub(super) tokens: bool,
    pub(super) requests_per_second: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreSettings {
    pub(super) create: bool,
    pub(super) quota_bytes: u64,
    pub(super) free_space_floor_bytes: u64,
    pub(super) reuse_bytes_max: u64,
    pub(super) when_full: WhenFullName,
    pub(super) segment_bytes: u64,
    pub(super) keep_days_at_least: u32,
    pub(super) keep_days_at_most: u32,
    pub(super) hold_budget_bytes: u64,
    pub(super) agency_hold_budget_bytes: u64,
    pub(super) sweep_seconds: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WhenFullName {
    DropOldest,
    Refuse,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingest {
    pub(super) clip_seconds: u64,
    pub(super) clip_bytes_max: u64,
    pub(super) fragment_bytes_max: u64,
    pub(super) memory_bytes_max: u64,
    pub(super) senders_max: usize,
    pub(super) camera_memory_bytes_max: u64,
    pub(super) camera_senders_max: usize,
    pub(super) camera_bytes_per_second: u64,
    pub(super) stream_bytes_min: u64,
    pub(super) new_cameras: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestSettings {
    pub(super) window_minutes_min: u32,
    pub(super) window_minutes_max: u32,
    pub(super) reach_days: u32,
    pub(super) area_m2_min: u64,
    pub(super) area_m2_max: u64,
    pub(super) per_incident: u32,
    pub(super) day_budget: u64,
    pub(super) screening_hours: u32,
    pub(super) answering_days: u32,
    pub(super) fetching_days: u32,
    pub(super) undo_hours: u32,
    pub(super) words_days: u32,
    pub(super) rule_kinds: Vec<String>,
    pub(super) rule_area_m2_max: u64,
    pub(super) rule_window_minutes_max: u32,
    pub(super) rule_hours_back: u32,
    pub(super) rule_requests_a_day: u32,
    pub(super) answer_ms: u64,
    pub(super) page_url: String,
    pub(super) smtp_url: Secret,
    pub(super) smtp_from: String,
    pub(super) notice_webhook: String,
    pub(super) notice_webhook_token: Secret,
}

/// A setting that no message shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it is.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: LogFormat,
    pub(super) level: LogLevel,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl Config {
    /// The settings for the store in `dir`: `file` is the text of a TOML file, `environment` gives
    /// the value of a variable, `flags` are `section.name=value`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a setting that does not exist or has a value it cannot have, and for
    /// settings that cannot work together.
    pub fn new(
        dir: impl Into<PathBuf>,
        file: &str,
        environment: impl Fn(&str) -> Option<String>,
        flags: &[String],
    ) -> Result<Self> {
        let mut settings = table("the defaults", DEFAULTS)?;
        for (section, given) in table("the configuration file", file)? {
            let Value::Table(given) = given else {
                return Err(invalid(format!("setting {section}: it has no section")));
            };
            for (name, value) in given {
                put(&mut settings, &section, &name, value)?;
            }
        }
        for (section, name) in names(&settings) {
            if let Some(text) = environment(&variable(&section, &name)) {
                put_text(&mut settings, &section, &name, &text)?;
            }
        }
        for flag in flags {
            let parts =
                flag.split_once('=').and_then(|(to, text)| Some((to.split_once('.')?, text)));
            let Some(((section, name), text)) = parts else {
                return Err(invalid(format!("setting {flag:?}: want section.name=value")));
            };
            put_text(&mut settings, section, name, text)?;
        }
        let parsed: std::result::Result<Self, _> = settings.try_into();
        let mut config = parsed.map_err(|error| invalid(format!("settings: {error}")))?;
        config.dir = dir.into();
        config.check()?;
        Ok(config)
    }

    /// The rules of requests.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what no hold can keep, or what contradicts itself.
    pub fn rules(&self) -> Result<Rules> {
        super::desk::rules(&self.requests)
    }

    /// The most bytes that all holds together may cover, and those of one agency; none: no limit.
    #[must_use]
    pub fn hold_budgets(&self) -> (Option<u64>, Option<u64>) {
        let limit = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        (limit(self.store.hold_budget_bytes), limit(self.store.agency_hold_budget_bytes))
    }

    /// The defaults as a file to start from.
    #[must_use]
    pub fn defaults() -> &'static str {
        DEFAULTS
    }

    /// Whether the daemon speaks TLS.
    pub(super) fn has_tls(&self) -> bool {
        !self.http.tls_certificate.as_os_str().is_empty()
    }

    fn check(&self) -> Result<()> {
        let http = &self.http;
        if self.has_tls() == http.tls_key.as_os_str().is_empty() {
            return Err(invalid("settings: http.tls_certificate and http.tls_key go together"));
        }
        let guarded = self.has_tls() && self.access.tokens;
        if !(http.listen.ip().is_loopback() || guarded) {
            return Err(invalid(format!(
                "listen on {}: beyond loopback only with TLS (http.tls_certificate, http.tls_key) \
                 and tokens (access.tokens)",
                http.listen
            )));
        }
        let zeros = [
            ("http.reader_threads", http.reader_threads == 0),
            ("http.writer_threads", http.writer_threads == 0),
            ("http.connections_max", http.connections_max == 0),
            ("http.header_seconds", http.header_seconds == 0),
            ("http.body_idle_seconds", http.body_idle_seconds == 0),
            ("http.body_seconds", http.body_seconds == 0),
            ("store.sweep_seconds", self.store.sweep_seconds == 0),
            ("ingest.clip_seconds", self.ingest.clip_seconds == 0),
            ("ingest.clip_bytes_max", self.ingest.clip_bytes_max == 0),
            ("ingest.senders_max", self.ingest.senders_max == 0),
            ("ingest.camera_senders_max", self.ingest.camera_senders_max == 0),
            ("ingest.camera_memory_bytes_max", self.ingest.camera_memory_bytes_max == 0),
        ];
        if let Some((name, _)) = zeros.iter().find(|(_, zero)| *zero) {
            return Err(invalid(format!("setting {name}: want more than 0")));
        }
        let ingest = &self.ingest;
        if ingest.memory_bytes_max < ingest.clip_bytes_max.max(ingest.fragment_bytes_max) {
            return Err(invalid(
                "settings: ingest.memory_bytes_max must have room for one clip and one fragment",
            ));
        }
        if (1..BYTES_PER_SECOND_MIN).contains(&ingest.camera_bytes_per_second) {
            return Err(invalid(format!(
                "setting ingest.camera_bytes_per_second: want 0 or at least {BYTES_PER_SECOND_MIN}"
            )));
        }
        if ingest.clip_seconds > CLIP_SECONDS_MAX {
            return Err(invalid(format!(
                "setting ingest.clip_seconds: want at most {CLIP_SECONDS_MAX}"
            )));
        }
        super::desk::check(&self.requests)
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn table(of: &str, text: &str) -> Result<Table> {
    text.parse().map_err(|error| invalid(format!("read {of}: {error}")))
}

fn names(settings: &Table) -> Vec<(String, String)> {
    let sections =
        settings.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
    let pairs = sections
        .flat_map(|(section, table)| table.keys().map(move |name| (section.clone(), name.clone())));
    pairs.collect()
}

fn variable(section: &str, name: &str) -> String {
    format!("CLIPKEEP_{section}_{name}").to_uppercase()
}

fn put(settings: &mut Table, section: &str, name: &str, value: Value) -> Result<()> {
    let place = settings.get_mut(section).and_then(Value::as_table_mut);
    match place.and_then(|table| table.get_mut(name)) {
        Some(place) => {
            *place = value;
            Ok(())
        }
        None => Err(invalid(format!("setting {section}.{name}: there is none"))),
    }
}

/// A value as one types it: TOML where the default is no text, and plain text otherwise.
fn put_text(settings: &mut Table, section: &str, name: &str, text: &str) -> Result<()> {
    let is_text =
        settings.get(section).and_then(|table| table.get(name)).is_some_and(Value::is_str);
    let value = if is_text {
        Value::String(text.to_owned())
    } else {
        text.parse()
            .map_err(|error| invalid(format!("setting {section}.{name}={text}: {error}")))?
    };
    put(settings, section, name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str, flags: &[&str]) -> Result<Config> {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        Config::new("x", file, |_| None, &flags)
    }

    #[test]
    fn the_defaults_alone_start_on_loopback_with_tokens() {
        let config = config("", &[]).unwrap();
        assert!(config.http.listen.ip().is_loopback() && config.access.tokens);
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let environment = |name: &str| match name {
            "CLIPKEEP_INGEST_CLIP_SECONDS" => Some("20".to_owned()),
            "CLIPKEEP_HTTP_LISTEN" => Some("127.0.0.1:2".to_owned()),
            _ => None,
        };
        let file =
            "[http]\nlisten = \"127.0.0.1:1\"\nstop_seconds = 7\n[ingest]\nclip_seconds = 10";
        let flags = ["http.listen=127.0.0.1:3".to_owned()];
        let config = Config::new("x", file, environment, &flags).unwrap();
        assert_eq!(config.http.listen.port(), 3);
        assert_eq!((config.ingest.clip_seconds, config.http.stop_seconds), (20, 7));
    }

    #[test]
    fn beyond_loopback_needs_tls_and_tokens() {
        let open = "http.listen=0.0.0.0:1";
        let tls = ["http.tls_certificate=a.pem", "http.tls_key=b.pem"];
        assert!(config("", &[open]).is_err());
        assert!(config("", &[open, tls[0], tls[1], "access.tokens=false"]).is_err());
        assert!(config("", &[open, tls[0]]).is_err());
        assert!(config("", &[open, tls[0], tls[1]]).is_ok());
        assert!(config("", &["access.tokens=false"]).is_ok());
        assert!(config("", &["http.listen=[::]:1"]).is_err());
    }

    #[test]
    fn a_setting_that_does_not_exist_is_refused_by_name() {
        for (file, flags) in [
            ("[http]\nlistne = \"x\"", &[][..]),
            ("", &["ingest.clips=1"][..]),
            ("", &["ingest.clip_seconds"][..]),
            ("", &["ingest.clip_seconds=soon"][..]),
            ("", &["ingest.clip_seconds=0"][..]),
            ("loose = 1", &[][..]),
        ] {
            assert!(config(file, flags).is_err(), "{file} {flags:?}");
        }
    }

    #[test]
    fn every_setting_is_explained() {
        let lines: Vec<&str> = DEFAULTS.lines().collect();
        let mut explained = false;
        for line in lines {
            match line.split_once(" = ") {
                Some((name, _)) if !line.starts_with('#') => assert!(explained, "{name}"),
                // A comment counts for the settings up to the next empty line or comment.
                _ => explained = line.starts_with('#'),
            }
        }
    }
}
