//! TLS: clients that verify get in, pushes lose nothing, and a new certificate is taken up.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::{Daemon, FRONT_DOOR, pieces};

/// Makes a certificate for this machine's loopback, signed by itself.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// Asks with curl, which trusts `certificate` alone.
fn ask(daemon: &Daemon, certificate: &Path, path: &str) -> bool {
    let url = format!("https://{}{path}", daemon.address);
    let mut asked = Command::new("curl");
    asked.args(["-sS", "--fail", "--cacert"]).arg(certificate).arg(url);
    asked.stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap().success()
}

#[test]
fn pushes_over_tls_lose_nothing_and_a_new_certificate_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = certificate(folder.path());
    let settings = [
        "access.tokens=false".to_owned(),
        format!("http.tls_certificate={}", pem.display()),
        format!("http.tls_key={}", key.display()),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut daemon = Daemon::unchecked(&settings);
    while !ask(&daemon, &pem, "/readyz") {}
    let copy = |to: &[&str]| {
        let ran = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i", FRONT_DOOR, "-c", "copy", "-f", "mp4"])
            .args(["-movflags", "+frag_keyframe+empty_moov+default_base_moof+delay_moov"])
            .args(to)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let file = folder.path().join("sent.mp4");
    copy(&[file.to_str().unwrap()]);
    let sent = pieces(&std::fs::read(file).unwrap()).concat();
    assert!(sent.len() > 10_000);
    let pushes = 12;
    for n in 0..pushes {
        let url = format!("https://{}/v1/cameras/c{n}/stream", daemon.address);
        let ca = pem.to_str().unwrap();
        copy(&["-method", "POST", "-tls_verify", "1", "-ca_file", ca, &url]);
    }
    let old = folder.path().join("old.pem");
    std::fs::copy(&pem, &old).unwrap();
    certificate(folder.path());
    while !ask(&daemon, &pem, "/healthz") {}
    assert!(!ask(&daemon, &old, "/healthz"), "the old certificate is not served any more");
    let clips = daemon.stop_and_list();
    assert_eq!(clips.len(), pushes);
    for clip in clips {
        assert_eq!(daemon.clip(clip["id"].as_str().unwrap()), sent, "{clip}");
    }
}
