//! `/metrics`: what it tells is true, every tool reads it, and reading it hurts nobody.

mod page;
mod watching;

use std::time::{Duration, Instant};

use serde_json::json;

use self::page::{Page, TOKEN, Tell, engine_settings};
use crate::{
    load::Load,
    scene::{Scene, TYPE},
    support::{
        database::{Database, on_both},
        sink::Behaviour,
    },
};

on_both! { blocking:
    both_formats_are_read_by_an_independent_parser,
    what_happens_is_counted,
    who_is_behind_is_told_with_a_bound_on_names,
    an_endpoint_that_fails_is_told,
    a_scrape_under_load_is_quick,
    metrics_have_a_token_of_their_own,
}

fn both_formats_are_read_by_an_independent_parser(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    scene.sink.script("/in", [503, 200]);
    scene.subscribe("/in", json!({}));
    scene.publish_many(0..10);
    Page::eventually(&scene, "everything to arrive", |page| {
        page.at_least("postrider_deliveries_total{verdict=\"delivered\"}", 10)
    });

    let reply = scene.api.tell("text/plain");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let read = openmetrics_parser::prometheus::parse_prometheus(&reply.text);
    let read = read.unwrap_or_else(|error| panic!("{error:?}\n{}", reply.text));
    assert!(read.families.contains_key("postrider_deliveries_total"), "{:?}", read.families.keys());

    // As Prometheus asks.
    let reply =
        scene.api.tell("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    assert_eq!(reply.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let read = openmetrics_parser::openmetrics::parse_openmetrics(&reply.text);
    let read = read.unwrap_or_else(|error| panic!("{error:?}\n{}", reply.text));
    assert!(read.families.contains_key("postrider_deliveries"), "{:?}", read.families.keys());
    assert!(reply.text.ends_with("\n# EOF\n"));
    assert_eq!(reply.text.matches("# EOF").count(), 1);

    let page = Page::of(&scene);
    for name in page.families() {
        assert!(name.starts_with("postrider_") || name.starts_with("process_"), "{name}");
    }
}

fn what_happens_is_counted(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    let first = Page::of(&scene);
    scene.sink.script("/retried", [503, 200]);
    scene.subscribe("/in", json!({}));
    scene.subscribe("/retried", json!({}));
    scene.publish(1);
    let event = json!({"event_type": TYPE, "payload": {"id": 2}, "idempotency_key": "two"});
    scene.api.post_json("/api/v1/events", &event, 202);
    scene.api.post_json("/api/v1/events", &event, 202);
    scene.api.post("/api/v1/events", &json!({"event_type": "no.such"})).expect("an answer").expect(400);

    let page = Page::eventually(&scene, "four deliveries", |page| {
        page.at_least("postrider_deliveries_total{verdict=\"delivered\"}", 4)
    });
    for (series, expected) in [
        ("postrider_events_total{result=\"accepted\"}", 2.0),
        ("postrider_events_total{result=\"repeated\"}", 1.0),
        ("postrider_deliveries_owed_total", 4.0),
        ("postrider_deliveries_total{verdict=\"retry\"}", 1.0),
        ("postrider_deliveries_total{verdict=\"delivered\"}", 4.0),
        ("postrider_deliveries_total{verdict=\"dead\"}", 0.0),
        ("postrider_attempt_duration_seconds_count{outcome=\"success\"}", 4.0),
        ("postrider_attempt_duration_seconds_count{outcome=\"refused\"}", 1.0),
        ("postrider_delivery_duration_seconds_count", 4.0),
        ("postrider_http_responses_total{code=\"202\"}", 3.0),
        ("postrider_http_responses_total{code=\"400\"}", 1.0),
        ("postrider_commit_rows_sum{write=\"accept\"}", 3.0),
        ("postrider_commit_rows_sum{write=\"record\"}", 5.0),
        ("postrider_attempts_in_flight", 0.0),
        ("postrider_database_up", 1.0),
    ] {
        assert_eq!(page.value(series), Some(expected), "{series}\n{}", page.text);
    }
    // The one that was attempted twice was on its way for the second in between.
    assert!(page.value("postrider_delivery_duration_seconds_sum").is_some_and(|sum| sum >= 1.0), "{}", page.text);
    assert!(page.value("postrider_http_connections").is_some_and(|open| open >= 1.0), "{}", page.text);
    assert!(page.value("postrider_endpoint_connections").is_some_and(|open| open >= 1.0), "{}", page.text);
    let cpu = |page: &Page| page.value("process_cpu_seconds_total").expect("the tests run on Linux");
    assert!(cpu(&page) >= cpu(&first));
    for thread in ["main", "delivery-0", "unproven-0", "http"] {
        let count = format!("postrider_arbiter_lag_seconds_count{{thread=\"{thread}\"}}");
        Page::eventually(&scene, "every thread to be watched", |page| page.at_least(&count, 2));
    }
}

const MANY: usize = 300;

fn who_is_behind_is_told_with_a_bound_on_names(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    for number in 0..MANY {
        scene.subscribe(&format!("/{number}"), json!({}));
    }
    scene.api.post_json("/api/v1/holds", &json!({"filter": {"event_type": TYPE}}), 200);
    scene.publish_many(0..3);
    let everything = f64::from(u16::try_from(3 * MANY).expect("a few"));
    let page = Page::eventually(&scene, "the backlog to be seen", |page| match page.value("postrider_backlog") {
        Some(seen) if seen >= everything => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(page.value("postrider_backlog"), Some(everything));
    assert_eq!(page.value("postrider_subscriptions{state=\"paused\"}"), Some(300.0));
    assert_eq!(page.value("postrider_subscriptions_owed"), Some(300.0));
    for name in ["postrider_subscription_oldest_owed_age_seconds", "postrider_subscription_backlog"] {
        assert_eq!(page.series(name).count(), 100, "{name}");
    }
    assert!(page.series("postrider_subscription_backlog").all(|(_, value)| (value - 3.0).abs() < 0.1), "{}", page.text);
    let oldest = page.value("postrider_oldest_owed_age_seconds").expect("something is owed");
    assert!(oldest > 0.0 && oldest < 60.0, "{oldest}");

    scene.api.post_json("/api/v1/holds/release", &json!({"filter": {"event_type": TYPE}}), 200);
    Page::eventually(&scene, "nothing to be owed", |page| match page.value("postrider_subscriptions_owed") {
        Some(0.0) if page.value("postrider_backlog") == Some(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn an_endpoint_that_fails_is_told(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    scene.sink.script("/in", [500]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.publish_many(0..20);
    let series = format!("postrider_subscription_breaker_open_seconds{{subscription=\"{subscription}\"}}");
    let page = Page::eventually(&scene, "the breaker to open", |page| page.value(&series).map(drop).ok_or("closed"));
    assert_eq!(page.value("postrider_breakers_open"), Some(1.0));

    scene.sink.script("/in", [200]);
    scene.api.resume(subscription);
    let page = Page::eventually(&scene, "the breaker to close", |page| match page.value("postrider_breakers_open") {
        Some(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(page.value(&series), None);
}

/// Far above what it takes on a machine that has nothing else to do.
const SCRAPE: Duration = Duration::from_secs(2);

fn a_scrape_under_load_is_quick(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    scene.sink.script("/slow", [Behaviour::slow(Duration::from_millis(20))]);
    scene.subscribe("/in", json!({}));
    scene.subscribe("/slow", json!({}));
    let load = Load::start(&scene.api, 8, usize::MAX);
    load.wait_for(100);
    let mut scrapes: Vec<Duration> = (0..40)
        .map(|_| {
            let asked = Instant::now();
            Page::of(&scene);
            asked.elapsed()
        })
        .collect();
    scrapes.sort_unstable();
    println!("scrapes under load: median {:?}, longest {:?}", scrapes[20], scrapes[39]);
    assert!(scrapes[39] <= SCRAPE, "{scrapes:?}");
    load.stop();
}

fn metrics_have_a_token_of_their_own(database: &Database) {
    let scene = Scene::new(database, &engine_settings());
    let publisher = scene.engine.add_user(&["oms", "--publisher"]);
    let status = |token: &str, path: &str| scene.api.with_token(token).get(path).expect("an answer").status;
    assert_eq!(status(TOKEN, "/metrics"), 200);
    assert_eq!(status(TOKEN, "/api/v1/subscriptions"), 401, "it opens nothing else");
    assert_eq!(status("wrong", "/metrics"), 401);
    assert_eq!(status(&publisher, "/metrics"), 403);
    assert_eq!(scene.api.get("/metrics").expect("an answer").status, 200, "an admin may look");
}

#[test]
#[cfg(feature = "mysql")]
fn metrics_are_told_while_the_database_is_away() {
    use crate::{
        scene::SOON,
        support::{
            eventually::eventually,
            mariadb::{Durability, PrivateMariaDb},
        },
    };
    let mut server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let scene = Scene::new(&database, &engine_settings());
    assert_eq!(Page::of(&scene).value("postrider_database_up"), Some(1.0));
    server.kill();
    Page::eventually(&scene, "the loss to be told", |page| match page.value("postrider_database_up") {
        Some(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    server.start_again();
    eventually("the database to be told again", SOON, || match Page::of(&scene).value("postrider_database_up") {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
