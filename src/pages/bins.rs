//! `/bin/{random}`: takes any request and remembers it for whoever made the bin, to see what a receiver would.
//!
//! Everything is bounded and in memory: few bins of a user, the latest requests of each, the beginning of each body. Who knows
//! the path may send to it, so it is random. Deliveries come here the way of all deliveries: the egress guard decides, and knows
//! nothing of bins.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, Payload},
};
use bytes::Bytes;

use super::Pages;
use crate::{
    domain::{event::MAX_PAYLOAD_BYTES, id::OwnerId, signature::hex, time::Timestamp},
    http::{State, body, problem::Problem},
};

/// Bins in all; beyond it none can be made.
const MOST: usize = 200;
/// Bins of one user; beyond it the oldest goes.
const MOST_OF_ONE: usize = 3;
/// Requests that a bin remembers.
const REMEMBERED: usize = 20;
/// The largest body that a bin takes: a payload and what stands around it.
pub(super) const MAX_BYTES: usize = MAX_PAYLOAD_BYTES + 16 * 1024;
/// Of each body so much is kept, in bytes.
const KEPT_BYTES: usize = 16 * 1024;
/// Of all headers of a request together so much is kept, in bytes.
const KEPT_HEADER_BYTES: usize = 8 * 1024;

/// What a bin can answer with.
pub(super) const STATUSES: [u16; 6] = [200, 204, 410, 429, 500, 503];

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// When.
    pub(super) at: Timestamp,
    /// How: the method, or what else brought it here.
    pub(super) method: String,
    /// Names and values, as they came.
    pub(super) headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub(super) body: Bytes,
    /// How long the body was, in bytes.
    pub(super) length: usize,
}

/// A bin as it is.
#[derive(Clone, Debug)]
pub(super) struct Bin {
    owner: OwnerId,
    /// When it was made.
    pub(super) since: Timestamp,
    /// What it answers with.
    pub(super) status: u16,
    /// The newest first.
    pub(super) received: VecDeque<Received>,
}

/// All bins; cloning shares them.
#[derive(Clone, Default)]
pub struct Bins(Arc<Mutex<BTreeMap<String, Bin>>>);

impl Bins {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Bin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bin for `owner`; gives its name, or `None` when there are too many.
    pub(super) fn make(&self, owner: OwnerId, now: Timestamp) -> Option<String> {
        let mut all = self.all();
        let own: Vec<(Timestamp, String)> =
            all.iter().filter(|(_, bin)| bin.owner == owner).map(|(name, bin)| (bin.since, name.clone())).collect();
        if own.len() >= MOST_OF_ONE
            && let Some((_, oldest)) = own.into_iter().min()
        {
            all.remove(&oldest);
        }
        if all.len() >= MOST {
            return None;
        }
        let name = hex(&rand::random::<[u8; 16]>());
        all.insert(name.clone(), Bin { owner, since: now, status: 200, received: VecDeque::new() });
        Some(name)
    }

    /// The bins of `owner`: names, when each was made, and how many requests it has.
    pub(super) fn of(&self, owner: OwnerId) -> Vec<(String, Timestamp, usize)> {
        let all = self.all();
        let own = all.iter().filter(|(_, bin)| bin.owner == owner);
        own.map(|(name, bin)| (name.clone(), bin.since, bin.received.len())).collect()
    }

    /// A bin of `owner`'s.
    pub(super) fn get(&self, owner: OwnerId, name: &str) -> Option<Bin> {
        self.all().get(name).filter(|bin| bin.owner == owner).cloned()
    }

    /// Has a bin of `owner`'s answer with `status` from now on.
    pub(super) fn answer_with(&self, owner: OwnerId, name: &str, status: u16) {
        if let Some(bin) = self.all().get_mut(name).filter(|bin| bin.owner == owner) {
            bin.status = status;
        }
    }

    /// Takes a bin of `owner`'s away.
    pub(super) fn remove(&self, owner: OwnerId, name: &str) {
        let mut all = self.all();
        if all.get(name).is_some_and(|bin| bin.owner == owner) {
            all.remove(name);
        }
    }

    /// Remembers a request; gives the status to answer with, or `None` when there is no such bin.
    pub(super) fn put(&self, name: &str, received: Received) -> Option<u16> {
        let mut all = self.all();
        let bin = all.get_mut(name)?;
        bin.received.push_front(received.shortened());
        bin.received.truncate(REMEMBERED);
        Some(bin.status)
    }
}

impl Received {
    fn shortened(mut self) -> Self {
        // A slice would keep all of the body in memory.
        self.body = Bytes::copy_from_slice(&self.body[..self.body.len().min(KEPT_BYTES)]);
        let mut room = KEPT_HEADER_BYTES;
        self.headers.retain(|(name, value)| {
            let size = name.len() + value.len();
            let fits = size <= room;
            room -= if fits { size } else { 0 };
            fits
        });
        self
    }
}

/// Takes a request, whatever it is.
pub(super) async fn receive(
    request: HttpRequest,
    state: Data<State>,
    pages: Data<Pages>,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let missing = || Problem::not_found("There is no such bin.");
    if !pages.bins.all().contains_key(name.as_str()) {
        return Err(missing());
    }
    let body = body::read(&request, payload.into_inner()).await?;
    let told = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    // A browser that is sent here shows its cookie to nobody.
    let shown = request.headers().iter().filter(|(name, _)| **name != header::COOKIE);
    let received = Received {
        at: state.clock.now(),
        method: request.method().to_string(),
        headers: shown.map(|(name, value)| (name.to_string(), told(value))).collect(),
        length: body.len(),
        body,
    };
    let status = pages.bins.put(&name, received).ok_or_else(missing)?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"));
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Ok(if status == StatusCode::NO_CONTENT { answer.finish() } else { answer.body("It is in the bin.\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn received(body: &[u8]) -> Received {
        let headers = vec![("a".to_owned(), "b".to_owned()), ("long".to_owned(), "x".repeat(KEPT_HEADER_BYTES))];
        Received { at: NOW, method: "POST".to_owned(), headers, body: Bytes::copy_from_slice(body), length: body.len() }
    }

    #[test]
    fn a_bin_is_bounded_and_its_owners() {
        let (bins, owner, other) = (Bins::default(), OwnerId::from_raw(1), OwnerId::from_raw(2));
        let name = bins.make(owner, NOW).expect("room");
        for _ in 0..REMEMBERED + 5 {
            assert_eq!(bins.put(&name, received(&vec![b'x'; KEPT_BYTES + 1])), Some(200));
        }
        let bin = bins.get(owner, &name).expect("it is there");
        let latest = &bin.received[0];
        assert_eq!((bin.received.len(), latest.body.len(), latest.length), (REMEMBERED, KEPT_BYTES, KEPT_BYTES + 1));
        assert_eq!(latest.headers, [("a".to_owned(), "b".to_owned())]);
        assert!(bins.get(other, &name).is_none() && bins.of(other).is_empty());
        bins.remove(other, &name);
        bins.answer_with(other, &name, 503);
        assert_eq!(bins.put(&name, received(b"")), Some(200));
        bins.answer_with(owner, &name, 503);
        assert_eq!(bins.put(&name, received(b"")), Some(503));
        assert_eq!(bins.put("no bin", received(b"")), None);
    }

    #[test]
    fn the_oldest_bin_of_a_user_goes_and_not_anothers() {
        let (bins, owner) = (Bins::default(), OwnerId::from_raw(1));
        let others = bins.make(OwnerId::from_raw(2), NOW).expect("room");
        let oldest = bins.make(owner, NOW).expect("room");
        for second in 1..=MOST_OF_ONE as u64 {
            bins.make(owner, NOW.after(std::time::Duration::from_secs(second))).expect("room");
        }
        assert_eq!(bins.of(owner).len(), MOST_OF_ONE);
        assert!(bins.get(owner, &oldest).is_none() && bins.get(OwnerId::from_raw(2), &others).is_some());
    }
}
