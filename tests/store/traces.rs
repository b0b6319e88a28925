//! What attempts met on their way: kept beside them, the heads of requests once for all.

use std::{sync::Arc, time::Duration};

use postrider::{
    domain::{
        delivery::Verdict,
        id::{DeliveryId, SubscriptionId},
        trace::{RequestHead, ResponseHeaders, Trace},
    },
    store::{
        erase::{Erasure, carried_out, order_erasure},
        record::Record,
        traces::{NewHead, record_with_heads},
    },
};

use crate::{
    scene::{NOW, Scene, at, record},
    support::database::{Database, on_both},
};

on_both! {
    a_trace_comes_back_as_it_was,
    a_head_is_stored_once_for_each_subscription,
    a_batch_brings_several_heads,
    an_attempt_whose_head_is_gone_tells_no_request,
    heads_go_with_what_a_subscription_was_sent,
}

fn head(url: &str) -> Arc<RequestHead> {
    let headers = [("host", Some("şube.example \"🚚\"")), ("webhook-id", None), ("x-api-key", Some("hunter2"))];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    RequestHead::new(url.to_owned(), headers).into()
}

fn traced(delivery: DeliveryId, trace: Trace) -> Record {
    let mut record = record(delivery, 1, 200, Verdict::Delivered);
    record.attempt.trace = trace;
    record
}

fn with_request(delivery: DeliveryId, head: &Arc<RequestHead>) -> Record {
    traced(delivery, Trace { request: Some(Arc::clone(head)), ..Trace::default() })
}

async fn write(scene: &Scene, subscription: SubscriptionId, heads: &[&Arc<RequestHead>], records: Vec<Record>) {
    let heads: Vec<NewHead> = heads.iter().map(|head| NewHead { subscription, head: Arc::clone(head) }).collect();
    scene.write(move |c| record_with_heads(c, &heads, &records, NOW)).await;
}

async fn a_trace_comes_back_as_it_was(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let head = head("https://one.example/in?a=1");
    let full = Trace {
        remote: Some("[2001:db8::1%7]:65535".parse().expect("an address")),
        dns: Some(Duration::from_micros(1)),
        connect: Some(Duration::from_micros(2_345)),
        tls: Some(Duration::from_secs(3)),
        first_byte: Some(Duration::ZERO),
        request: Some(Arc::clone(&head)),
        response: Some(ResponseHeaders::new([("X-Şehir", "İstanbul 🚚 \\ \"".as_bytes()), ("Set-Cookie", b"a")])),
    };
    let cut = Trace { response: Some(ResponseHeaders::of("[]".to_owned(), true)), ..Trace::default() };
    let traces = [full, cut, Trace::default()];
    let ids = scene.owe(subscription, traces.len()).await;
    let records = ids.iter().zip(traces.clone()).map(|(id, trace)| traced(*id, trace)).collect();
    write(&scene, subscription, &[&head], records).await;
    for (id, trace) in ids.into_iter().zip(traces) {
        assert_eq!(scene.delivery(id).await.1[0].trace, trace);
    }
}

async fn a_head_is_stored_once_for_each_subscription(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let head = head("https://one.example/");
    for (to, id) in
        [(one, scene.owe(one, 1).await[0]), (one, scene.owe(one, 1).await[0]), (two, scene.owe(two, 1).await[0])]
    {
        write(&scene, to, &[&head], vec![with_request(id, &head)]).await;
        assert_eq!(scene.delivery(id).await.1[0].trace.request.as_ref(), Some(&head));
    }
    assert_eq!(scene.count("request_heads").await, 2);
    assert_eq!(scene.count("request_heads WHERE headers LIKE '%hunter2%'").await, 0);
}

async fn a_batch_brings_several_heads(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    let heads = [head("https://one.example/"), head("https://one.example/moved")];
    let records = ids.iter().zip(&heads).map(|(id, head)| with_request(*id, head)).collect();
    write(&scene, subscription, &[&heads[0], &heads[1]], records).await;
    for (id, head) in ids.into_iter().zip(&heads) {
        assert_eq!(scene.delivery(id).await.1[0].trace.request.as_ref(), Some(head));
    }
}

async fn an_attempt_whose_head_is_gone_tells_no_request(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let id = scene.owe(subscription, 1).await[0];
    write(&scene, subscription, &[], vec![with_request(id, &head("https://one.example/"))]).await;
    assert_eq!(scene.delivery(id).await.1[0].trace, Trace::default());
}

async fn heads_go_with_what_a_subscription_was_sent(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let head = head("https://one.example/");
    for to in [one, two] {
        let id = scene.owe(to, 1).await[0];
        write(&scene, to, &[&head], vec![with_request(id, &head)]).await;
    }
    let up_to = DeliveryId::from_raw(i64::MAX >> 10);
    let erasure = Erasure { subscription: one, up_to, ordered_by: "ali".to_owned(), ordered_at: at(1) };
    scene.write(move |c| order_erasure(c, &erasure).and_then(|()| carried_out(c, &erasure))).await;
    let left = (scene.count("request_heads").await, scene.count("erasures").await);
    assert_eq!(left, (1, 0), "that of the other subscription, and no order");
}
