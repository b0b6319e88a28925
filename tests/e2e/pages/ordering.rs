//! What can be ordered on the pages, and how what is wrong is told.

use serde_json::json;

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        browser::Browser,
        database::{Database, on_both},
        engine::TOKEN,
        eventually::eventually,
        sink::Behaviour,
    },
};

on_both! { blocking:
    a_subscription_is_made_changed_and_ended,
    a_blocked_key_and_many_dead_ones_are_seen_to,
    users_and_their_tokens_are_seen_to,
}

fn a_subscription_is_made_changed_and_ended(database: &Database) {
    let scene = Scene::new(database, &[]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let url = scene.sink.url("/in");
    let form = [("event_type", TYPE), ("endpoint", &url), ("retry", "fixed"), ("seconds", "60"), ("ordering", "none")];

    let wrong = admin.submit(
        "/subscriptions/new",
        &[("event_type", TYPE), ("endpoint", "no url"), ("retry", "fixed"), ("rate", "many")],
    );
    assert_eq!(wrong.status, 422);
    for (field, id) in [("endpoint", "e-endpoint"), ("retry", "e-retry"), ("rate", "e-rate"), ("ordering", "")] {
        assert_eq!(wrong.text.contains(&format!("id=\"{id}\"")), !id.is_empty(), "{field}: {}", wrong.text);
    }
    assert!(wrong.text.contains("value=\"no url\""), "what was filled in stays");
    let preview = admin.submit("/subscriptions/new", &[&form[..], &[("do", "preview")]].concat());
    assert!(preview.text.contains("attempted 19 times within 8 h 10 min"), "{}", preview.text);
    let made = admin.submit("/subscriptions/new", &form);
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.text.contains("whsec_"), "the secret is shown once");
    let page = admin.page("/subscriptions/1");
    assert!(!page.contains("whsec_") && page.contains("fixed: 60 s"), "{page}");

    let version = scene.api.subscription(1)["version"].to_string();
    let edit = [&form[..], &[("is_active", "true"), ("max_in_flight", "3"), ("version", &version)]].concat();
    assert_eq!(admin.submit("/subscriptions/1/edit", &edit).status, 303);
    assert_eq!(scene.api.subscription(1)["max_in_flight"], 3);
    let late = admin.submit("/subscriptions/1/edit", &edit);
    assert_eq!(late.status, 412, "two people do not undo each other");

    let test = admin.submit("/subscriptions/1", &[("do", "test")]);
    assert!(test.status == 200 && test.text.contains("The test arrived"), "{}", test.text);
    let wrong = admin.submit("/subscriptions/1", &[("do", "pause"), ("until", "2001-01-01T00:00")]);
    assert!(wrong.status == 422 && wrong.text.contains("id=\"e-until\""), "{}", wrong.text);
    let paused =
        admin.submit("/subscriptions/1", &[("do", "pause"), ("reason", "works"), ("until", "2099-01-01T00:00")]);
    assert_eq!(paused.header("location"), Some("/subscriptions/1?told=paused"));
    let hold = scene.api.subscription(1)["hold"].clone();
    assert_eq!((&hold["by"], &hold["until"]), (&json!("admin"), &json!("2099-01-01T00:00:00.000000Z")));
    assert!(admin.page("/").contains("works") && admin.page("/subscriptions/1?told=paused").contains("It is paused"));
    assert_eq!(admin.submit("/subscriptions/1", &[("do", "resume"), ("per_second", "2.5")]).status, 422);
    assert_eq!(admin.submit("/subscriptions/1", &[("do", "resume")]).status, 303);
    let rotated = admin.submit("/subscriptions/1", &[("do", "rotate"), ("overlap_seconds", "60")]);
    assert!(rotated.text.contains("whsec_") && rotated.text.contains("A former secret signs"), "{}", rotated.text);
    assert_eq!(admin.submit("/subscriptions/1", &[("do", "end")]).status, 303);
    assert_eq!(scene.api.subscription(1)["is_active"], false);
    let actions = admin.page("/subscriptions/1");
    for action in ["subscription.create", "subscription.pause", "subscription.rotate-secret", "subscription.delete"] {
        assert!(actions.contains(action), "{action}");
    }
}

fn a_blocked_key_and_many_dead_ones_are_seen_to(database: &Database) {
    let scene = Scene::new(database, &[]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let slow = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}}});
    let id = scene.subscribe("/in", slow);
    scene.change(id, &json!({"ordering": "key"}));
    scene.sink.script("/in", [Behaviour::status(500)]);
    scene.api.publish_batch(&[1, 2].map(|n| json!({"event_type": TYPE, "payload": {"id": 73, "number": n}})));
    let page = format!("/subscriptions/{id}");
    let blocker = eventually("the first to be refused", SOON, || {
        let all = scene.api.deliveries(&format!("subscription={id}&status=500"));
        all.first().map(|one| one["id"].to_string()).ok_or("none")
    });
    let queue = admin.page(&page);
    assert!(queue.contains("Blocked keys") && queue.contains("package:73"), "{queue}");
    let (path, back) = (format!("/deliveries/{blocker}"), format!("{page}#queue"));
    let aside = admin.submit(&path, &[("do", "set-aside"), ("reason", "wrong"), ("back", &back)]);
    assert_eq!(aside.header("location"), Some(format!("{page}?told=aside#queue").as_str()), "{}", aside.text);
    assert_eq!(admin.submit(&path, &[("do", "set-aside")]).status, 409);
    let shown = admin.page(&path);
    for text in ["set aside", "wrong", "Attempt 1", "webhook-signature", "--data-binary"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert_eq!(admin.submit(&path, &[("do", "skip")]).status, 303);
    let lured = admin.submit(&path, &[("do", "redeliver"), ("back", "//evil.example/")]);
    assert_eq!(lured.header("location"), Some("/?told=attempted"));

    let subscription = id.to_string();
    let replay = [("subscription", subscription.as_str()), ("states", "dead")];
    let count = admin.submit("/replays", &replay);
    assert!(count.text.contains("<strong>1</strong> deliveries would be put back"), "{}", count.text);
    let none = admin.submit("/replays", &[("subscription", "0"), ("states", "dead")]);
    assert_eq!(none.status, 404);
    let wrong = admin.submit("/replays", &[&replay[..], &[("per_second", "0")]].concat());
    assert!(wrong.status == 422 && wrong.text.contains("id=\"e-per_second\""), "{}", wrong.text);
    assert_eq!(admin.submit("/replays", &[&replay[..], &[("do", "order")]].concat()).status, 303);
    assert!(admin.page("/replays").contains("by admin"));
    assert_eq!(admin.submit("/replays/1", &[]).status, 303);

    scene.sink.script("/in", [Behaviour::status(200)]);
    let asked = admin.page(&format!("/deliveries/redeliver?subscription={id}&state="));
    assert!(asked.contains("Attempt 2 now"), "{asked}");
    let done = admin.submit("/deliveries/redeliver", &[("delivery", &blocker)]);
    assert!(done.text.contains("1 of 1 arrived"), "{}", done.text);
    let refused = admin.get("/deliveries?status=99");
    assert!(refused.status == 422 && refused.text.contains("id=\"e-status\""), "{}", refused.text);
}

fn users_and_their_tokens_are_seen_to(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_KEEP_DEAD", "7")]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let page = admin.page("/admin");
    assert!(page.contains("7 days") && !page.contains(TOKEN), "{page}");
    let made = admin.submit("/admin", &[("name", "shop"), ("role", "subscriber")]);
    let token = made.text.split("id=\"token\">").nth(1).and_then(|rest| rest.split('<').next()).expect("shown once");
    let shop = Browser::logged_in(scene.engine.base(), token);
    let again = admin.submit("/admin", &[("name", "shop"), ("role", "subscriber")]);
    assert_eq!(again.status, 409);
    let wrong = admin.submit("/admin", &[("name", " "), ("role", "subscriber")]);
    assert!(wrong.status == 422 && wrong.text.contains("id=\"e-name\""), "{}", wrong.text);
    let users = scene.api.get_json("/api/v1/users");
    let id = users["items"][1]["id"].clone();
    let path = format!("/admin/users/{id}");
    assert_eq!(admin.submit(&path, &[("do", "token"), ("token", "second-token")]).status, 201);
    let row = scene.api.get_json(&format!("/api/v1/users/{id}/tokens"))["items"][0]["id"].to_string();
    shop.page("/");
    assert_eq!(admin.submit(&path, &[("do", "revoke"), ("row", &row)]).status, 303);
    assert_eq!(shop.get("/").status, 303, "a revoked token is out at once");
    assert_eq!(admin.submit(&path, &[("do", "change"), ("role", "publisher"), ("is_active", "true")]).status, 303);
    Browser::logged_in(scene.engine.base(), "second-token").page("/events");
}
