//! Tells of the engine itself: news of a subscription become events of the engine's own types.
//!
//! They take the way of every other event, into the open batch, so they are durable, signed and attempted again. Until then
//! they are in memory: what happens in the moment in which the process dies or the database is away is not told, and can be
//! looked up. Nothing is made of news that nobody subscribed to, and at most [`MAX_WAITING`] wait for their commit; what
//! exceeds them is counted in the log.

use std::collections::HashSet;

use actix::{AsyncContext, Context, Handler, Message};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{
    admission::Admission,
    intake::{Submission, Waiting},
    mail::tell,
    router::{Flush, Router},
};
use crate::{
    clock::rfc3339,
    domain::{
        announcement::{Audience, Death, News},
        id::{OwnerId, SubscriptionId},
        subscription::Subscription,
    },
    store::{Lane, StoreError, owners::admins},
};

/// News that may wait for their commit.
const MAX_WAITING: usize = 10_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// As whose events they are stored: nobody's.
const ENGINE: OwnerId = OwnerId::from_raw(0);

/// News that wait until it is known who may hear them.
pub(super) struct Announcing {
    waiting: Vec<(SubscriptionId, News)>,
    is_asking: bool,
    admission: Admission,
}

impl Announcing {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new(), is_asking: false, admission: Admission::new(MAX_WAITING, MAX_BYTES) }
    }
}

/// Tell these news of a subscription to whoever asked for them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// Of whom.
    pub subject: SubscriptionId,
    /// What happened.
    pub news: Vec<News>,
}

impl Handler<Announce> for Router {
    type Result = ();

    fn handle(&mut self, Announce { subject, news }: Announce, ctx: &mut Self::Context) {
        self.announce(subject, news, ctx);
    }
}

impl Router {
    pub(super) fn announce(&mut self, subject: SubscriptionId, news: Vec<News>, ctx: &Context<Self>) {
        let Some(about) = self.table.get(subject) else { return };
        let now = self.with.shared.clock.now();
        let is_wanted =
            |news: &News| news.may_be_told_of(about) && self.table.matches(&news.event_type(), now).next().is_some();
        let wanted: Vec<News> = news.into_iter().filter(is_wanted).collect();
        let room = MAX_WAITING.saturating_sub(self.announcing.waiting.len());
        told_of_loss(wanted.len().saturating_sub(room));
        self.announcing.waiting.extend(wanted.into_iter().take(room).map(|news| (subject, news)));
        self.ask_for_admins(ctx);
    }

    fn ask_for_admins(&mut self, ctx: &Context<Self>) {
        if self.announcing.is_asking || self.announcing.waiting.is_empty() {
            return;
        }
        self.announcing.is_asking = true;
        let (store, me) = (self.with.shared.store.clone(), ctx.address());
        actix::spawn(async move { tell(&me, Admins(store.run(Lane::Read, admins).await)) });
    }

    /// The event that tells these news; `None` when nobody would get it.
    fn submission(&self, subject: SubscriptionId, news: &News, admins: &HashSet<OwnerId>) -> Option<Submission> {
        let about = self.table.get(subject)?;
        let audience = Audience { subject, owner: about.owner, admins: admins.clone() };
        let event_type = news.event_type();
        let now = self.with.shared.clock.now();
        self.table.matches(&event_type, now).find(|listener| audience.includes(listener))?;
        Some(Submission {
            event_type,
            payload: payload(about, news),
            ordering_key: Some(format!("subscription:{subject}")),
            publisher: ENGINE,
            key: None,
            audience: Some(audience),
        })
    }
}

/// Who sees everything.
#[derive(Message)]
#[rtype(result = "()")]
struct Admins(Result<HashSet<OwnerId>, StoreError>);

impl Handler<Admins> for Router {
    type Result = ();

    fn handle(&mut self, Admins(admins): Admins, ctx: &mut Self::Context) {
        self.announcing.is_asking = false;
        let waiting = std::mem::take(&mut self.announcing.waiting);
        let admins = match admins {
            Ok(admins) => admins,
            Err(error) => {
                log::warn!(news = waiting.len(), error:% = error; "news are not told, the database is away");
                return;
            }
        };
        let events: Vec<Submission> =
            waiting.iter().filter_map(|(subject, news)| self.submission(*subject, news, &admins)).collect();
        let mut lost = 0;
        for event in events {
            let Some(ticket) = self.announcing.admission.enter(1, event.payload.len()) else {
                lost += 1;
                continue;
            };
            // Nobody waits for the answer.
            let (answer, _) = oneshot::channel();
            self.intake.push(Waiting { events: vec![event], answer, tickets: vec![ticket] });
        }
        told_of_loss(lost);
        ctx.notify(Flush);
    }
}

fn told_of_loss(news: usize) {
    if news > 0 {
        log::warn!(news; "there are more news than can be told");
    }
}

/// The payload of the event that tells these news of `about`; documented in `README.md`.
fn payload(about: &Subscription, news: &News) -> Bytes {
    let host = about.terms.endpoint().map(|endpoint| endpoint.host().to_string());
    let mut members = Map::new();
    members.insert("subscription_id".to_owned(), about.id.as_raw().into());
    members.insert("owner_id".to_owned(), about.owner.as_raw().into());
    members.insert("event_type".to_owned(), about.terms.event_type.as_str().into());
    members.insert("endpoint_host".to_owned(), host.unwrap_or_default().into());
    if let Value::Object(more) = particulars(news) {
        members.extend(more);
    }
    Value::Object(members).to_string().into()
}

fn particulars(news: &News) -> Value {
    match news {
        News::Paused(hold) => json!({
            "reason": hold.reason,
            "by": hold.by,
            "since": rfc3339(hold.since),
            "until": hold.until.map(rfc3339),
            "mode": hold.mode.as_str(),
        }),
        News::Failing { since, failures, last_error } => {
            json!({ "since": rfc3339(*since), "consecutive_failures": failures, "last_error": last_error })
        }
        News::Recovered { failing_since, at } => {
            json!({ "failing_since": rfc3339(*failing_since), "since": rfc3339(*at) })
        }
        News::Dead(death) => {
            let Death { delivery, event, event_type, attempts, last_error, skipped_by, at } = death;
            json!({
                "delivery_id": delivery,
                "event_id": event,
                "event_type": event_type,
                "attempts": attempts,
                "last_error": last_error,
                "skipped_by": skipped_by,
                "since": rfc3339(*at),
            })
        }
    }
}
