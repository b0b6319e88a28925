//! Everybody sees their own things, whatever is written in them, and nobody else's.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        browser::Browser,
        database::{Database, on_both},
        engine::TOKEN,
        eventually::eventually,
        sink::{Answer, Behaviour},
    },
};

on_both! { blocking:
    what_is_anothers_is_not_there,
    nothing_that_others_write_is_run,
    what_is_not_there_is_told_to_people_as_a_page,
}

/// The newest delivery of a subscription, once it was attempted.
fn attempted(scene: &Scene, subscription: i64) -> Value {
    eventually("an attempt", SOON, || {
        let newest = scene.api.deliveries(&format!("subscription={subscription}")).into_iter().next();
        newest.filter(|delivery| delivery["attempts"] != 0).ok_or("none")
    })
}

fn what_is_anothers_is_not_there(database: &Database) {
    let scene = Scene::new(database, &[]);
    let shop = Browser::logged_in(scene.engine.base(), &scene.engine.add_user(&["shop"]));
    let theirs = scene.subscribe("/theirs", json!({}));
    let own = scene.api.with_token("token-of-shop").subscribe(TYPE, &scene.sink.url("/own"), json!({}));
    let event = scene.publish(1)["id"].clone();
    let (delivery, mine) = (attempted(&scene, theirs)["id"].clone(), attempted(&scene, own)["id"].clone());
    let unseen = scene.api.publish("shipment.created", &json!({"id": 2}))["id"].clone();

    for path in ["/", "/subscriptions", "/deliveries", "/replays", "/playground"] {
        let page = shop.page(path);
        assert!(
            !page.contains("/theirs") && !page.contains("href=\"/admin\"") && !page.contains("href=\"/events\""),
            "{path}"
        );
    }
    assert!(shop.page("/subscriptions").contains("/own"));
    assert!(shop.page(&format!("/deliveries?subscription={theirs}")).contains("There are none."));
    for path in [
        format!("/subscriptions/{theirs}"),
        format!("/subscriptions/{theirs}/edit"),
        format!("/deliveries/{delivery}"),
        format!("/events/{unseen}"),
        "/subscriptions/none".to_owned(),
        "/playground/bins/00".to_owned(),
    ] {
        assert_eq!(shop.get(&path).status, 404, "{path}");
    }
    let seen = shop.page(&format!("/events/{event}"));
    assert!(
        seen.contains(&format!("/deliveries/{mine}")) && !seen.contains(&format!("/deliveries/{delivery}")),
        "{seen}"
    );
    assert!(!seen.contains("Publisher") && !seen.contains("admin"), "who else is there is an admin's business: {seen}");
    for path in ["/admin", "/admin/users/1", "/events"] {
        assert_eq!(shop.get(path).status, 403, "{path}");
    }
    for (path, what) in [
        (format!("/subscriptions/{theirs}"), "pause"),
        (format!("/subscriptions/{theirs}"), "end"),
        (format!("/subscriptions/{theirs}"), "test"),
        (format!("/subscriptions/{theirs}/edit"), "save"),
        (format!("/deliveries/{delivery}"), "redeliver"),
        (format!("/deliveries/{delivery}"), "skip"),
        (format!("/events/{unseen}"), ""),
        ("/replays/7".to_owned(), ""),
    ] {
        assert_eq!(shop.submit(&path, &[("do", what)]).status, 404, "{what} {path}");
    }
    let id = delivery.to_string();
    let bulk = shop.submit("/deliveries/redeliver", &[("delivery", &id)]);
    assert!(bulk.text.contains("0 of 1 arrived"), "{}", bulk.text);
    for (path, what) in [("/admin", "add"), ("/admin/users/1", "change"), ("/admin/users/1", "token")] {
        assert_eq!(shop.submit(path, &[("do", what), ("name", "x")]).status, 403, "{what} {path}");
    }
    assert_eq!(scene.api.subscription(theirs)["state"], "active");
    assert_eq!(scene.api.delivery(delivery.as_i64().expect("an id"))["attempts"], 1);
}

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";

fn nothing_that_others_write_is_run(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.api.post_json("/api/v1/users", &json!({"name": HOSTILE, "token": "hostile"}), 201);
    let hostile = scene.api.with_token("hostile");
    let answer =
        Answer::new(500).with_header("Content-Type", "text/html;\"><script>alert(1)</script>").with_body(HOSTILE);
    scene.sink.script("/in", [Behaviour::Answer(answer)]);
    let order = json!({
        "event_type": TYPE,
        "endpoint": scene.sink.url("/in?<script>alert(1)</script>"),
        "headers": {"X-Key": HOSTILE},
        "basic_auth": {"username": HOSTILE.replace(':', ""), "password": "hush-1"},
        "ordering": "key",
    });
    let subscription = hostile.post_json("/api/v1/subscriptions", &order, 201)["id"].as_i64().expect("an id");
    let event = json!({"event_type": TYPE, "payload": {"id": HOSTILE}, "ordering_key": HOSTILE});
    let event = scene.api.post_json("/api/v1/events", &event, 202)["id"].clone();
    let delivery = attempted(&scene, subscription)["id"].clone();
    scene.api.post_json(&format!("/api/v1/deliveries/{delivery}/set-aside"), &json!({"reason": HOSTILE}), 200);
    scene.api.pause(subscription, &json!({"reason": HOSTILE}));

    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let encoded = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    let mut told = 0;
    for path in [
        "/".to_owned(),
        "/subscriptions".to_owned(),
        format!("/subscriptions/{subscription}"),
        format!("/subscriptions/{subscription}?told={encoded}"),
        format!("/subscriptions/{subscription}/edit"),
        format!("/subscriptions/new?endpoint={encoded}"),
        "/deliveries".to_owned(),
        format!("/deliveries?ordering_key={encoded}&host={encoded}"),
        format!("/deliveries?{encoded}=1"),
        format!("/deliveries/{delivery}"),
        "/deliveries/redeliver".to_owned(),
        "/events".to_owned(),
        format!("/events?publisher={encoded}"),
        format!("/events/{event}"),
        format!("/replays?subscription={encoded}"),
        "/admin".to_owned(),
        "/admin/users/2".to_owned(),
        format!("/login?next=/{encoded}"),
        format!("/subscriptions/{encoded}"),
    ] {
        let page = admin.get(&path);
        assert!(page.status < 500, "{path}: {}", page.text);
        let text = page.text.to_lowercase();
        assert!(!text.contains("<script>") && !text.contains("<img") && !text.contains("hush-1"), "{path}: {text}");
        told += usize::from(text.contains("&lt;script&gt;"));
    }
    assert!(told >= 10, "the texts are shown, as texts: {told}");
    let shown = admin.page(&format!("/deliveries/{delivery}"));
    assert!(shown.contains("webhook-signature") && shown.contains("x-key: …"), "{shown}");
}

fn what_is_not_there_is_told_to_people_as_a_page(database: &Database) {
    let scene = Scene::new(database, &[]);
    let kind = |path: &str, accept: &str| {
        let reply = scene.api.send("GET", path, &[("Accept", accept)], b"").expect("an answer");
        assert_eq!(reply.status, 404, "{path}");
        reply.header("content-type").unwrap_or_default().to_owned()
    };
    assert_eq!(kind("/nothing", "text/html,*/*"), "text/html; charset=utf-8");
    for (path, accept) in [("/nothing", "*/*"), ("/api/v1/nothing", "text/html")] {
        assert_eq!(kind(path, accept), "application/problem+json", "{path} {accept}");
    }
}
