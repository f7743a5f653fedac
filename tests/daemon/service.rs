//! Under systemd: what the packaged unit says, and what the daemon tells.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::kit::{Daemon, clipkeep};

const UNIT: &str = include_str!("../../packaging/clipkeep.service");

/// The settings of the unit: systemd takes no notice of one that it does not know, so that a
/// protection would be missing without a word. Here is each that it documents and we use.
const KNOWN: [(&str, &[&str]); 3] = [
    ("Unit", &["After", "Description", "Documentation", "RequiresMountsFor", "Wants"]),
    (
        "Service",
        &[
            "AmbientCapabilities",
            "CapabilityBoundingSet",
            "DynamicUser",
            "ExecStart",
            "LimitNOFILE",
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "NoNewPrivileges",
            "NotifyAccess",
            "PrivateDevices",
            "PrivateTmp",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHome",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectProc",
            "ProtectSystem",
            "RemoveIPC",
            "Restart",
            "RestartSec",
            "RestrictAddressFamilies",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "StateDirectory",
            "StateDirectoryMode",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "TimeoutStartSec",
            "TimeoutStopSec",
            "Type",
            "UMask",
        ],
    ),
    ("Install", &["WantedBy"]),
];

/// The lines of the unit that set something: section, name, value.
fn settings() -> Vec<(&'static str, &'static str, &'static str)> {
    let (mut section, mut found) = ("", Vec::new());
    for line in UNIT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap();
        } else {
            let (name, value) = line.split_once('=').unwrap();
            found.push((section, name, value));
        }
    }
    found
}

#[test]
fn the_unit_has_settings_that_there_are_and_starts_what_the_command_line_takes() {
    let settings = settings();
    for (section, name, _) in &settings {
        let known = KNOWN.iter().find(|(known, _)| known == section).unwrap().1;
        assert!(known.contains(name), "[{section}] {name}");
    }
    for (section, names) in KNOWN {
        for name in names {
            let there = settings.iter().any(|found| (found.0, found.1) == (section, *name));
            assert!(there, "[{section}] {name} is not in the unit");
        }
    }
    let value = |wanted: &str| settings.iter().find(|(_, name, _)| *name == wanted).unwrap().2;
    let mut words = value("ExecStart").split(' ');
    assert_eq!(words.next(), Some("/usr/bin/clipkeep"));
    let mut words: Vec<&str> = words.collect();
    let config = words.iter().position(|word| *word == "--config").unwrap() + 1;
    assert_eq!(words[config], "/etc/clipkeep.toml");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clipkeep.toml");
    std::fs::write(&file, clipkeep(&["serve", "--print-config"])).unwrap();
    words[config] = file.to_str().unwrap();
    words.push("--print-config");
    let printed: toml::Table = String::from_utf8(clipkeep(&words)).unwrap().parse().unwrap();
    // Connections end, and then the store is closed: each has that long.
    let bound = printed["http"]["stop_seconds"].as_integer().unwrap();
    let stop: i64 = value("TimeoutStopSec").strip_suffix('s').unwrap().parse().unwrap();
    assert!(stop > 2 * bound, "{stop} {bound}");
    assert!(words.contains(&"/var/lib/clipkeep/store"), "{words:?}");
    assert_eq!((value("StateDirectory"), value("Type")), ("clipkeep", "notify"));
}

#[test]
fn systemd_is_told_when_the_store_is_open_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let next = || {
        let mut message = [0; 512];
        let len = told.recv(&mut message).unwrap();
        String::from_utf8(message[..len].to_vec()).unwrap()
    };
    let variable = format!("NOTIFY_SOCKET={}", path.to_str().unwrap());
    let mut daemon = Daemon::behind(&["env", &variable], folder, &["access.tokens=false"]);
    assert_eq!(next().trim(), "READY=1");
    assert_eq!(daemon.get("/readyz").status, 200, "told before it was so");
    daemon.terminate();
    assert_eq!(next().trim(), "STOPPING=1");
    assert!(daemon.wait().success());
}
