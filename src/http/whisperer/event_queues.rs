//! `/whisperer/event_queues/`: deliveries until the end of their first attempt (contract, section 8).

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Asked,
    answer::{Answer, Served},
    filters::Filters,
    format::{compact, date, escape_line_ends},
    list, ordering,
    ordering::Column,
    route::Id,
};
use crate::{
    domain::id::{DeliveryId, SubscriptionId},
    store::{
        Lane,
        lists::{
            List, Skip,
            waiting::{Filter, Key, Waiting},
        },
    },
};

/// The columns of the reference's table.
const COLUMNS: [Column<Key>; 10] = [
    ("id", Some(Key::Id)),
    ("created_date", Some(Key::AcceptedAt)),
    ("modified_date", Some(Key::AcceptedAt)),
    ("uuid", None),
    ("hook_id", Some(Key::Subscription)),
    ("event_type", Some(Key::EventType)),
    ("app_label", None),
    ("model_name", None),
    ("object_id", None),
    ("instance_dict", None),
];

/// An `event_queue`, its keys in order.
#[derive(Serialize)]
struct EventQueue<'a> {
    id: DeliveryId,
    created_date: String,
    modified_date: String,
    uuid: Uuid,
    hook_id: SubscriptionId,
    event_type: &'a str,
    /// Always null, as for the reference's dict payloads; so are the next two.
    app_label: Option<String>,
    model_name: Option<String>,
    object_id: Option<String>,
    instance_dict: Box<RawValue>,
}

fn entry(waiting: &Waiting) -> String {
    let accepted_at = date(waiting.accepted_at);
    let payload = compact(&String::from_utf8_lossy(&waiting.payload));
    let row = EventQueue {
        id: waiting.id,
        created_date: accepted_at.clone(),
        modified_date: accepted_at,
        uuid: own_uuid(waiting.id),
        hook_id: waiting.subscription,
        event_type: waiting.event_type.as_str(),
        app_label: None,
        model_name: None,
        object_id: None,
        instance_dict: RawValue::from_string(payload).expect("payloads are checked to be JSON when they are accepted"),
    };
    escape_line_ends(serde_json::to_string(&row).expect("an event_queue serialises"))
}

/// A uuid that has nothing to do with the one on the wire, and is always the same for this row.
fn own_uuid(id: DeliveryId) -> Uuid {
    let digest = Sha256::new().chain_update("event_queue").chain_update(id.as_raw().to_be_bytes()).finalize();
    Uuid::new_v8(digest[..16].try_into().expect("a digest has 32 bytes"))
}

/// The waiting deliveries in scope.
pub(super) async fn index(asked: &Asked<'_>) -> Served {
    let mut filters = Filters::new(&asked.query);
    let event_type = filters.text("event_type");
    let (object_id, model_name) = (filters.text("object_id"), filters.text("model_name"));
    filters.faults().map_err(|faults| Answer::faults(&faults))?;
    if object_id.is_some() || model_name.is_some() {
        return list::serve_nothing(asked);
    }
    let order = ordering::read(&asked.query, &COLUMNS);
    list::serve(asked, Filter { scope: asked.owner.scope(), delivery: None, event_type, order }, entry).await
}

/// One waiting delivery.
pub(super) async fn show(asked: &Asked<'_>, id: Id) -> Served {
    let id = id.ok_or_else(Answer::not_found)?;
    let filter = Filter {
        scope: asked.owner.scope(),
        delivery: Some(DeliveryId::from_raw(id)),
        event_type: None,
        order: Vec::new(),
    };
    let keys = asked.state.store.keys();
    let work = move |connection: &mut _| {
        let ids = filter.ids(connection, Skip::Rows(0), 1)?;
        filter.rows(connection, &keys, &ids)
    };
    let found = asked.state.store.run(Lane::Read, work).await?.pop().ok_or_else(Answer::not_found)?;
    Ok(Answer::ok_text(entry(&found)))
}
