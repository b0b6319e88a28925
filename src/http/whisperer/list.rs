//! Lists: plain ones, written while they are read, and pages of them (contract, section 6).

use std::collections::VecDeque;

use actix_web::{
    body::{BodyStream, BoxBody},
    web::Bytes,
};
use futures_util::stream;

use super::{
    Asked,
    answer::{Answer, Served},
    format::escape_line_ends,
    json::Int,
    query::Query,
};
use crate::store::{
    Lane, Store, StoreError,
    lists::{List, Skip},
};

/// Ids read at once.
const WINDOW: i64 = 10_000;
/// Entries read at once: a payload may have a MiB.
const CHUNK: usize = 32;

/// An entry as JSON.
type Write<L> = fn(&<L as List>::Row) -> String;

/// Answers with `list`: all of it, or the page that is asked for when the lists have pages.
pub(super) async fn serve<L: List>(asked: &Asked<'_>, list: L, write: Write<L>) -> Served {
    match asked.state.page_size {
        None => plain(asked.state.store.clone(), list, write).await,
        Some(size) => {
            let size = i64::try_from(size.get()).unwrap_or(i64::MAX);
            page(asked, size, list, write).await
        }
    }
}

/// Answers with a list that has no entries, whatever is stored.
pub(super) fn serve_nothing(asked: &Asked<'_>) -> Served {
    match asked.state.page_size {
        None => Ok(Answer::ok_text("[]".to_owned())),
        Some(size) => {
            let numbers = Numbers::of(&asked.query, 0, i64::try_from(size.get()).unwrap_or(i64::MAX))?;
            Ok(Answer::ok_text(numbers.around(asked, "")))
        }
    }
}

/// The first entries are there before the answer begins, so that a database that is away is told as such.
async fn plain<L: List>(store: Store, list: L, write: Write<L>) -> Served {
    let mut walk =
        Walk { store, list, write, skip: Skip::Rows(0), ids: VecDeque::new(), is_last: false, place: Place::Start };
    let first = walk.next().await?.unwrap_or_default();
    if walk.place == Place::End {
        return Ok(Answer::ok_text(first));
    }
    let rest = stream::unfold((Some(first), walk), |(first, mut walk)| async move {
        let chunk = match first {
            Some(first) => Ok(first),
            None => walk.next().await.transpose()?,
        };
        if let Err(error) = &chunk {
            // Cut off, so that nobody takes a part for the whole.
            log::warn!(error:% = error; "a list was cut off");
            walk.place = Place::End;
        }
        Some((chunk.map(Bytes::from), (None, walk)))
    });
    Ok(Answer::stream(BoxBody::new(BodyStream::new(Box::pin(rest)))))
}

/// How far a list was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Middle,
    End,
}

/// On its way through a list.
struct Walk<L: List> {
    store: Store,
    list: L,
    write: Write<L>,
    skip: Skip,
    /// Of the present window, those not written yet.
    ids: VecDeque<i64>,
    /// There is no window behind the present one.
    is_last: bool,
    place: Place,
}

impl<L: List> Walk<L> {
    /// The next piece of text; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>, StoreError> {
        if self.place == Place::End {
            return Ok(None);
        }
        if self.ids.is_empty() && !self.is_last {
            self.read_window().await?;
        }
        let ids: Vec<i64> = self.ids.drain(..self.ids.len().min(CHUNK)).collect();
        let mut text = if self.place == Place::Start { "[" } else { "" }.to_owned();
        if !ids.is_empty() {
            let (list, write, keys) = (self.list.clone(), self.write, self.store.keys());
            let work = move |connection: &mut _| {
                let rows = list.rows(connection, &keys, &ids)?;
                Ok(rows.iter().map(write).collect::<Vec<_>>())
            };
            for entry in self.store.run(Lane::Read, work).await? {
                if text != "[" {
                    text.push(',');
                }
                text.push_str(&entry);
            }
        }
        if text != "[" {
            self.place = Place::Middle;
        }
        if self.ids.is_empty() && self.is_last {
            text.push(']');
            self.place = Place::End;
        }
        Ok(Some(text))
    }

    async fn read_window(&mut self) -> Result<(), StoreError> {
        let (window, skip) = (self.list.clone(), self.skip);
        let ids = self.store.run(Lane::Read, move |connection| window.ids(connection, skip, WINDOW)).await?;
        self.is_last = i64::try_from(ids.len()).is_ok_and(|found| found < WINDOW);
        self.skip = match (self.list.by_id(), ids.last(), self.skip) {
            (Some(_), Some(id), _) => Skip::UpTo(*id),
            (None, _, Skip::Rows(rows)) => Skip::Rows(rows + WINDOW),
            (_, _, skip) => skip,
        };
        self.ids = ids.into();
        Ok(())
    }
}

/// Where a page stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    count: i64,
    page: i64,
    pages: i64,
    size: i64,
}

impl Numbers {
    /// # Errors
    /// 404 for a page that is not there; the first one always is.
    fn of(query: &Query, count: i64, size: i64) -> Result<Self, Answer> {
        let pages = (count / size + i64::from(count % size > 0)).max(1);
        let page = match query.get("page") {
            None => Some(1),
            Some("last") => Some(pages),
            Some(text) => Int::parse(text).and_then(|number| number.as_str().parse().ok()),
        };
        match page {
            Some(page) if (1..=pages).contains(&page) => Ok(Self { count, page, pages, size }),
            Some(_) | None => Err(Answer::invalid_page()),
        }
    }

    /// How many entries come before the page.
    const fn before(self) -> i64 {
        (self.page - 1) * self.size
    }

    /// The page with `entries`, which stand between commas.
    fn around(self, asked: &Asked<'_>, entries: &str) -> String {
        let link = |page: Option<i64>| page.map(|page| link(asked, page));
        let next = link((self.page < self.pages).then_some(self.page + 1));
        let previous = link((self.page > 1).then_some(self.page - 1));
        let json = |link: Option<String>| serde_json::to_string(&link).expect("a text serialises");
        let (next, previous) = (escape_line_ends(json(next)), json(previous));
        format!(r#"{{"count":{},"next":{next},"previous":{previous},"results":[{entries}]}}"#, self.count)
    }
}

/// The first page is linked without its number.
fn link(asked: &Asked<'_>, page: i64) -> String {
    let number = (page > 1).then(|| page.to_string());
    match asked.query.with("page", number.as_deref()) {
        query if query.is_empty() => asked.url(),
        query => format!("{}?{query}", asked.url()),
    }
}

async fn page<L: List>(asked: &Asked<'_>, size: i64, list: L, write: Write<L>) -> Served {
    let counted = list.clone();
    let count = asked.state.store.run(Lane::Read, move |connection| counted.count(connection)).await?;
    let numbers = Numbers::of(&asked.query, count, size)?;
    let keys = asked.state.store.keys();
    let work = move |connection: &mut _| {
        let ids = list.ids(connection, Skip::Rows(numbers.before()), size)?;
        let mut entries = Vec::with_capacity(ids.len());
        for ids in ids.chunks(CHUNK) {
            entries.extend(list.rows(connection, &keys, ids)?.iter().map(write));
        }
        Ok(entries)
    };
    let entries = asked.state.store.run(Lane::Read, work).await?;
    Ok(Answer::ok_text(numbers.around(asked, &entries.join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_numbered_from_one_to_the_last() {
        let page = |query: &str, count| Numbers::of(&Query::parse(query), count, 20).ok().map(|n| (n.page, n.before()));
        assert_eq!(page("", 45), Some((1, 0)));
        assert_eq!(page("page=3", 45), Some((3, 40)));
        assert_eq!(page("page=+3", 45), Some((3, 40)));
        assert_eq!(page("page=last", 45), Some((3, 40)));
        assert_eq!(page("page=last", 40), Some((2, 20)));
        assert_eq!(page("page=1", 0), Some((1, 0)));
        for query in ["page=", "page=0", "page=-1", "page=4", "page=abc", "page=1.0", "page=99999999999999999999"] {
            assert_eq!(page(query, 45), None, "{query}");
        }
        assert_eq!(page("page=2", 0), None);
    }
}
