//! Routes, methods and bodies as an integrator's client sees them: bytes out, bytes in.

use serde_json::json;

use crate::{
    client::Reply,
    scene::{hook, start},
    support::database::{Database, on_both},
};

on_both! {
    every_route_names_its_methods,
    only_writes_are_served_without_their_slash,
    a_body_that_is_no_json_is_told_in_pythons_words,
}

async fn every_route_names_its_methods(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    for (path, allow) in [
        ("/whisperer/", "GET, HEAD, OPTIONS"),
        ("/whisperer/hooks/", "GET, POST, HEAD, OPTIONS"),
        ("/whisperer/hooks/registry/", "GET, HEAD, OPTIONS"),
        ("/whisperer/hooks/404/", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
        ("/whisperer/hook_events/", "GET, HEAD, OPTIONS"),
        ("/whisperer/hook_events/404/", "GET, HEAD, OPTIONS"),
        ("/whisperer/hook_events/404/retry/", "POST, OPTIONS"),
        ("/whisperer/event_queues/", "GET, HEAD, OPTIONS"),
        ("/whisperer/event_queues/abc/", "GET, HEAD, OPTIONS"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let reply = admin.send(method, path, None, "");
            assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
            let allowed = allow.split(", ").any(|name| name == method);
            assert_eq!(reply.status == 405, !allowed, "{method} {path}: {}", reply.status);
            if !allowed && method != "HEAD" {
                assert_eq!(reply.body, format!(r#"{{"detail":"Method \"{method}\" not allowed."}}"#));
            }
        }
        let found = admin.send("GET", path, None, "").status;
        assert!(matches!((found, path.contains("404") || path.contains("abc")), (200, false) | (404 | 405, true)));
    }
    for path in ["/whisperer//", "/whisperer/nope/", "/whisperer/hooks/1/retry/", "/whisperer/hooks/a%2Fb/"] {
        let reply = admin.send("GET", path, None, "");
        assert_eq!((reply.status, reply.body.as_str()), (404, r#"{"detail":"Not found."}"#), "{path}");
    }
    let root = admin.send("GET", "/whisperer/", None, "").json();
    let hooks = root["hooks"].as_str().expect("a URL").to_owned();
    assert!(hooks.starts_with("http://127.0.0.1:") && hooks.ends_with("/whisperer/hooks/"), "{hooks}");
}

async fn only_writes_are_served_without_their_slash(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    for method in ["GET", "HEAD"] {
        for (path, location) in [
            ("/whisperer", "/whisperer/"),
            ("/whisperer/hooks?is_active=true&b=%20", "/whisperer/hooks/?is_active=true&b=%20"),
            ("/whisperer/hook_events/5/retry", "/whisperer/hook_events/5/retry/"),
        ] {
            let reply = admin.send(method, path, None, "");
            assert_eq!((reply.status, reply.header("location")), (301, Some(location)), "{method} {path}");
            assert_eq!(reply.body, "");
        }
    }
    let created = admin.post("/whisperer/hooks", &hook("a"));
    assert_eq!(created.status, 201, "{}", created.body);
    let path = format!("/whisperer/hooks/{}", created.json()["id"]);
    assert_eq!(admin.send("PATCH", &path, Some("application/json"), "{}").status, 200);
    assert_eq!(admin.send("DELETE", &path, None, "").status, 204);
}

async fn a_body_that_is_no_json_is_told_in_pythons_words(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    let detail = |reply: &Reply| reply.json()["detail"].as_str().unwrap_or_default().to_owned();
    for (media_type, body, status, told) in [
        (
            Some("application/json"),
            "{bad",
            400,
            "JSON parse error - Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            Some("APPLICATION/JSON; charset=bogus"),
            "{} x",
            400,
            "JSON parse error - Extra data: line 1 column 4 (char 3)",
        ),
        (
            Some("text/plain; charset=utf-8"),
            "{}",
            415,
            "Unsupported media type \"text/plain; charset=utf-8\" in request.",
        ),
        (
            Some("application/x-www-form-urlencoded"),
            "a=1",
            415,
            "Unsupported media type \"application/x-www-form-urlencoded\" in request.",
        ),
        (None, "{}", 415, "Unsupported media type \"\" in request."),
    ] {
        let reply = admin.send("POST", "/whisperer/hooks/", media_type, body);
        assert_eq!((reply.status, detail(&reply).as_str()), (status, told));
    }
    let empty = admin.send("POST", "/whisperer/hooks/", Some("text/plain"), "");
    let required = ["This field is required."];
    assert_eq!((empty.status, empty.json()), (400, json!({"target_url": required, "event_type": required})));
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(3_000_000));
    assert_eq!(admin.send("POST", "/whisperer/hooks/", Some("application/json"), &large).status, 400);
    let too_large = "x".repeat(5_000_000);
    assert_eq!(admin.send("POST", "/whisperer/hooks/", Some("application/json"), &too_large).status, 413);
}
