//! What the store may hold that the queue does not.

use std::collections::HashSet;

use super::Page;
use crate::domain::{delivery::Next, id::DeliveryId, time::Timestamp};

/// Knowledge about the store, on the cautious side: it may claim more than there is, never less.
#[derive(Debug)]
pub(super) struct Behind {
    /// There may be deliveries never attempted that are not in memory.
    fresh: bool,
    /// There may be such that were attempted all the same: the store does not know.
    refused: bool,
    /// When the earliest retry may be due; retries are never in memory before.
    next_due: Option<Timestamp>,
    /// The greatest id that a page brought. An offer up to it may have been read, attempted and forgotten already.
    read_up_to: Option<DeliveryId>,
    /// No read before this instant, after one that failed.
    not_before: Timestamp,
    reading: Option<Reading>,
}

/// What to do with an offered delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Take it: nothing older is left behind.
    Take,
    /// Keep it until the page is there, which may show that something older is left behind, or bring it as well.
    AfterPage,
    /// Leave it to the store.
    Leave,
}

/// What happened since a read began; the page may be older than that.
#[derive(Debug, Default)]
struct Reading {
    /// How many deliveries the page may bring.
    room: usize,
    forgotten: HashSet<DeliveryId>,
    missed: bool,
    refused: bool,
    /// What was in memory when the read began, and is therefore not on the page, is no longer there.
    void: bool,
    next_due: Option<Timestamp>,
}

impl Behind {
    /// Nothing is known: there may be anything.
    pub(super) fn unknown() -> Self {
        Self {
            fresh: true,
            refused: false,
            next_due: Some(Timestamp::EPOCH),
            read_up_to: None,
            not_before: Timestamp::EPOCH,
            reading: None,
        }
    }

    /// Forgets what was known; a read under way goes on.
    pub(super) fn distrust(&mut self) {
        self.missed();
        self.note_due(Timestamp::EPOCH);
    }

    /// Forgets what was known, and what the read under way will bring: memory is empty now, so the page has gaps.
    pub(super) fn start_over(&mut self) {
        self.distrust();
        if let Some(reading) = &mut self.reading {
            reading.void = true;
        }
    }

    /// What to do with an offered delivery.
    pub(super) fn admission(&self, id: DeliveryId) -> Admission {
        // A page may have brought it, and it may have been settled and forgotten since.
        let may_be_known = self.read_up_to.is_some_and(|read| id <= read);
        match &self.reading {
            _ if may_be_known => Admission::Leave,
            Some(reading) if !reading.missed => Admission::AfterPage,
            None if !self.fresh => Admission::Take,
            Some(_) | None => Admission::Leave,
        }
    }

    /// A delivery was left to the store.
    pub(super) fn missed(&mut self) {
        self.fresh = true;
        if let Some(reading) = &mut self.reading {
            reading.missed = true;
        }
    }

    /// A delivery left memory, and a page under way may be older than that.
    pub(super) fn forget(&mut self, id: DeliveryId) {
        if let Some(reading) = &mut self.reading {
            reading.forgotten.insert(id);
        }
    }

    /// An attempt is recorded.
    pub(super) fn recorded(&mut self, id: DeliveryId, next: Next) {
        self.forget(id);
        match next {
            Next::Settled => {}
            Next::DueAt(due_at) => self.note_due(due_at),
            Next::Refused(until) => {
                self.note_due(until);
                self.refused = true;
                if let Some(reading) = &mut self.reading {
                    reading.refused = true;
                }
            }
            Next::Unchanged => self.distrust(),
        }
    }

    fn note_due(&mut self, due_at: Timestamp) {
        self.next_due = earliest(self.next_due, Some(due_at));
        if let Some(reading) = &mut self.reading {
            reading.next_due = earliest(reading.next_due, Some(due_at));
        }
    }

    /// Whether there may be deliveries never attempted that are not in memory.
    pub(super) const fn misses_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a page has to ask for deliveries that were never attempted as far as the store knows.
    pub(super) const fn asks_for_fresh(&self) -> bool {
        self.fresh || self.refused
    }

    pub(super) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// A page of at most `room` deliveries is being read.
    pub(super) fn begin_read(&mut self, room: usize) {
        self.reading = Some(Reading { room, ..Reading::default() });
    }

    /// How many deliveries the page under way may bring.
    pub(super) fn room_for_page(&self) -> usize {
        self.reading.as_ref().map_or(0, |reading| reading.room)
    }

    pub(super) fn read_failed(&mut self, retry_at: Timestamp) {
        self.reading = None;
        self.not_before = retry_at;
    }

    /// Nothing is read before this instant.
    pub(super) fn rest(&mut self, until: Timestamp) {
        self.not_before = self.not_before.max(until);
    }

    /// Takes in what a page says, and gives the deliveries that left memory since the read began: the page may still show
    /// them as owed. `None` when the page is of no use any more.
    pub(super) fn page_read(&mut self, page: &Page) -> Option<HashSet<DeliveryId>> {
        let reading = self.reading.take().unwrap_or_default();
        if reading.void {
            return None;
        }
        self.fresh = page.more_fresh || reading.missed;
        self.refused = reading.refused;
        self.next_due = earliest(page.next_due, reading.next_due);
        self.read_up_to = self.read_up_to.max(page.fresh.iter().map(|owed| owed.id).max());
        Some(reading.forgotten)
    }

    /// When a read could bring something; `None` when none could, or one is under way. `wanted` says that one is wanted for
    /// the sake of the keys.
    pub(super) fn next_look(&self, wanted: bool) -> Option<Timestamp> {
        if self.is_reading() {
            return None;
        }
        let first = if self.fresh || wanted { Some(Timestamp::EPOCH) } else { self.next_due };
        first.map(|at| at.max(self.not_before))
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
