//! Tells residents that somebody asks: by e-mail, by a call to a service of the operator's, or by
//! both.
//!
//! What is to be told, and when the next try is, follows from the ledger; here is only the sending.
//! Who is not reached is noted as that, which is shown to the operator and is no answer. A message
//! says who asks and until when, and nothing of what happened: mail is read by others. The log says
//! which request and home, and never how they are reached nor what a mail server said of it.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{SmtpTransport, Transport as _};
use serde_json::json;

use crate::requests::Notice;
use crate::{Error, ErrorKind};

use super::super::app::App;
use super::super::config::RequestSettings;
use super::super::problem::Problem;
use super::{decide, look};

/// The most messages of one round: a round is over before the next begins.
const ROUND_MAX: usize = 100;
/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a home is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Mail,
    Webhook,
    Both,
    /// The operator's own: the daemon has none.
    ByHand,
}

impl Way {
    /// How somebody with this `contact` is reached.
    pub(super) fn to(settings: &RequestSettings, contact: &str) -> Self {
        let mail = !settings.smtp_url.is_empty() && contact.parse::<Mailbox>().is_ok();
        match (mail, !settings.notice_webhook.is_empty()) {
            (true, true) => Self::Both,
            (true, false) => Self::Mail,
            (false, true) => Self::Webhook,
            (false, false) => Self::ByHand,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Both => "mail and webhook",
            Self::ByHand => "by hand",
        }
    }
}

/// Refuses settings with which nobody could be told.
///
/// # Errors
///
/// `InvalidInput`, naming the setting.
pub(in crate::daemon) fn check(settings: &RequestSettings) -> crate::Result<()> {
    let wrong = |name: &str, why: &str| {
        Error::new(ErrorKind::InvalidInput, format!("setting requests.{name}: {why}"))
    };
    if !settings.smtp_url.is_empty() {
        SmtpTransport::from_url(settings.smtp_url.text())
            .map_err(|_error| wrong("smtp_url", "want smtps://USER:PASSWORD@HOST"))?;
        settings
            .smtp_from
            .parse::<Mailbox>()
            .map_err(|_error| wrong("smtp_from", "want the address that mail comes from"))?;
    }
    super::bounds::rules(settings)?;
    let webhook = &settings.notice_webhook;
    if !(webhook.is_empty() || webhook.starts_with("https://") || webhook.starts_with("http://")) {
        return Err(wrong("notice_webhook", "want a URL"));
    }
    Ok(())
}

/// Tells everybody whose next try is due, and notes whom that reached.
pub(super) async fn deliver(app: &App) -> Result<(), Problem> {
    let settings = &app.config().requests;
    if settings.smtp_url.is_empty() && settings.notice_webhook.is_empty() {
        return Ok(());
    }
    let due = look(app, |desk| Ok(desk.notices_due()?)).await?;
    let ours = due.into_iter().filter(|one| Way::to(settings, &one.contact) != Way::ByHand);
    for notice in ours.take(ROUND_MAX) {
        let (request, household) = (notice.request.0, notice.household.0);
        let settings = settings.clone();
        // On a thread of its own: a mail server that does not answer keeps no camera waiting.
        let told = tokio::task::spawn_blocking(move || tell(&settings, &notice)).await;
        let reached = match told {
            Ok(Ok(())) => true,
            Ok(Err(why)) => {
                tracing::warn!(%request, %household, why, "a resident was not reached");
                false
            }
            Err(failed) => {
                tracing::error!(%request, %household, %failed, "telling a resident panicked");
                false
            }
        };
        decide(app, move |desk| Ok(desk.noticed(request, household, reached)?)).await?;
    }
    Ok(())
}

/// Tells one home in every way there is: one that works is enough. What went wrong is said in words
/// of ours, because those of others may name somebody.
fn tell(settings: &RequestSettings, notice: &Notice) -> Result<(), &'static str> {
    match Way::to(settings, &notice.contact) {
        Way::Mail => mail(settings, notice),
        Way::Webhook => webhook(settings, notice),
        Way::Both => {
            let (mailed, called) = (mail(settings, notice), webhook(settings, notice));
            mailed.or(called)
        }
        Way::ByHand => Err("there is no way to reach them"),
    }
}

fn mail(settings: &RequestSettings, notice: &Notice) -> Result<(), &'static str> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_error| "an address is none");
    let message = Message::builder()
        .from(mailbox(&settings.smtp_from)?)
        .to(mailbox(&notice.contact)?)
        .subject(format!("{} asks for video of your cameras", notice.agency.0))
        .header(ContentType::TEXT_PLAIN)
        .body(words(settings, notice))
        .map_err(|_error| "the message cannot be made")?;
    let transport = SmtpTransport::from_url(settings.smtp_url.text())
        .map_err(|_error| "requests.smtp_url is no URL of a mail server")?;
    let sent = transport.timeout(Some(PATIENCE)).build().send(&message);
    sent.map(drop).map_err(|error| {
        if error.is_timeout() {
            "the mail server did not answer in time"
        } else if error.is_permanent() {
            "the mail server refused for good"
        } else if error.is_transient() {
            "the mail server refused for now"
        } else {
            "the mail server could not be reached"
        }
    })
}

/// What a resident is told by mail.
fn words(settings: &RequestSettings, notice: &Notice) -> String {
    let where_to = match settings.page_url.as_str() {
        "" => "on the page of your cameras".to_owned(),
        url => format!("at {url}"),
    };
    format!(
        "{} asks for video of your cameras.\r\n\r\n\
         You decide: share all, a part, or nothing. If you do not answer by {}, nothing is\r\n\
         shared. Nobody sees anything unless you share it.\r\n\r\n\
         See what it is about, and answer, {where_to}.\r\n\
         There you can also say that you never want to be asked again.\r\n",
        notice.agency.0, notice.deadline.0
    )
}

fn webhook(settings: &RequestSettings, notice: &Notice) -> Result<(), &'static str> {
    let body = json!({
        "request": notice.request,
        "household": notice.household,
        "agency": notice.agency,
        "contact": notice.contact,
        "deadline": notice.deadline,
        "page": settings.page_url,
    });
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let mut call = agent
        .post(&settings.notice_webhook)
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", idempotency_key(notice));
    if !settings.notice_webhook_token.is_empty() {
        let bearer = format!("Bearer {}", settings.notice_webhook_token.text());
        call = call.header("Authorization", bearer);
    }
    match call.send(body.to_string()) {
        Ok(_) => Ok(()),
        Err(ureq::Error::StatusCode(_)) => Err("the webhook refused"),
        Err(ureq::Error::Timeout(_)) => Err("the webhook did not answer in time"),
        Err(_) => Err("the webhook could not be reached"),
    }
}

/// One for each telling, whatever the number of tries: after a renewal another one.
fn idempotency_key(notice: &Notice) -> String {
    let until = notice.deadline.0.as_micros();
    format!("{}-{}-{until}", notice.request.0, notice.household.0)
}
