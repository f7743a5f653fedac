//! Telling residents: a mail server and a service on loopback that do as they are told.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::super::outbox::deliver;
use super::*;

/// What came in, one text a message or call.
type Heard = Arc<Mutex<Vec<String>>>;

/// Serves every connection with `serve`, and answers where, and what was heard. What is heard
/// counts before it is answered, so that whoever has the answer can count it.
fn server(serve: impl Fn(TcpStream, &Heard) -> Option<()> + Send + 'static) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            serve(client.unwrap(), &kept);
        }
    });
    (address, heard)
}

/// A mail server that answers `rcpt` to each recipient.
fn mail_server(rcpt: &'static str) -> (String, Heard) {
    server(move |client, heard| {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut out = client;
        write!(out, "220 here\r\n").ok()?;
        let (mut text, mut in_data) = (String::new(), false);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            text += &line;
            let reply = match line.split([' ', ':', '\r']).next()? {
                _ if in_data && line != ".\r\n" => continue,
                "DATA" => "354 go on",
                "RCPT" => rcpt,
                "QUIT" => {
                    heard.lock().unwrap().push(text);
                    return write!(out, "221 bye\r\n").ok();
                }
                _ => "250 fine",
            };
            in_data = reply.starts_with("354");
            write!(out, "{reply}\r\n").ok()?;
        }
    })
}

/// A service that answers `status` to each call.
fn service(status: &'static str) -> (String, Heard) {
    server(move |mut client, heard| {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let (mut text, mut length) = (String::new(), 0);
        while !text.ends_with("\r\n\r\n") {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
            text += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        heard.lock().unwrap().push(text + &String::from_utf8(body).ok()?);
        let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
        write!(client, "HTTP/1.1 {status}\r\n{end}").ok()
    })
}

fn by_mail(address: &str) -> Vec<String> {
    vec![
        format!("requests.smtp_url=smtp://{address}"),
        "requests.smtp_from=desk@hub.example".to_owned(),
        "requests.page_url=https://hub.example/inbox".to_owned(),
    ]
}

impl Kit {
    fn deliver(&self) {
        self.runtime.block_on(deliver(&self.app)).unwrap();
    }

    fn notices(&self) -> Vec<Value> {
        let notices = self.get("operator", "/v1/notices").ok().json();
        notices["notices"].as_array().unwrap().clone()
    }
}

fn count(heard: &Heard) -> usize {
    heard.lock().unwrap().len()
}

#[test]
fn each_resident_is_told_once_by_mail_who_asks_and_not_what_happened() {
    let (address, heard) = mail_server("250 fine");
    let kit = Kit::street_with(2, &by_mail(&address));
    kit.deliver();
    assert_eq!(count(&heard), 0, "nobody is told of what is still screened");
    kit.open();
    assert_eq!(kit.notices()[0]["way"], "mail");
    kit.deliver();
    kit.deliver();
    let mails = heard.lock().unwrap().clone();
    assert_eq!(mails.len(), 2, "{mails:#?}");
    for said in ["springfield-pd", "https://hub.example/inbox", "RCPT TO:<ann@example.org>"] {
        assert!(mails[0].contains(said), "{said}: {}", mails[0]);
    }
    for untold in ["parcel", "theft", "26-4471", "Dunn", "door-1"] {
        assert!(!mails[0].contains(untold), "{untold}: {}", mails[0]);
    }
    assert!(kit.notices().is_empty());
}

#[test]
fn who_is_not_reached_is_tried_again_later_and_has_not_answered() {
    let (address, heard) = mail_server("450 mailbox busy");
    let kit = Kit::street_with(1, &by_mail(&address));
    kit.open();
    let before = kit.get("agency", &format!("{REQUESTS}/r1"));
    kit.deliver();
    kit.deliver();
    assert_eq!(count(&heard), 1, "not before its time");
    let shown = kit.notices();
    let in_time = |minutes: u64| {
        let now = kit.store.trusted_now();
        json!(now.saturating_add(Duration::from_mins(minutes)).to_string())
    };
    assert_eq!((&shown[0]["unreached"], &shown[0]["next_try"]), (&json!(1), &in_time(1)));
    kit.clock.advance(Duration::from_mins(1));
    kit.deliver();
    assert_eq!(count(&heard), 2);
    assert_eq!(kit.notices()[0]["next_try"], in_time(5));
    assert_eq!(kit.asked(1)["answer"], "pending", "not reached is no answer");
    assert_eq!(
        kit.get("agency", &format!("{REQUESTS}/r1")),
        before,
        "and the agency hears nothing"
    );
    for _ in 0..20 {
        kit.clock.advance(DAY);
        kit.deliver();
    }
    assert_eq!(kit.asked(1)["answer"], "lapsed");
    assert!(kit.notices().is_empty() && count(&heard) < 20, "{} tries", count(&heard));
}

#[test]
fn a_service_of_the_operators_is_told_with_its_token() {
    let (address, heard) = service("204 No Content");
    let settings = [
        format!("requests.notice_webhook=http://{address}/tell"),
        "requests.notice_webhook_token=s3cret".to_owned(),
    ];
    let kit = Kit::street_with(1, &settings);
    kit.open();
    kit.deliver();
    let calls = heard.lock().unwrap().clone();
    assert!(calls[0].starts_with("POST /tell "), "{calls:#?}");
    assert!(calls[0].to_ascii_lowercase().contains("authorization: bearer s3cret"));
    let body: Value = serde_json::from_str(calls[0].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["household"], &body["contact"]), (&json!("h1"), &json!("ann@example.org")));
    assert!(kit.notices().is_empty());
}

#[test]
fn one_way_that_works_is_enough_and_a_refusal_is_not_taken_for_one() {
    let (mail, _) = mail_server("550 nobody here");
    let (good, bad) = (service("200 OK").0, service("500 Oh").0);
    for (hook, left) in [(good, 0), (bad, 1)] {
        let mut settings = by_mail(&mail);
        settings.push(format!("requests.notice_webhook=http://{hook}/"));
        let kit = Kit::street_with(1, &settings);
        kit.open();
        assert_eq!(kit.notices()[0]["way"], "mail and webhook");
        kit.deliver();
        assert_eq!(kit.notices().len(), left);
    }
}

#[test]
fn without_a_way_the_operator_tells_by_hand() {
    let kit = Kit::street(1);
    kit.open();
    kit.deliver();
    let shown = kit.notices();
    assert_eq!((&shown[0]["way"], &shown[0]["unreached"]), (&json!("by hand"), &json!(0)));
    let told = json!({"household": "h1", "reached": true});
    kit.post("operator", "/v1/requests/r1/noticed", &told).ok();
    assert!(kit.notices().is_empty());
}

/// What all tests of this process log, once somebody wants to see it.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_does_not_say_who_somebody_is() {
    // For the whole process: `tracing` remembers which lines nobody hears, and threads that log
    // the same line for the first time disagree about who listens to a single one of them.
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Lines).finish();
    tracing::subscriber::set_global_default(lines).unwrap();
    let (address, _) = mail_server("550 ann@example.org moved away");
    let kit = Kit::street_with(1, &by_mail(&address));
    kit.open();
    kit.deliver();
    let log = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    assert!(log.contains("h1") && log.contains("refused for good"), "{log}");
    assert!(!log.contains("ann@") && !log.contains("moved away"), "{log}");
}

#[test]
fn settings_that_reach_nobody_are_refused_by_name_and_secrets_are_not_shown() {
    let config = |flags: &[&str]| {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        Config::new("x", "", |_| None, &flags)
    };
    let from = "requests.smtp_from=desk@hub.example";
    for (flags, name) in [
        (&["requests.smtp_url=mail.example", from][..], "smtp_url"),
        (&["requests.smtp_url=smtps://u:hunter2@mail.example"][..], "smtp_from"),
        (&["requests.notice_webhook=hub.example/tell"][..], "notice_webhook"),
    ] {
        let error = config(flags).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
    let good = config(&["requests.smtp_url=smtps://u:hunter2@mail.example", from]).unwrap();
    assert!(!format!("{good:?}").contains("hunter2"));
}
