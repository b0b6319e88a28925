//! `postrider redeliver`: one more attempt at each of some deliveries, now.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, about, answers::read};
use crate::{
    cli::{
        CliError,
        client::ApiError,
        terminal::{BAD, GOOD, QUIET, Terminal, harmless, paint},
    },
    domain::id::DeliveryId,
};

/// Attempt deliveries again now, whatever their state, and tell what came of each
///
/// One after the other. What the retry policy of a delivery still owes stays owed, and when. A delivery that cannot be
/// attempted (another attempt is under way, its payload was erased, there is none with this id) is told, and the next one's
/// turn comes.
///
/// To attempt many again by a filter, and by their retry policy, see postrider replay.
///
/// Exit codes: 0 when every attempt arrived, else 1.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct RedeliverArgs {
    /// The deliveries, each by its id or by the uuid that its receiver sees as webhook-id
    #[arg(value_name = "ID", required = true, value_parser = parse_delivery)]
    ids: Vec<DeliveryId>,

    #[command(flatten)]
    desk: Desk,
}

const EXAMPLES: &str = "\
Examples:
  postrider redeliver 57294210998304768
  postrider tail --state dead --once --json | jq .id | xargs postrider redeliver";

/// What is read of an attempt.
#[derive(Deserialize)]
struct Attempt {
    number: u16,
    duration_ms: f64,
    success: bool,
    status: Option<u16>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    class: String,
    message: String,
}

fn parse_delivery(text: &str) -> Result<DeliveryId, String> {
    let number = text.parse().ok().filter(|id| *id > 0).map(DeliveryId::from_raw);
    let id = number.or_else(|| text.parse().ok().and_then(DeliveryId::from_uuid));
    id.ok_or_else(|| "expected a number, or the uuid of a delivery".to_owned())
}

pub(in crate::cli) async fn run(args: RedeliverArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let api = args.desk.api()?;
    let mut missed = 0;
    for id in &args.ids {
        match api.post::<Value>(&format!("/api/v1/deliveries/{id}/redeliver"), &json!({})).await {
            Ok(answer) => {
                let attempt: Attempt = read(&answer)?;
                missed += usize::from(!attempt.success);
                args.desk.tell(terminal, &answer, |_| Ok(vec![attempted(*id, &attempt)]))?;
            }
            Err(error @ ApiError::Refused { .. }) if args.ids.len() > 1 => {
                missed += 1;
                let refused = json!({ "delivery": id, "success": false, "refused": error.to_string() });
                let line = format!("{id}  {}  {}", paint(BAD, "refused"), harmless(&error.to_string()));
                args.desk.tell(terminal, &refused, |_| Ok(vec![line]))?;
            }
            Err(error) => return Err(about(format_args!("delivery {id}"))(error)),
        }
    }
    match (missed, args.ids.len()) {
        (0, _) => Ok(()),
        (_, 1) => Err(CliError::refused("it did not arrive")),
        (missed, all) => Err(CliError::refused(format!("{missed} of {all} did not arrive"))),
    }
}

fn attempted(id: DeliveryId, attempt: &Attempt) -> String {
    let outcome = match (attempt.status, &attempt.error) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(failure)) => format!("{}: {}", failure.class, harmless(&failure.message)),
        (None, None) => "no answer".to_owned(),
    };
    let fate = if attempt.success { paint(GOOD, "delivered") } else { paint(BAD, "failed   ") };
    let details = format!("attempt {}, {:.1} ms", attempt.number, attempt.duration_ms);
    format!("{id}  {fate}  {outcome}  {}", paint(QUIET, details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_named_by_its_number_or_its_uuid() {
        let id = DeliveryId::from_raw(57_294_210_998_304_768 / 8);
        assert_eq!(parse_delivery(&id.to_string()), Ok(id));
        assert_eq!(parse_delivery(&id.uuid().to_string()), Ok(id));
        for text in ["", "0", "-1", "7.5", "01890a5d-ac96-774b-bcce-b302099a8057"] {
            assert!(parse_delivery(text).is_err(), "{text}");
        }
    }
}
