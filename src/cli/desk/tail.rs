//! `postrider tail`: what becomes of deliveries, as it happens.

use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser, value_parser};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Desk,
    answers::{Page, read},
    followed::{Followed, MOST_FOLLOWED},
};
use crate::{
    cli::{
        CliError,
        client::Api,
        progress::Progress,
        signals,
        terminal::{BAD, GOOD, ODD, QUIET, STRONG, Terminal, harmless, paint},
    },
    domain::delivery::State,
};

/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// The most that the API puts on a page.
const PAGE: u16 = 200;
/// The most pages of one look: what comes in faster than this is not all seen.
const MOST_PAGES: usize = 2 * MOST_FOLLOWED / PAGE as usize;

/// Follow deliveries: one line for each change of one
///
/// A line tells when, to which subscription, the event type, the delivery, its state, how many attempts there were, how the
/// latest ended, and when the next is due. The newest deliveries come first, then whatever happens, until Ctrl-C.
///
/// The engine is asked once a second, and the newest 1,000 deliveries are followed: what happens to older ones is not
/// shown, and of several changes within a second only the last.
///
/// With --json each line is a delivery as GET /api/v1/deliveries shows it.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct TailArgs {
    /// Only those of this subscription
    #[arg(long, value_name = "ID", value_parser = value_parser!(i32).range(1..))]
    subscription: Option<i32>,

    /// Only those that are in this state, or come into it
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,

    /// How many of those that are there already are shown at first
    #[arg(long, value_name = "N", default_value = "10", value_parser = value_parser!(u16).range(..=i64::from(PAGE)))]
    lines: u16,

    /// Show those, and end
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    desk: Desk,
}

const EXAMPLES: &str = "\
Examples:
  postrider tail
  postrider tail --subscription 7 --state dead
  postrider tail --lines 0 --json | jq -c '{id, state, last_status}'";

impl TailArgs {
    async fn page(&self, api: &Api, before: Option<i64>) -> Result<Page, crate::cli::ApiError> {
        let named = [
            self.subscription.map(|subscription| format!("&subscription={subscription}")),
            self.state.as_ref().map(|state| format!("&state={state}")),
            before.map(|before| format!("&before={before}")),
        ];
        let named: String = named.into_iter().flatten().collect();
        api.get(&format!("/api/v1/deliveries?limit={PAGE}{named}")).await
    }
}

pub(in crate::cli) async fn run(args: TailArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let api = args.desk.api()?;
    let (mut end, progress) = (signals::end()?, Progress::stderr());
    let first = args.page(&api, None).await?;
    let mut followed = Followed::down_to(first.next);
    let present = changes(&mut followed, first.items)?;
    let shown = present.len().saturating_sub(usize::from(args.lines));
    print(&args.desk, terminal, &present[shown..])?;
    if args.once {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = end.recv() => break,
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
        }
        match look(&args, &api, &mut followed).await {
            Ok(changed) => {
                progress.clear();
                print(&args.desk, terminal, &changed)?;
            }
            Err(CliError::Api(error)) if error.is_passing() => progress.show(&format!("waiting: {error}")),
            Err(error) => return Err(error),
        }
    }
    progress.clear();
    Ok(())
}

/// What has changed since the last look, the oldest delivery first.
async fn look(args: &TailArgs, api: &Api, followed: &mut Followed) -> Result<Vec<Value>, CliError> {
    let (mut items, mut before) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let page = args.page(api, before).await?;
        items.extend(page.items);
        match page.next.filter(|next| followed.reaches(*next)) {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    changes(followed, items)
}

fn changes(followed: &mut Followed, items: Vec<Value>) -> Result<Vec<Value>, CliError> {
    let mut changed = Vec::new();
    // The API gives the newest first.
    for item in items.into_iter().rev() {
        let delivery: Delivery = read(&item)?;
        if followed.has_changed(delivery.id, &delivery.stage()) {
            changed.push(item);
        }
    }
    followed.forget_the_oldest();
    Ok(changed)
}

fn print(desk: &Desk, terminal: &mut Terminal, changed: &[Value]) -> Result<(), CliError> {
    for answer in changed {
        desk.tell(terminal, answer, |answer| Ok(vec![line(&read(answer)?)]))?;
    }
    Ok(())
}

/// What is read of a delivery.
#[derive(Deserialize)]
struct Delivery {
    id: i64,
    subscription_id: i32,
    event: Event,
    state: String,
    attempts: u16,
    last_status: Option<u16>,
    last_error: Option<String>,
    due_at: Option<String>,
    recorded_at: Option<String>,
    replayed_at: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event_type: String,
    accepted_at: String,
}

impl Delivery {
    /// What makes a line worth printing when it differs. When it is due is not in it: that moves without anything
    /// happening.
    fn stage(&self) -> String {
        format!("{} {} {} {:?}", self.state, self.attempts, self.ending(), self.replayed_at)
    }

    fn ending(&self) -> String {
        match (self.last_status, self.last_error.as_deref()) {
            (Some(status), _) => status.to_string(),
            (None, Some(class)) => harmless(class),
            (None, None) => "-".to_owned(),
        }
    }

    /// The latest that is known to have happened to it. All are written alike, so that texts compare as times do.
    fn changed_at(&self) -> &str {
        let later = self.recorded_at.as_deref().max(self.replayed_at.as_deref()).unwrap_or_default();
        later.max(&self.event.accepted_at)
    }
}

fn line(delivery: &Delivery) -> String {
    let style = match State::named(&delivery.state) {
        Some(State::Delivered) => GOOD,
        Some(State::Dead | State::Expired) => BAD,
        Some(State::SetAside) => ODD,
        Some(State::Pending) if delivery.attempts > 0 => ODD,
        Some(State::Pending | State::Cancelled) | None => QUIET,
    };
    let due = delivery.due_at.as_deref().filter(|_| delivery.attempts > 0 && delivery.state == "pending");
    let due = due.map(|due| paint(QUIET, format_args!("again at {}", time_of_day(due))));
    let line = [
        paint(QUIET, time_of_day(delivery.changed_at())),
        format!("{:>5}", delivery.subscription_id),
        paint(STRONG, format_args!("{:<28}", delivery.event.event_type)),
        format!("{:<16}", delivery.id),
        paint(style, format_args!("{:<9}", delivery.state)),
        format!("{:>2} attempts", delivery.attempts),
        format!("{:<8}", delivery.ending()),
        due.unwrap_or_default(),
    ];
    line.join("  ").trim_end().to_owned()
}

/// Hours, minutes, seconds and milliseconds, UTC.
fn time_of_day(text: &str) -> String {
    let at: Option<jiff::Timestamp> = text.parse().ok();
    at.map_or_else(|| harmless(text), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    fn delivery(more: &Value) -> Delivery {
        let mut delivery = json!({
            "id": 57_294_210, "subscription_id": 7, "state": "pending", "attempts": 0,
            "event": {"event_type": "package.created", "accepted_at": "2026-11-24T14:24:24.123456Z"},
            "last_status": null, "last_error": null, "due_at": null, "recorded_at": null, "replayed_at": null,
        });
        for (name, value) in more.as_object().expect("an object") {
            delivery[name] = value.clone();
        }
        read(&delivery).expect("a delivery")
    }

    #[test]
    fn a_delivery_is_told_in_a_line() {
        let told = |more| strip_str(&line(&delivery(&more))).to_string();
        assert_eq!(
            told(json!({})).split_whitespace().collect::<Vec<_>>().join(" "),
            "14:24:24.123 7 package.created 57294210 pending 0 attempts -"
        );
        let failed = json!({
            "attempts": 1, "last_status": 503, "recorded_at": "2026-11-24T14:24:25.000000Z", "due_at": "2026-11-24T14:24:27Z",
        });
        assert_eq!(
            told(failed),
            "14:24:25.000      7  package.created               57294210          pending     1 attempts  503       again at 14:24:27.000"
        );
    }

    #[test]
    fn that_it_is_due_later_is_no_news() {
        let stage = |more| delivery(&more).stage();
        assert_eq!(stage(json!({"due_at": "2026-11-24T14:24:27Z"})), stage(json!({})));
        for more in [json!({"attempts": 1}), json!({"state": "dead"}), json!({"replayed_at": "2026-11-24T14:24:27Z"})] {
            assert_ne!(stage(more), stage(json!({})));
        }
    }
}
