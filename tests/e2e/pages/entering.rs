//! Who gets in, and which forms count.

use std::{
    sync::mpsc::channel,
    thread::scope,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    scene::Scene,
    support::{
        browser::Browser,
        database::{Database, on_both},
        engine::TOKEN,
    },
};

on_both! { blocking:
    a_token_opens_the_pages_until_it_is_revoked_or_the_session_ends,
    only_forms_of_our_own_pages_count,
    guessing_keeps_nobody_out,
}

fn a_token_opens_the_pages_until_it_is_revoked_or_the_session_ends(database: &Database) {
    let scene = Scene::new(database, &[]);
    let base = scene.engine.base();
    let nobody = Browser::new(base);
    let sent_away = nobody.get("/?from=a%20letter");
    assert_eq!((sent_away.status, sent_away.header("location")), (303, Some("/login?next=%2F%3Ffrom%3Da%2520letter")));
    let refused = nobody.send("/login", &[("token", "<script>")], &[]);
    assert_eq!((refused.status, refused.header("set-cookie")), (401, None));
    assert!(!refused.text.contains("<script>"), "{}", refused.text);
    let long = nobody.send("/login", &[("token", TOKEN), ("next", &"x".repeat(32 * 1024))], &[]);
    assert_eq!(long.status, 413, "nobody has to be let in for what he sends to take room");
    let lured = nobody.send("/login", &[("token", TOKEN), ("next", "//evil.example/")], &[]);
    assert_eq!((lured.status, lured.header("location")), (303, Some("/")));
    let cookie = lured.header("set-cookie").expect("a session");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    let behind_tls = nobody.send("/login", &[("token", TOKEN)], &[("X-Forwarded-Proto", "https")]);
    assert!(behind_tls.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")), "{behind_tls:?}");

    let head = scene.api.send("HEAD", "/login", &[], b"").expect("an answer");
    assert_eq!((head.status, head.text.as_str()), (200, ""));

    let admin = Browser::logged_in(base, TOKEN);
    let page = admin.get("/");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin")]
    {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert!(!page.text.contains("style=\"") && !page.text.contains(" onclick="), "{}", page.text);
    for asset in page.text.split(['"']).filter(|text| text.starts_with("/assets/")) {
        let asset = nobody.get(asset);
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }

    let made = scene.api.post_json("/api/v1/users", &json!({"name": "shop"}), 201);
    let shop = Browser::logged_in(base, made["token"].as_str().expect("shown once"));
    shop.page("/");
    let path = format!("/api/v1/users/{}", made["id"]);
    scene.api.patch(&path, &json!({"is_active": false})).expect("an answer").expect(200);
    assert_eq!(shop.get("/").status, 303);
    scene.api.patch(&path, &json!({"is_active": true})).expect("an answer").expect(200);
    assert_eq!(shop.get("/").status, 303, "who was out logs in again");

    assert_eq!(admin.submit("/logout", &[]).status, 303);
    assert_eq!(admin.get("/").status, 303);
}

fn only_forms_of_our_own_pages_count(database: &Database) {
    let scene = Scene::new(database, &[]);
    let admin = Browser::logged_in(scene.engine.base(), TOKEN);
    let csrf = admin.csrf();
    let (with, without): (&[_], &[_]) = (&[("csrf", csrf.as_str())], &[]);
    for (fields, headers) in [
        (without, &[][..]),
        (&[("csrf", "")], &[]),
        (&[("csrf", "0000")], &[("Sec-Fetch-Site", "same-origin")]),
        (with, &[("Sec-Fetch-Site", "cross-site")]),
        (with, &[("Origin", "https://evil.example")]),
        (with, &[("Origin", "null")]),
    ] {
        let answer = admin.send("/logout", fields, headers);
        assert_eq!(answer.status, 403, "{fields:?} {headers:?}");
    }
    let other = Browser::logged_in(scene.engine.base(), TOKEN);
    assert_eq!(other.send("/logout", with, &[]).status, 403, "what is another session's is not ours");
    let lured =
        Browser::new(scene.engine.base()).send("/login", &[("token", TOKEN)], &[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!((lured.status, lured.header("set-cookie")), (403, None));
    admin.page("/");
    let origin = scene.engine.base();
    assert_eq!(admin.send("/logout", with, &[("Origin", origin)]).status, 303);
    // The API knows no cookie.
    let answer = other.send("/api/v1/subscriptions/1/pause", with, &[]);
    assert_eq!(answer.status, 401, "{}", answer.text);
}

fn guessing_keeps_nobody_out(database: &Database) {
    const GUESSES: usize = 40;
    let scene = Scene::new(database, &[]);
    let base = scene.engine.base();
    let (tell, told) = channel();
    scope(|threads| {
        for _ in 0..GUESSES {
            let tell = tell.clone();
            threads.spawn(move || {
                let refused = Browser::new(base).send("/login", &[("token", "guessed")], &[]);
                tell.send(refused.status).expect("somebody listens");
            });
        }
        assert_eq!(told.recv().expect("a status"), 401);
        // The other guesses wait for as long as several refusals take.
        let asked = Instant::now();
        Browser::logged_in(base, TOKEN);
        assert!(asked.elapsed() < Duration::from_secs(1), "behind the guesses: {:?}", asked.elapsed());
        assert!(told.iter().take(GUESSES - 1).all(|status| status == 401));
    });
}
