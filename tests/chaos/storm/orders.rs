//! What people do meanwhile: they pause, resume, change, deactivate and activate. Each insists until it is answered.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

use super::{Publishers, Scene};
use crate::support::{
    api::{NoReply, Reply},
    eventually::eventually,
};

/// A database that has just been killed, an engine that has just started.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again until the answer is 200.
fn insist(what: &str, ask: impl Fn() -> Result<Reply, NoReply>) {
    eventually(what, PATIENCE, || match ask() {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

pub(crate) fn pause(scene: &Scene, n: usize) {
    let path = format!("/api/v1/subscriptions/{}/pause", scene.subscriptions[n].id);
    insist("a pause", || scene.bed.api.post(&path, &json!({"reason": "storm"})));
}

pub(crate) fn resume(scene: &Scene, n: usize) {
    let path = format!("/api/v1/subscriptions/{}/resume", scene.subscriptions[n].id);
    insist("a resumption", || scene.bed.api.post(&path, &json!({})));
}

/// How deliveries flow, or where they go: the same endpoint by another name.
pub(crate) fn change(scene: &Scene, n: usize, random: &mut StdRng) {
    let subscription = &scene.subscriptions[n];
    let (flow, hook) = (format!("/api/v1/subscriptions/{}", subscription.id), hook(subscription.id));
    let (path, body): (&str, Value) = match random.random_range(0..4) {
        0 => (&flow, json!({"max_in_flight": random.random_range(1..=64)})),
        1 => (&flow, json!({"rate": {"per_second": random.random_range(200..=1_000)}})),
        2 => (&flow, json!({"rate": null})),
        _ => {
            let target = scene.endpoints[subscription.endpoint].url(&format!("/{n}?v={}", random.random_range(0..100)));
            (&hook, json!({"target_url": target, "secret_key": "of the storm"}))
        }
    };
    insist("a change", || scene.bed.api.patch(path, &body));
}

/// Deactivates a subscription or, if it is not active, activates it.
pub(crate) fn change_mind(scene: &mut Scene, n: usize, publishers: &Publishers) {
    let subscription = &scene.subscriptions[n];
    let is_active = subscription.owed_from.is_none();
    let path = hook(subscription.id);
    insist("a change of mind", || scene.bed.api.patch(&path, &json!({"is_active": is_active})));
    scene.subscriptions[n].owed_from = is_active.then(|| publishers.next_number());
}

fn hook(id: i64) -> String {
    format!("/whisperer/hooks/{id}/")
}
