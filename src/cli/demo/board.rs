//! What was accepted and what arrived: pure, so that the story can be told without an engine.
//!
//! A delivery may arrive before the answer that accepts its event does; it is told after it, as it is understood.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::lines;
use crate::{
    cli::listen::{check::Check, receiver::Report},
    domain::time::Timestamp,
    samples::number_in,
};

/// An event of the story: its type and the number of the thing that it is about.
type Key = (String, u32);

/// What is known of an event that we published.
#[derive(Debug)]
struct Told {
    published_at: Timestamp,
    is_accepted: bool,
    /// Came before the answer.
    early: Vec<Report>,
    /// Deliveries that arrived.
    arrived: HashSet<String>,
}

/// The state of the story.
#[derive(Debug, Default)]
pub(super) struct Board {
    events: HashMap<Key, Told>,
    pub(super) totals: Totals,
}

/// Sums for the last line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Events that were accepted.
    pub(super) accepted: usize,
    /// Deliveries owed for them.
    pub(super) owed: usize,
    /// Of these, how many arrived.
    pub(super) arrived: usize,
    /// Attempts that the receiver refused on purpose.
    pub(super) refused: usize,
    /// Deliveries that came again after they had arrived.
    pub(super) repeated: usize,
    /// Attempts whose signatures were not both valid.
    pub(super) badly_signed: usize,
}

/// What an attempt was, in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It arrived, this long after its event was published; `None` when somebody else published it.
    Delivered(Option<Duration>),
    /// It was refused on purpose.
    Refused,
    /// It had arrived before: the engine could not know.
    Repeated,
}

impl Board {
    /// The event is on its way to the engine.
    pub(super) fn published(&mut self, event_type: &str, number: u32, at: Timestamp) {
        let told = Told { published_at: at, is_accepted: false, early: Vec::new(), arrived: HashSet::new() };
        self.events.insert((event_type.to_owned(), number), told);
    }

    /// The engine accepted it; gives the lines to show.
    pub(super) fn accepted(&mut self, event_type: &str, number: u32, owed: u32, at: Timestamp) -> Vec<String> {
        self.totals.accepted += 1;
        self.totals.owed += owed as usize;
        let mut shown = vec![lines::accepted(at, event_type, number, owed)];
        if let Some(told) = self.events.get_mut(&(event_type.to_owned(), number)) {
            told.is_accepted = true;
            for report in std::mem::take(&mut told.early) {
                shown.extend(self.arrived(&report));
            }
        }
        shown
    }

    /// Something came in; gives the line to show, if it is time.
    pub(super) fn arrived(&mut self, report: &Report) -> Option<String> {
        let event_type = report.received.event_type.clone().unwrap_or_else(|| "-".to_owned());
        let number = report.received.payload().and_then(number_in);
        let told = number.and_then(|number| self.events.get_mut(&(event_type.clone(), number)));
        if let Some(told) = told.filter(|told| !told.is_accepted) {
            told.early.push(report.clone());
            return None;
        }
        if !is_well_signed(report) {
            self.totals.badly_signed += 1;
        }
        let arrival = self.judge(report, number.map(|number| (event_type.clone(), number)));
        Some(lines::arrived(report, &event_type, arrival))
    }

    fn judge(&mut self, report: &Report, key: Option<Key>) -> Arrival {
        if !report.reply.is_success() {
            self.totals.refused += 1;
            return Arrival::Refused;
        }
        // Unknown when it was published from another terminal.
        let Some(told) = key.and_then(|key| self.events.get_mut(&key)) else { return Arrival::Delivered(None) };
        if told.arrived.insert(report.received.uuid.clone().unwrap_or_default()) {
            self.totals.arrived += 1;
            Arrival::Delivered(Some(report.received.at.since(told.published_at)))
        } else {
            self.totals.repeated += 1;
            Arrival::Repeated
        }
    }

    /// Whether everything that was published is accepted and has arrived.
    pub(super) fn is_settled(&self) -> bool {
        self.totals.arrived >= self.totals.owed && self.events.values().all(|told| told.is_accepted)
    }
}

/// Whether both signatures are valid.
pub(super) fn is_well_signed(report: &Report) -> bool {
    report.received.whisperer == Check::Valid && report.received.standard == Check::Valid
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bytes::Bytes;

    use super::*;
    use crate::{
        cli::{
            demo::story::behaviour,
            listen::{check::Flaw, received::Received},
        },
        domain::{event::envelope, event_type::EventType},
        samples::sample,
    };

    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn at(millis: u64) -> Timestamp {
        START.after(Duration::from_millis(millis))
    }

    fn report(path: &str, uuid: &str, seen: u32, millis: u64) -> Report {
        let event_type = EventType::parse("package.created").expect("a type");
        let payload = sample(event_type.as_str(), 1_001, START).expect("a sample");
        let body: Bytes = envelope(&event_type, uuid, payload.get().as_bytes());
        let mut received = Received::read(at(millis), path, |_| None, body, None);
        (received.whisperer, received.standard) = (Check::Valid, Check::Valid);
        Report { received, seen, reply: behaviour(path).reply(seen, 0.5) }
    }

    fn plain(line: &str) -> String {
        strip_str(line).to_string()
    }

    #[test]
    fn the_story_reads_in_order_and_adds_up() {
        let mut board = Board::default();
        let mut shown = vec![lines::head()];
        board.published("package.created", 1_001, START);
        // Quicker than the answer to the publisher.
        shown.extend(board.arrived(&report("/crm", "u1", 1, 4)));
        assert_eq!(shown.len(), 1);
        assert!(!board.is_settled());
        shown.extend(board.accepted("package.created", 1_001, 2, at(5)));
        shown.extend(board.arrived(&report("/erp", "u2", 1, 6)));
        shown.extend(board.arrived(&report("/erp", "u2", 2, 1_010)));
        assert!(!board.is_settled());
        shown.extend(board.arrived(&report("/erp", "u2", 3, 3_020)));
        assert!(board.is_settled());
        shown.extend(board.arrived(&report("/crm", "u1", 2, 4_000)));
        insta::assert_snapshot!(shown.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n"), @"
        TIME (UTC)               EVENT                       OF        TO          WHAT CAME OF IT
        08:00:00.005  accepted   package.created             PK-1001   owed to 2 subscriptions
        08:00:00.004  delivered  package.created             PK-1001   /crm         1st attempt  200   signed ✓ ✓  after 4 ms
        08:00:00.006  failed     package.created             PK-1001   /erp         1st attempt  503   signed ✓ ✓  again in 1 s
        08:00:01.010  failed     package.created             PK-1001   /erp         2nd attempt  503   signed ✓ ✓  again in 2 s
        08:00:03.020  delivered  package.created             PK-1001   /erp         3rd attempt  200   signed ✓ ✓  after 3.0 s
        08:00:04.000  repeated   package.created             PK-1001   /crm         2nd attempt  200   signed ✓ ✓  the uuid tells that it had arrived
        ");
        let expected = Totals { accepted: 1, owed: 2, arrived: 2, refused: 2, repeated: 1, badly_signed: 0 };
        assert_eq!(board.totals, expected);
    }

    #[test]
    fn a_bad_signature_is_seen_and_counted() {
        let mut board = Board::default();
        let mut forged = report("/crm", "u1", 1, 0);
        forged.received.standard = Check::Invalid(Flaw::Mismatch);
        let line = board.arrived(&forged).expect("a line");
        assert!(plain(&line).contains("✓ ✗ wrong"), "{line}");
        assert_eq!(board.totals.badly_signed, 1);
    }

    #[test]
    fn what_somebody_else_published_is_told_and_not_counted() {
        let mut board = Board::default();
        let line = board.arrived(&report("/crm", "u1", 1, 0)).expect("a line");
        assert!(plain(&line).contains("delivered  package.created"), "{line}");
        assert_eq!(board.totals, Totals::default());
    }
}
