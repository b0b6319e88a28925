//! The playground: a bin takes what is sent to it and shows it to whoever made it, and signatures are verified.

use serde_json::json;

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        browser::Browser,
        database::{Database, on_both},
        engine::TOKEN,
        eventually::eventually,
    },
};

on_both! { blocking: a_bin_is_subscribed_and_its_signatures_are_valid, the_guard_knows_nothing_of_bins }

/// Makes a bin; gives the path of its page.
fn make(browser: &Browser) -> String {
    let made = browser.submit("/playground", &[("do", "bin")]);
    made.header("location").unwrap_or_else(|| panic!("no bin: {}", made.text)).to_owned()
}

fn a_bin_is_subscribed_and_its_signatures_are_valid(database: &Database) {
    let scene = Scene::new(database, &[]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let page = make(&admin);
    let name = page.rsplit('/').next().expect("a name");
    let url = format!("{}/bin/{name}", scene.engine.base());
    assert!(admin.page(&page).contains(&url));
    let order = json!({"event_type": TYPE, "endpoint": url, "secret": "hush"});
    let id = scene.api.post_json("/api/v1/subscriptions", &order, 201)["id"].as_i64().expect("an id");
    scene.api.publish(TYPE, &json!({"note": "<script>alert(1)</script>"}));
    scene.settle(id, SOON);
    let shown = eventually("the delivery in the bin", SOON, || {
        let shown = admin.page(&page);
        if shown.contains("webhook-signature") { Ok(shown) } else { Err(shown) }
    });
    assert!(!shown.contains("<script>alert"), "{shown}");
    let value = |header: &str| {
        let rest = shown.split(&format!("<code>{header}</code></th>")).nth(1).expect("the header came");
        let value = rest.split("<code>").nth(1).and_then(|rest| rest.split('<').next()).expect("it has a value");
        value.to_owned()
    };
    let (webhook_id, timestamp, signature) =
        (value("webhook-id"), value("webhook-timestamp"), value("webhook-signature"));
    let body = format!(
        "{{\"event\": {{\"type\": \"{TYPE}\", \"uuid\": \"{webhook_id}\"}}, \"payload\": {}}}",
        json!({"note": "<script>alert(1)</script>"})
    );
    let whisperer = value("x-whisperer-signature");
    let form = [
        ("do", "verify"),
        ("secret", "hush"),
        ("body", &body),
        ("id", &webhook_id),
        ("timestamp", &timestamp),
        ("signature", &signature),
        ("whisperer", &whisperer),
    ];
    let verified = admin.submit("/playground", &form);
    assert_eq!(verified.text.matches("is valid.").count(), 2, "{}", verified.text);
    let other = admin.submit("/playground", &[&form[..1], &[("secret", "other")], &form[2..]].concat());
    assert_eq!(other.text.matches("is not what this secret makes").count(), 2, "{}", other.text);
    let missing = admin.submit("/playground", &[("do", "verify"), ("secret", "s"), ("signature", "v1,x")]);
    assert!(missing.status == 422 && missing.text.contains("id=\"e-id\""), "{}", missing.text);

    let shop = Browser::logged_in(scene.engine.base(), &scene.engine.add_user(&["shop"]));
    assert_eq!(shop.get(&page).status, 404);
    assert_eq!(shop.submit(&page, &[("do", "remove")]).status, 404);
    let subscription = id.to_string();
    let foreign = make(&shop);
    assert_eq!(shop.submit(&foreign, &[("do", "fill"), ("subscription", &subscription)]).status, 404);
    assert!(!shop.page(&foreign).contains("webhook-signature"));
    assert_eq!(admin.submit(&page, &[("do", "answer"), ("status", "503")]).status, 303);
    let bin = format!("/bin/{name}");
    assert_eq!(Browser::new(scene.engine.base()).send(&bin, &[("a", "b")], &[]).status, 503);
    assert_eq!(Browser::new(scene.engine.base()).get("/bin/00").status, 404);
    assert_eq!(admin.submit(&page, &[("do", "remove")]).status, 303);
    assert_eq!(Browser::new(scene.engine.base()).get(&bin).status, 404);
}

fn the_guard_knows_nothing_of_bins(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_EGRESS_ALLOW", "192.0.2.0/24")]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let page = make(&admin);
    let shown = admin.page(&page);
    assert!(shown.contains("Webhooks do not go there") && shown.contains("POSTRIDER_EGRESS_ALLOW"), "{shown}");
    let name = page.rsplit('/').next().expect("a name");
    let order = json!({"event_type": TYPE, "endpoint": format!("{}/bin/{name}", scene.engine.base())});
    scene.api.post_json("/api/v1/subscriptions", &order, 422);
    let order = json!({
        "event_type": TYPE, "endpoint": "https://192.0.2.1/in", "secret": "hush", "headers": {"X-Key": "hush-2"}
    });
    let id = scene.api.post_json("/api/v1/subscriptions", &order, 201)["id"].to_string();
    assert_eq!(admin.submit(&page, &[("do", "fill"), ("subscription", &id)]).status, 303);
    let shown = admin.page(&page);
    assert!(shown.contains("x-postrider-test") && shown.contains("webhook-signature"), "{shown}");
    assert!(!shown.contains("hush-2"), "{shown}");
    assert_eq!(admin.submit(&page, &[("do", "fill"), ("subscription", "none")]).status, 422);
}
