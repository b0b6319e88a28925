//! `postrider subscriptions`: what stands, and how far it is behind.

use clap::{Args, builder::PossibleValuesParser};
use serde_json::Value;

use super::{
    Desk,
    answers::{Health, Hold, Subscription, all_subscriptions, read},
};
use crate::cli::{
    CliError,
    terminal::{Terminal, table},
};

/// List subscriptions: what they ask for, paused or not, what they are owed, how their endpoints are
///
/// A token of an admin shows everybody's, any other the subscriptions of its user.
///
/// With --json each line is a subscription as GET /api/v1/subscriptions shows it, with endpoint_health where something is
/// owed or the latest attempt failed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SubscriptionsArgs {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(["active", "paused", "inactive"]))]
    state: Option<String>,

    /// Only those to this event type
    #[arg(long, value_name = "EVENT_TYPE")]
    event_type: Option<String>,

    /// Only those whose endpoint is on this host: a name or an address, with or without the port
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Only those whose endpoint fails
    #[arg(long)]
    failing: bool,

    #[command(flatten)]
    desk: Desk,
}

const EXAMPLES: &str = "\
Examples:
  postrider subscriptions
  postrider subscriptions --state paused
  postrider subscriptions --host shop.example --failing
  postrider subscriptions --json | jq -r 'select(.backlog.owed > 1000) | .id'";

impl SubscriptionsArgs {
    fn includes(&self, subscription: &Subscription) -> bool {
        let is_meant = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let is_on = |host: &String| {
            let found = subscription.host();
            let without_port = found.rsplit_once(':').map_or(found.as_str(), |(host, _)| host);
            host.eq_ignore_ascii_case(&found) || host.eq_ignore_ascii_case(without_port)
        };
        is_meant(&self.state, &subscription.state)
            && is_meant(&self.event_type, &subscription.event_type)
            && self.host.as_ref().is_none_or(is_on)
            && (!self.failing || subscription.is_ill())
    }
}

pub(in crate::cli) async fn run(args: SubscriptionsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut found: Vec<(Subscription, Value)> = Vec::new();
    for answer in all_subscriptions(&args.desk.api()?).await? {
        let subscription = read(&answer)?;
        if args.includes(&subscription) {
            found.push((subscription, answer));
        }
    }
    let lines = if args.desk.json {
        found.iter().map(|(_, answer)| answer.to_string()).collect()
    } else if found.is_empty() {
        vec!["no subscriptions".to_owned()]
    } else {
        let head = ["ID", "EVENT TYPE", "ENDPOINT", "STATE", "OWED", "OLDEST", "SET ASIDE", "NOTE"].map(str::to_owned);
        let rows = found.iter().map(|(subscription, _)| row(subscription));
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    };
    for line in lines {
        terminal.line(line)?;
    }
    Ok(())
}

fn row(subscription: &Subscription) -> [String; 8] {
    let hold = subscription.hold.as_ref().map(Hold::in_words);
    let health = subscription.endpoint_health.as_ref().filter(|_| subscription.is_ill()).map(Health::in_words);
    [
        subscription.id.to_string(),
        subscription.event_type.clone(),
        subscription.host(),
        subscription.state.clone(),
        subscription.backlog.owed.to_string(),
        subscription.backlog.oldest_in_words(),
        subscription.backlog.set_aside.to_string(),
        [hold, health].into_iter().flatten().collect::<Vec<_>>().join("; "),
    ]
}
