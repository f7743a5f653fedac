//! `clipkeep hold place`, and what it shares with `clipkeep keep`.

use crate::cli::exit::Exit;
use crate::cli::output::Out;
use crate::cli::store_args::{StoreArgs, WindowArgs, given};
use crate::cli::view;
use crate::cli::when::Span;
use crate::{CameraId, HoldCause, NewHold, Window};

/// Protect what cameras recorded in a window
///
/// The hold counts from the moment this command returns: what had expired before stays gone, and
/// the receipt says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  clipkeep hold place --dir /srv/clips --camera front-door --camera street \\
      --from \"2026-11-23 18:00\" --to \"2026-11-23 22:00\" --cause request \\
      --reference \"case 19-4471\" --agency \"Northside PD\" --actor desk \\
      --for 14d --key case-19-4471-a
  clipkeep hold place --dir /srv/clips --camera street --from \"3 days ago\" --to \"2 days ago\" \\
      --cause order --reference 19-CV-12 --for 90d --grace 7d")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// The camera; may be given more than once
    #[arg(long, short, required = true)]
    camera: Vec<CameraId>,

    #[command(flatten)]
    window: WindowArgs,

    /// What it is for: provisional, request, disclosure, order or keep
    #[arg(long)]
    cause: HoldCause,

    /// How long an order goes on protecting after its end
    #[arg(long, value_name = "DURATION")]
    grace: Option<Span>,

    #[command(flatten)]
    terms: Terms,
}

/// For whom and how long.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct Terms {
    /// The case it belongs to
    #[arg(long, default_value = "", hide_default_value = true)]
    reference: String,

    /// Why, in words
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// The agency it is placed for
    #[arg(long, default_value = "", hide_default_value = true)]
    agency: String,

    /// Who places it
    #[arg(long, env = "CLIPKEEP_ACTOR", default_value = "", hide_default_value = true)]
    actor: String,

    /// How long it lasts [default: by its cause]
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<Span>,

    /// The same key again gives the same hold, so that a script may ask twice
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,
}

impl Terms {
    /// The hold on `cameras` and `window` with these terms.
    pub(in crate::cli) fn hold(
        self,
        cause: HoldCause,
        cameras: Vec<CameraId>,
        window: Window,
    ) -> NewHold {
        let hold = NewHold::new(cameras, window)
            .cause(cause)
            .reference(self.reference)
            .reason(self.reason)
            .agency(self.agency)
            .actor(self.actor)
            .idempotency_key(self.key);
        match given(self.duration) {
            Some(duration) => hold.for_duration(duration),
            None => hold,
        }
    }
}

pub(super) fn run(args: Args, out: &mut Out) -> anyhow::Result<Exit> {
    let window = args.window.window()?;
    let mut hold = args.terms.hold(args.cause, args.camera, window);
    if let Some(grace) = given(args.grace) {
        hold = hold.grace(grace);
    }
    place(&args.store, hold, out)
}

/// Places `hold` and prints its receipt.
pub(in crate::cli) fn place(
    store: &StoreArgs,
    hold: NewHold,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let store = store.write()?;
    let receipt = store.place_hold(hold)?;
    store.close()?;
    if out.wants_json() {
        out.json(&view::receipt(&receipt))?;
    } else {
        view::print_receipt(&receipt, out)?;
    }
    Ok(Exit::Done)
}
