//! What people do meanwhile: they pause, resume, change, deactivate, activate and replay. Each insists until it is answered.

use std::time::Duration;

use postrider::clock::{Clock, rfc3339};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

use super::{Publishers, Scene, receiver::Order};
use crate::support::{
    api::{NoReply, Reply},
    eventually::eventually,
};

/// A database that has just been killed, an engine that has just started.
const PATIENCE: Duration = Duration::from_mins(1);
/// What was accepted within this time is replayed.
const REPLAYED: Duration = Duration::from_secs(15);

/// Asks again until the answer is one of these.
fn insist(what: &str, wanted: &[u16], ask: impl Fn() -> Result<Reply, NoReply>) {
    eventually(what, PATIENCE, || match ask() {
        Ok(reply) if wanted.contains(&reply.status) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

pub(crate) fn pause(scene: &Scene, n: usize) {
    let path = format!("/api/v1/subscriptions/{}/pause", scene.subscriptions[n].id);
    insist("a pause", &[200], || scene.bed.api.post(&path, &json!({"reason": "storm"})));
    scene.subscriptions[n].receiver.paused();
}

pub(crate) fn resume(scene: &Scene, n: usize) {
    let path = format!("/api/v1/subscriptions/{}/resume", scene.subscriptions[n].id);
    scene.subscriptions[n].receiver.to_be_resumed();
    insist("a resumption", &[200], || scene.bed.api.post(&path, &json!({})));
}

/// How deliveries flow, or where they go: the same endpoint by another name.
pub(crate) fn change(scene: &Scene, n: usize, random: &mut StdRng) {
    let subscription = &scene.subscriptions[n];
    let (flow, hook) = (format!("/api/v1/subscriptions/{}", subscription.id), hook(subscription.id));
    let (path, body): (&str, Value) = match random.random_range(0..5) {
        4 if subscription.is_reordered => {
            (&flow, json!({"ordering": Order::name(if random.random() { Order::Key } else { Order::All })}))
        }
        0 => (&flow, json!({"max_in_flight": random.random_range(1..=64)})),
        1 => (&flow, json!({"rate": {"per_second": random.random_range(200..=1_000)}})),
        2 | 4 => (&flow, json!({"rate": null})),
        _ => {
            let target = scene.endpoints[subscription.endpoint].url(&format!("/{n}?v={}", random.random_range(0..100)));
            (&hook, json!({"target_url": target, "secret_key": "of the storm"}))
        }
    };
    insist("a change", &[200], || scene.bed.api.patch(path, &body));
}

/// Deactivates a subscription or, if it is not active, activates it.
pub(crate) fn change_mind(scene: &mut Scene, n: usize, publishers: &Publishers) {
    let subscription = &scene.subscriptions[n];
    let is_active = subscription.owed_from.is_none();
    let path = hook(subscription.id);
    insist("a change of mind", &[200], || scene.bed.api.patch(&path, &json!({"is_active": is_active})));
    scene.subscriptions[n].owed_from = is_active.then(|| publishers.next_number());
}

/// Has what arrived lately sent again. Refused where a replay runs already, or nobody is to get anything.
pub(crate) fn replay(scene: &Scene, n: usize) {
    let from = rfc3339(Clock::system().now().before(REPLAYED));
    let order = json!({"subscription": scene.subscriptions[n].id, "states": ["delivered"], "from": from});
    insist("a replay", &[201, 409], || scene.bed.api.post("/api/v1/replays", &order));
}

fn hook(id: i64) -> String {
    format!("/whisperer/hooks/{id}/")
}
