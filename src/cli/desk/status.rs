//! `postrider status`: is the engine well, and how much is it behind.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Desk,
    answers::{Health, Subscription, all_subscriptions, read},
    moment::how_long,
};
use crate::cli::{
    CliError,
    client::ApiError,
    terminal::{BAD, GOOD, Terminal, paint, table},
};

/// Show how a running engine is: ready or not, subscriptions, what is owed, endpoints that fail
///
/// What is owed, and which endpoints fail, is told of the subscriptions that the token shows: an admin's shows all.
///
/// Exit codes: 0 when the engine is ready, whatever its endpoints do; 1 when it is not, or cannot be asked.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    desk: Desk,
}

const EXAMPLES: &str = "\
Examples:
  export POSTRIDER_TOKEN=…
  postrider status
  postrider status --url https://postrider.example
  postrider status --json | jq .owed";

/// Sums over subscriptions.
#[derive(Default)]
struct Sums {
    active: u64,
    paused: u64,
    inactive: u64,
    owed: u64,
    set_aside: u64,
    /// The oldest that is owed, and by which subscription.
    oldest: Option<(Duration, i32)>,
    /// Those whose endpoints fail.
    ill: Vec<(Subscription, Value)>,
}

impl Sums {
    fn add(&mut self, answer: Value) -> Result<(), CliError> {
        let subscription: Subscription = read(&answer)?;
        match subscription.state.as_str() {
            "active" => self.active += 1,
            "paused" => self.paused += 1,
            _ => self.inactive += 1,
        }
        self.owed += subscription.backlog.owed;
        self.set_aside += subscription.backlog.set_aside;
        let oldest = subscription.backlog.oldest().map(|age| (age, subscription.id));
        self.oldest = self.oldest.max(oldest);
        if subscription.is_ill() {
            self.ill.push((subscription, answer));
        }
        Ok(())
    }

    fn in_json(&self) -> Value {
        let failing: Vec<_> = self.ill.iter().map(|(_, answer)| answer).collect();
        json!({
            "ready": true,
            "subscriptions": { "active": self.active, "paused": self.paused, "inactive": self.inactive },
            "owed": self.owed,
            "set_aside": self.set_aside,
            "oldest_owed_seconds": self.oldest.map(|(age, _)| age.as_secs_f64()),
            "failing": failing,
        })
    }

    fn in_words(&self, base: &str) -> Vec<String> {
        let oldest = self.oldest.map(|(age, id)| format!(", the oldest for {} (subscription {id})", how_long(age)));
        let mut lines = vec![
            format!("engine         {} at {base}", paint(GOOD, "ready")),
            format!("subscriptions  {} active, {} paused, {} inactive", self.active, self.paused, self.inactive),
            format!("owed           {}{}", self.owed, oldest.unwrap_or_default()),
            format!("set aside      {}", self.set_aside),
        ];
        let failing = format!("{}", self.ill.len());
        let failing = if self.ill.is_empty() { failing } else { paint(BAD, failing) };
        lines.push(format!("failing        {failing}"));
        if !self.ill.is_empty() {
            let head = ["ID", "EVENT TYPE", "ENDPOINT", "OWED", "ENDPOINT HEALTH"].map(str::to_owned);
            let rows = self.ill.iter().map(|(subscription, _)| row(subscription));
            let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
            lines.push(String::new());
            lines.extend(table(&rows));
        }
        lines
    }
}

fn row(subscription: &Subscription) -> [String; 5] {
    [
        subscription.id.to_string(),
        subscription.event_type.clone(),
        subscription.host(),
        subscription.backlog.owed.to_string(),
        subscription.endpoint_health.as_ref().map(Health::in_words).unwrap_or_default(),
    ]
}

pub(in crate::cli) async fn run(args: StatusArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let (api, base) = (args.desk.api()?, args.desk.base());
    api.get::<Value>("/readyz").await.map_err(|error| match error {
        ApiError::Refused { status, reason } => {
            CliError::refused(format!("the engine at {base} is not ready: {status}: {reason}"))
        }
        ApiError::Unreachable { .. } | ApiError::Strange { .. } => error.into(),
    })?;
    let mut sums = Sums::default();
    for answer in all_subscriptions(&api).await? {
        sums.add(answer)?;
    }
    args.desk.tell(terminal, &sums.in_json(), |_| Ok(sums.in_words(&base)))
}
