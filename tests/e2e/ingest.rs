//! The way in: what is accepted, what is refused and how that is told, and asking twice.

use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::{Arc, Barrier},
    thread,
};

use serde_json::{Value, json};

use crate::{
    load::Load,
    scene::{SOON, Scene, TYPE},
    support::{
        api::{Api, Reply},
        database::{Database, on_both},
        eventually::eventually,
    },
};

on_both! { blocking:
    an_answer_names_the_event_and_counts_its_deliveries,
    asking_twice_under_one_key_does_it_once,
    asking_at_the_same_moment_under_one_key_does_it_once,
    a_batch_is_taken_for_what_is_good_in_it,
    a_batch_has_its_limits,
    what_cannot_be_accepted_is_refused_with_the_reason,
    refusals_are_problems_wherever_they_come_from,
    past_the_bound_publishers_are_told_to_wait,
    publishers_who_hang_up_take_no_place,
}

const EVENTS: &str = "/api/v1/events";
const BATCH: &str = "/api/v1/events/batch";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A refusal as RFC 9457 wants it.
#[track_caller]
fn problem(reply: &Reply, status: u16, id: &str) -> Value {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    assert_eq!(reply.body["type"], format!("urn:postrider:problem:{id}"), "{reply:?}");
    assert_eq!(reply.body["status"], status, "{reply:?}");
    assert!(reply.body["title"].is_string() && reply.body["detail"].is_string(), "{reply:?}");
    reply.body.clone()
}

#[track_caller]
fn send(api: &Api, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    api.send("POST", path, headers, body.as_bytes()).expect("the engine answers")
}

fn an_answer_names_the_event_and_counts_its_deliveries(database: &Database) {
    let scene = Scene::new(database, &[]);
    let accepted = scene.publish(1);
    assert_eq!(accepted["deliveries"], 0);

    scene.subscribe("/a", json!({}));
    scene.subscribe("/b", json!({}));
    scene.subscribe("/inactive", json!({"is_active": false}));
    scene.api.subscribe("package.status.shipped", &scene.sink.url("/other"), json!({}));
    let accepted = scene.publish(2);
    assert_eq!(accepted["deliveries"], 2);
    assert_eq!(accepted["uuid"].as_str().map(str::len), Some(36), "{accepted}");
    assert_eq!(accepted.as_object().map(serde_json::Map::len), Some(3), "{accepted}");

    for path in ["/a", "/b"] {
        scene.sink.wait_for(path, 1, SOON);
    }
    let deliveries = scene.api.deliveries("");
    let events: HashSet<_> = deliveries.iter().map(|delivery| delivery["event"]["uuid"].as_str()).collect();
    assert_eq!(events, HashSet::from([accepted["uuid"].as_str()]), "{deliveries:?}");
    assert_eq!(scene.sink.count("/inactive") + scene.sink.count("/other"), 0);
}

fn asking_twice_under_one_key_does_it_once(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let event = |id: usize| json!({"event_type": TYPE, "payload": {"id": id}});
    let with_key = |id: usize, key: &str| {
        let mut event = event(id);
        event["idempotency_key"] = json!(key);
        event
    };
    let first = scene.api.post_json(EVENTS, &with_key(1, "order-1"), 202);
    assert_eq!(first["deliveries"], 1);
    assert_eq!(scene.api.post_json(EVENTS, &with_key(1, "order-1"), 202), first, "the first answer");
    let by_header = send(&scene.api, EVENTS, &[JSON, ("Idempotency-Key", "order-1")], &event(1).to_string());
    assert_eq!(by_header.expect(202), first, "the header means the same");
    let reused = scene.api.post(EVENTS, &with_key(2, "order-1")).expect("an answer");
    problem(&reused, 409, "idempotency-key-reused");
    let other_key = scene.api.post_json(EVENTS, &with_key(1, "Order-1"), 202);
    assert_ne!(other_key["id"], first["id"], "keys are compared exactly");

    // Whoever subscribes later changes nothing about the first answer, and neither does a crash.
    scene.subscribe("/later", json!({}));
    scene.crash();
    assert_eq!(scene.api.post_json(EVENTS, &with_key(1, "order-1"), 202), first);
    problem(&scene.api.post(EVENTS, &with_key(2, "order-1")).expect("an answer"), 409, "idempotency-key-reused");

    scene.settle(subscription, SOON);
    // The crash may have repeated an attempt, under the id of its delivery.
    let requests = scene.sink.requests("/in");
    let ids: HashSet<_> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), 2, "one delivery under each of two keys");
    assert_eq!(scene.sink.count("/later"), 0);
}

fn asking_at_the_same_moment_under_one_key_does_it_once(database: &Database) {
    const AT_ONCE: usize = 24;
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    for round in 1..=5 {
        let start = Arc::new(Barrier::new(AT_ONCE));
        let event = json!({"event_type": TYPE, "payload": {"id": round}, "idempotency_key": format!("k{round}")});
        let askers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (api, start, event) = (scene.api.clone(), Arc::clone(&start), event.clone());
                thread::spawn(move || {
                    start.wait();
                    api.post_json(EVENTS, &event, 202)["id"].as_i64()
                })
            })
            .collect();
        let ids: HashSet<_> = askers.into_iter().map(|asker| asker.join().expect("202")).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
    scene.settle(subscription, SOON);
    let mut arrived = scene.arrived("/in");
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3, 4, 5]);
}

fn a_batch_is_taken_for_what_is_good_in_it(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let good = |id: usize| format!(r#"{{"event_type":"{TYPE}","payload":{{"id":{id}}}}}"#);
    let unknown = r#"{"event_type":"package.exploded","payload":{}}"#;
    let no_payload = format!(r#"{{"event_type":"{TYPE}"}}"#);

    let json = format!("[{},{unknown},{},{no_payload},7]", good(1), good(2));
    let answer = send(&scene.api, BATCH, &[JSON], &json).expect(207);
    let statuses = |answer: &Value| -> Vec<u64> {
        let results = answer["results"].as_array().expect("a result each");
        results.iter().filter_map(|result| result["status"].as_u64()).collect()
    };
    assert_eq!(statuses(&answer), [202, 422, 202, 400, 400], "{answer}");
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(3)));
    assert_eq!(answer["results"][1]["type"], "urn:postrider:problem:unknown-event-type");
    assert_eq!(answer["results"][0]["deliveries"], 1);

    // The same as lines: a broken one spoils only itself, blank ones count for nothing.
    let lines = format!("{}\r\n\n{{\"event_type\":\n{}\n{unknown}\n", good(3), good(4));
    let answer = send(&scene.api, BATCH, &[("Content-Type", "application/x-ndjson")], &lines).expect(207);
    assert_eq!(statuses(&answer), [202, 400, 202, 422], "{answer}");

    let all_good = send(&scene.api, BATCH, &[JSON], &format!("[{}]", good(5))).expect(202);
    assert_eq!(statuses(&all_good), [202]);

    // One key twice in one batch is one event; another event under it is refused alone.
    let keyed = |id: usize| json!({"event_type": TYPE, "payload": {"id": id}, "idempotency_key": "k"});
    let answer = scene.api.post_json(BATCH, &json!([keyed(6), keyed(6), keyed(7)]), 207);
    assert_eq!(statuses(&answer), [202, 202, 409], "{answer}");
    assert_eq!(answer["results"][0]["id"], answer["results"][1]["id"]);

    scene.settle(subscription, SOON);
    let mut arrived = scene.arrived("/in");
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3, 4, 5, 6]);
}

fn a_batch_has_its_limits(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let event = |id: usize| json!({"event_type": TYPE, "payload": {"id": id}});
    let events = |count: usize| json!((0..count).map(event).collect::<Vec<_>>());

    let answer = scene.api.post_json(BATCH, &events(1_000), 202);
    assert_eq!(answer["accepted"], 1_000);
    let too_many = scene.api.post(BATCH, &events(1_001)).expect("an answer");
    assert!(problem(&too_many, 422, "invalid")["detail"].to_string().contains("1001"), "{too_many:?}");
    problem(&scene.api.post(BATCH, &json!([])).expect("an answer"), 422, "invalid");
    problem(&scene.api.post(BATCH, &event(1)).expect("an answer"), 400, "malformed");
    problem(&send(&scene.api, BATCH, &[JSON], "[{]"), 400, "malformed");

    scene.settle(subscription, SOON * 2);
    let arrived: HashSet<usize> = scene.arrived("/in").into_iter().collect();
    assert_eq!(arrived, (0..1_000).collect(), "each of the 1,000 and none of the 1,001");
}

fn what_cannot_be_accepted_is_refused_with_the_reason(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let unknown = scene.api.post(EVENTS, &json!({"event_type": "package.exploded", "payload": {}})).expect("an answer");
    let told = problem(&unknown, 422, "unknown-event-type");
    assert!(told["detail"].to_string().contains("package.exploded"), "{told}");
    assert!(told["allowed"].as_array().is_some_and(|allowed| allowed.contains(&json!(TYPE))), "{told}");
    // Types are compared exactly.
    let case = scene.api.post(EVENTS, &json!({"event_type": "Package.created", "payload": {}})).expect("an answer");
    problem(&case, 422, "unknown-event-type");

    for malformed in [
        "",
        "null",
        "[]",
        "{",
        "{}",
        "\u{feff}{}",
        r#"{"event_type":"package.created"}"#,
        r#"{"payload":{}}"#,
        r#"{"event_type":"package.created","payload":{"a":1,}}"#,
        r#"{"event_type":"package.created","payload":NaN}"#,
        r#"{"event_type":"package.created","payload":{},"extra":1}"#,
        r#"{"event_type":"package.created","payload":{}}{}"#,
    ] {
        problem(&send(&scene.api, EVENTS, &[JSON], malformed), 400, "malformed");
    }
    let not_utf8 =
        scene.api.send("POST", EVENTS, &[JSON], b"{\"event_type\":\"package.created\",\"payload\":\"\xff\"}");
    problem(&not_utf8.expect("an answer"), 400, "malformed");

    let payload = |bytes: usize| format!(r#"{{"event_type":"{TYPE}","payload":"{}"}}"#, "x".repeat(bytes - 2));
    let most = 1024 * 1024;
    send(&scene.api, EVENTS, &[JSON], &payload(most)).expect(202);
    problem(&send(&scene.api, EVENTS, &[JSON], &payload(most + 1)), 413, "too-large");
    problem(&send(&scene.api, EVENTS, &[JSON], &payload(most + 17 * 1024)), 413, "too-large");

    scene.settle(subscription, SOON);
    assert_eq!(scene.sink.count("/in"), 1, "nothing that was refused arrives");
}

fn refusals_are_problems_wherever_they_come_from(database: &Database) {
    let scene = Scene::new(database, &[]);
    let event = json!({"event_type": TYPE, "payload": {}});

    let subscriber = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    problem(&subscriber.post(EVENTS, &event).expect("an answer"), 403, "forbidden");
    problem(&subscriber.post(BATCH, &json!([event])).expect("an answer"), 403, "forbidden");
    let publisher = scene.api.with_token(&scene.engine.add_user(&["oms", "--publisher"]));
    publisher.post_json(EVENTS, &event, 202);
    let inactive = scene.api.with_token(&scene.engine.add_user(&["gone", "--publisher", "--inactive"]));
    let unauthenticated = inactive.post(EVENTS, &event).expect("an answer");
    problem(&unauthenticated, 401, "unauthenticated");
    assert_eq!(unauthenticated.header("www-authenticate"), Some("Token"));
    problem(&scene.api.with_token("no-such-token").post(EVENTS, &event).expect("an answer"), 401, "unauthenticated");

    let as_text = send(&scene.api, EVENTS, &[("Content-Type", "text/plain")], &event.to_string());
    problem(&as_text, 415, "unsupported-media-type");
    let as_text = send(&scene.api, BATCH, &[("Content-Type", "text/csv")], "[]");
    problem(&as_text, 415, "unsupported-media-type");
    let with_charset = [("Content-Type", "Application/JSON; charset=utf-8")];
    send(&scene.api, EVENTS, &with_charset, &event.to_string()).expect(202);

    for path in
        ["/nothing", "/api/v1", "/api/v1/nothing", "/api/v1/events/", "/api/v1/deliveries/x", "/api/v1/deliveries/1"]
    {
        problem(&scene.api.get(path).expect("an answer"), 404, "not-found");
    }
    for (path, allow) in [(EVENTS, "GET, POST"), (BATCH, "POST"), ("/api/v1/deliveries/1/", "")] {
        let refused = scene.api.delete(path).expect("an answer");
        if allow.is_empty() {
            problem(&refused, 404, "not-found");
        } else {
            problem(&refused, 405, "method-not-allowed");
            assert_eq!(refused.header("allow"), Some(allow));
        }
    }
    let bad_query = scene.api.get("/api/v1/deliveries?limit=many").expect("an answer");
    problem(&bad_query, 400, "malformed");
    problem(&scene.api.get("/api/v1/deliveries?state=lost").expect("an answer"), 422, "invalid");

    eventually("an engine that is still healthy", SOON, || match scene.api.get("/healthz") {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn past_the_bound_publishers_are_told_to_wait(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_MAX_WAITING", "4")]);
    let subscription = scene.subscribe("/in", json!({}));
    let load = Load::start(&scene.api, 24, 300);
    eventually("somebody to be refused", SOON, || if load.refused().is_empty() { Err("nobody is") } else { Ok(()) });
    for refused in load.refused() {
        problem(&refused, 503, "busy");
        assert!(refused.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{refused:?}");
    }
    let accepted = load.finish();
    // Whoever comes alone may bring more than the bound.
    let events: Vec<_> = (0..100).map(|id| json!({"event_type": TYPE, "payload": {"id": 1_000_000 + id}})).collect();
    eventually("a batch to be accepted", SOON, || match scene.api.post(BATCH, &json!(events)) {
        Ok(reply) if reply.status == 202 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    scene.settle(subscription, SOON);
    let arrived = scene.arrived("/in");
    assert_eq!(arrived.len(), accepted.len() + events.len());
    let arrived: HashSet<usize> = arrived.into_iter().collect();
    for event in &accepted {
        assert!(arrived.contains(&event.number), "{event:?} was answered with 202");
    }
}

fn publishers_who_hang_up_take_no_place(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_MAX_WAITING", "4")]);
    let address = scene.engine.base().trim_start_matches("http://").to_owned();
    let event = json!({"event_type": TYPE, "payload": {"id": 1}}).to_string();
    for number in 0..200 {
        let mut stream = TcpStream::connect(&address).expect("the engine listens");
        let cut = if number % 2 == 0 { event.len() } else { event.len() / 2 };
        let head = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Token token-of-the-tests\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{}", event.len(), &event[..cut]).expect("the engine reads");
    }
    eventually("an event to be accepted", SOON, || {
        match scene.api.post(EVENTS, &json!({"event_type": TYPE, "payload": 2})) {
            Ok(reply) if reply.status == 202 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    eventually("everybody's place to be free again", SOON, || {
        let refused = (0..20).find_map(|_| {
            Some(scene.api.post(EVENTS, &json!({"event_type": TYPE, "payload": 3})).expect("an answer"))
                .filter(|reply| reply.status != 202)
        });
        refused.map_or(Ok(()), |reply| Err(format!("{reply:?}")))
    });
}
