//! What is owed: from the dump into the store, page by page.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    Import, blocking,
    dump::{Row, read_rows},
    owed::{NotOwed, Owed, read_attempted, read_waiting},
    people::{Target, Targets},
    report::{Fate, Kind, Line, Report},
    tables::Table,
};
use crate::{
    cli::{CliError, progress::bar},
    domain::{
        attempt::Attempt,
        delivery::{Course, Delivery, State},
        event::{Event, default_ordering_key, wire_uuid},
        id::{Minter, Node},
        trace::Trace,
    },
    store::{
        Lane,
        accept::{IdempotencyKey, last_minted},
        import::{DeliveryFate, IncomingDelivery, Mode, import_deliveries},
    },
};

/// Rows in one transaction.
const PAGE_ROWS: usize = 200;
/// Bytes of rows in one transaction: with the next page, and one in between, what is in memory.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How long it is remembered that a row came in.
const REMEMBERED: Duration = Duration::from_hours(366 * 24);

/// Rows that were read together.
#[derive(Default)]
struct Page {
    /// What each is about, its key, and its columns.
    rows: Vec<(Kind, String, Row)>,
    bytes: usize,
    /// How many rows of the dump were read up to here.
    read: u64,
}

/// Brings what is owed to `targets`; `total` is the number of rows in the dump.
pub(super) async fn bring(
    import: &Import,
    files: Vec<PathBuf>,
    targets: Targets,
    total: u64,
    report: &mut Report<'_>,
) -> Result<(), CliError> {
    let last = import.store.run(Lane::Read, last_minted).await?;
    let mut minter = Minter::new(Node::default(), last);
    let (sender, mut pages) = mpsc::channel(1);
    let reading = tokio::task::spawn(blocking(move || read_pages(&files, &sender)));
    while let Some(page) = pages.recv().await {
        report.progress(&format!("{}  {} of {total} rows", bar(page.read, total), page.read));
        bring_page(import, &page, &targets, &mut minter, report).await?;
    }
    report.progress("");
    reading.await.map_err(|panic| CliError::refused(format!("reading failed: {panic}")))?
}

fn read_pages(files: &[PathBuf], pages: &mpsc::Sender<Page>) -> Result<(), super::dump::BadDump> {
    let mut page = Page::default();
    for file in files {
        read_rows(file, |row| {
            page.read += 1;
            let kind = match Table::of(&row.label()) {
                Table::Waiting => Kind::Waiting,
                Table::Attempted => Kind::Retrying,
                Table::User | Table::Token | Table::Subscription | Table::Other => return ControlFlow::Continue(()),
            };
            page.bytes += row.columns().len();
            page.rows.push((kind, row.key().unwrap_or_default(), row));
            if page.rows.len() < PAGE_ROWS && page.bytes < PAGE_BYTES {
                return ControlFlow::Continue(());
            }
            send(pages, &mut page)
        })?;
    }
    // Nobody waits for it any more when the store failed, which is told there.
    if !page.rows.is_empty() && send(pages, &mut page).is_break() {
        log::debug!("the last page was not wanted");
    }
    Ok(())
}

/// Breaks when nobody waits for pages any more.
fn send(pages: &mpsc::Sender<Page>, page: &mut Page) -> ControlFlow<()> {
    let next = Page { read: page.read, ..Page::default() };
    match pages.blocking_send(std::mem::replace(page, next)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

async fn bring_page(
    import: &Import,
    page: &Page,
    targets: &Targets,
    minter: &mut Minter,
    report: &mut Report<'_>,
) -> Result<(), CliError> {
    let mut incoming = Vec::with_capacity(page.rows.len());
    let mut lines = Vec::with_capacity(page.rows.len());
    for (kind, key, row) in &page.rows {
        match owed_by(import, *kind, row, targets) {
            Ok((owed, target)) => {
                let mut line = Line::new(*kind, key, Fate::New, None);
                line.old_uuid = Some(owed.uuid.clone());
                line.note =
                    (!target.is_active).then(|| format!("cancelled, because subscription {} is inactive", target.id));
                incoming.push(incoming_from(import, *kind, key, owed, target, minter));
                lines.push(line);
            }
            Err(Left::Out(NotOwed::Delivered)) => report.delivered += 1,
            Err(Left::Out(NotOwed::GivenUp)) => report.given_up += 1,
            Err(Left::TooOld) => report.too_old += 1,
            Err(Left::Out(NotOwed::Impossible(reason))) => {
                report.tell(&Line::new(*kind, key, Fate::Skipped, Some(reason)))?;
            }
        }
    }
    let incoming: Arc<[IncomingDelivery]> = incoming.into();
    let (work_on, mode) = (Arc::clone(&incoming), import.mode);
    let fates = import.store.run(Lane::Write, move |connection| import_deliveries(connection, &work_on, mode)).await?;
    for ((mut line, item), fate) in lines.into_iter().zip(incoming.iter()).zip(fates) {
        match fate {
            // In a dry run it is given to something else later.
            DeliveryFate::New if mode == Mode::Write => {
                line.new_uuid = Some(wire_uuid(item.delivery.id));
            }
            DeliveryFate::New => {}
            DeliveryFate::Present => (line.fate, line.note) = (Fate::Present, None),
            DeliveryFate::KeyTaken => {
                line.fate = Fate::Conflict;
                line.note = Some("another row with this key came in before, from another dump".to_owned());
            }
        }
        report.tell(&line)?;
    }
    Ok(())
}

/// Why a row does not come in.
enum Left {
    Out(NotOwed),
    TooOld,
}

fn owed_by<'a>(import: &Import, kind: Kind, row: &Row, targets: &'a Targets) -> Result<(Owed, &'a Target), Left> {
    let read = if kind == Kind::Waiting { read_waiting(row.columns()) } else { read_attempted(row.columns()) };
    let owed = read.map_err(Left::Out)?;
    if import.not_before.is_some_and(|bound| owed.created_at < bound) {
        return Err(Left::TooOld);
    }
    let target = targets.get(&owed.subscription);
    let target = target
        .ok_or_else(|| Left::Out(NotOwed::Impossible(format!("subscription {} did not come in", owed.subscription))))?;
    Ok((owed, target))
}

fn incoming_from(
    import: &Import,
    kind: Kind,
    key: &str,
    owed: Owed,
    target: &Target,
    minter: &mut Minter,
) -> IncomingDelivery {
    let event_type = owed.event_type.unwrap_or_else(|| target.event_type.clone());
    // Payloads are JSON, so they are UTF-8.
    let ordering_key = std::str::from_utf8(&owed.payload).ok().and_then(|text| default_ordering_key(&event_type, text));
    let event = Event {
        id: minter.event(import.now),
        event_type,
        payload: owed.payload,
        ordering_key,
        accepted_at: owed.created_at,
    };
    let id = minter.delivery(import.now);
    let so_far = owed.attempted.as_ref();
    let recorded_at = so_far.map(|so_far| so_far.recorded_at);
    let delivery = Delivery {
        id,
        event: event.id,
        subscription: target.id,
        state: if target.is_active { State::Pending } else { State::Cancelled },
        attempts: so_far.map_or(0, |so_far| so_far.count),
        due_at: so_far.and_then(|so_far| so_far.due(&target.retry, owed.created_at, rand::random())),
        course: Course { first_recorded_at: so_far.map(|_| owed.created_at), ..Course::default() },
        recorded_at: if target.is_active { recorded_at } else { Some(import.now) },
    };
    let latest = owed.attempted.map(|so_far| Attempt {
        delivery: id,
        number: so_far.count,
        started_at: so_far.started_at,
        duration: so_far.duration,
        outcome: so_far.outcome,
        trace: Trace::default(),
    });
    let table = if kind == Kind::Waiting { "queue" } else { "event" };
    let key = IdempotencyKey {
        key: format!("whisperer:{table}:{key}"),
        // The same row of a later dump is the same, also when it was attempted in between.
        digest: Sha256::digest(owed.uuid.as_bytes()).into(),
        expires_at: import.now.after(REMEMBERED),
    };
    IncomingDelivery { event: Arc::new(event), delivery, owner: target.owner.clone(), latest, key }
}
