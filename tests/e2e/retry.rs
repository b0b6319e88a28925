//! When failed deliveries are attempted again, in real time and as the receiver sees it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        eventually::{eventually, throughout},
        sink::{Behaviour, Request},
    },
};

on_both! { blocking:
    each_policy_waits_as_long_as_it_says,
    a_wait_goes_on_through_a_crash,
    retry_after_is_honoured,
    an_endpoint_that_is_gone_pauses_its_subscription,
    eleven_attempts_at_once_and_the_twelfth_an_hour_later,
}

/// How early and how late an attempt may come: clocks are read at both ends, and machines are busy.
const EARLY: f64 = 0.05;
const LATE: f64 = 0.95;

/// The least and the most that each wait may take, in seconds.
type Gaps = Vec<(f64, f64)>;

fn policy(choice: &str, kwargs: &Value) -> Value {
    json!({"retry_countdown_config": {"choice": choice, "kwargs": kwargs}})
}

/// Seconds from each request to the next.
fn gaps(requests: &[Request]) -> Vec<f64> {
    requests.windows(2).map(|two| (two[1].arrived_at - two[0].arrived_at).as_secs_f64()).collect()
}

#[track_caller]
fn assert_gap(gap: f64, least: f64, most: f64, told: &str) {
    assert!(gap >= least - EARLY && gap <= most + LATE, "{told}: waited {gap:.3} s instead of {least} to {most} s");
}

fn each_policy_waits_as_long_as_it_says(database: &Database) {
    let scene = Scene::new(database, &[]);
    let policies: [(&str, Value, Gaps); 6] = [
        ("/fixed", policy("fixed", &json!({"seconds": 2})), vec![(2.0, 2.0), (2.0, 2.0)]),
        ("/zero", policy("fixed", &json!({"seconds": 0})), vec![(0.0, 0.0); 5]),
        // The index of the formulas starts at 0: the first retry of a linear policy comes at once.
        ("/linear", policy("linear", &json!({"base": 1})), vec![(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]),
        ("/limit", policy("linear", &json!({"base": 3, "limit": 1})), vec![(0.0, 0.0), (1.0, 1.0), (1.0, 1.0)]),
        (
            "/exponential",
            policy("exponential", &json!({"base": 2, "factor": 1, "limit": 2})),
            vec![(1.0, 1.0), (2.0, 2.0), (2.0, 2.0)],
        ),
        ("/random", policy("random", &json!({"min_value": 1, "max_value": 2})), vec![(1.0, 2.0); 3]),
    ];
    for (path, policy, gaps) in &policies {
        let failures = gaps.iter().map(|_| 500_u16);
        scene.sink.script(path, failures.chain([200]));
        scene.subscribe(path, policy.clone());
    }
    scene.publish(1);
    for (path, _, expected) in policies {
        let requests = scene.sink.wait_for(path, expected.len() + 1, SOON);
        let gaps = gaps(&requests);
        for (gap, (least, most)) in gaps.iter().zip(&expected) {
            assert_gap(*gap, *least, *most, &format!("{path} {gaps:?}"));
        }
    }
    let all = scene.sink.requests_in_all();
    throughout("what has arrived is not attempted again", Duration::from_secs(1), || {
        let seen = scene.sink.requests_in_all();
        if seen == all { Ok(()) } else { Err(format!("{seen} requests instead of {all}")) }
    });
}

fn a_wait_goes_on_through_a_crash(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    for (path, seconds) in [("/long", 5), ("/short", 1)] {
        scene.sink.script(path, [500, 200]);
        scene.subscribe(path, policy("fixed", &json!({ "seconds": seconds })));
    }
    scene.publish(1);
    eventually("the failures to be recorded", SOON, || {
        let deliveries = scene.api.deliveries("");
        if deliveries.iter().all(|delivery| delivery["attempts"] == 1) {
            Ok(())
        } else {
            Err(format!("{deliveries:?}"))
        }
    });
    scene.engine.kill9();
    // The shorter wait ends while nobody is there.
    let first = scene.sink.requests("/short").remove(0).arrived_at;
    let until = Duration::from_millis(1_200).saturating_sub(first.elapsed());
    throughout("a dead engine attempts nothing", until, || match scene.sink.requests_in_all() {
        2 => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
    let started = Instant::now();
    scene.engine.start_again();
    let short = scene.sink.wait_for("/short", 2, SOON);
    let late = short[1].arrived_at.saturating_duration_since(started).as_secs_f64();
    assert_gap(late, 0.0, 1.0, "what became due meanwhile is attempted at the start");
    let long = scene.sink.wait_for("/long", 2, SOON);
    assert_gap(gaps(&long)[0], 5.0, 5.0, "the longer wait");
}

fn retry_after_is_honoured(database: &Database) {
    let scene = Scene::new(database, &[]);
    let in_two_seconds = (Timestamp::now() + Duration::from_secs(30)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let zero = policy("fixed", &json!({"seconds": 0}));
    let cases = [
        ("/429", Behaviour::retry_after(429, "2"), zero.clone(), Some(2.0)),
        ("/503", Behaviour::retry_after(503, "2"), zero.clone(), Some(2.0)),
        ("/500", Behaviour::retry_after(500, "30"), zero.clone(), Some(0.0)),
        ("/nonsense", Behaviour::retry_after(503, "soon"), zero.clone(), Some(0.0)),
        // It delays and never hastens.
        ("/sooner", Behaviour::retry_after(429, "0"), policy("fixed", &json!({"seconds": 2})), Some(2.0)),
        ("/date", Behaviour::retry_after(503, &in_two_seconds), zero, None),
    ];
    for (path, behaviour, policy, _) in &cases {
        scene.sink.script(path, [behaviour.clone(), Behaviour::status(200)]);
        scene.subscribe(path, policy.clone());
    }
    scene.publish(1);
    for (path, _, _, gap) in cases {
        if let Some(gap) = gap {
            let requests = scene.sink.wait_for(path, 2, SOON);
            assert_gap(gaps(&requests)[0], gap, gap, path);
        }
    }
    // A date far away: the wait is in the API.
    let waiting = eventually("everything else to be recorded", SOON, || {
        let waiting = scene.api.deliveries("state=pending");
        if waiting.len() == 1 { Ok(waiting) } else { Err(format!("{waiting:?}")) }
    });
    let wait = seconds_between(&waiting[0]["recorded_at"], &waiting[0]["due_at"]);
    assert!((20.0..=31.0).contains(&wait), "{waiting:?}");
}

fn seconds_between(from: &Value, to: &Value) -> f64 {
    let time = |value: &Value| -> Timestamp {
        value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
    };
    time(from).duration_until(time(to)).as_secs_f64()
}

fn an_endpoint_that_is_gone_pauses_its_subscription(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    scene.sink.script("/gone", [410, 200]);
    let gone = scene.subscribe("/gone", policy("fixed", &json!({"seconds": 0})));
    scene.publish(1);
    eventually("the subscription to be paused", SOON, || {
        let subscription = scene.api.subscription(gone);
        let told = subscription["hold"]["reason"].as_str().is_some_and(|reason| reason.contains("410"));
        if subscription["state"] == "paused" && told { Ok(()) } else { Err(subscription) }
    });
    scene.publish(2);
    scene.crash();
    scene.publish(3);
    throughout("nothing goes to an endpoint that is gone", Duration::from_secs(2), || {
        match scene.sink.count("/gone") {
            1 => Ok(()),
            seen => Err(format!("{seen} requests")),
        }
    });
    assert_eq!(scene.api.owed(gone), 3, "and nothing is dropped");
    assert_eq!(scene.api.subscription(gone)["hold"]["by"], "postrider");

    scene.api.resume(gone);
    scene.settle(gone, SOON);
    let mut arrived = scene.arrived("/gone");
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 1, 2, 3]);
}

fn eleven_attempts_at_once_and_the_twelfth_an_hour_later(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    scene.sink.script("/never", [500]);
    let subscription = scene.subscribe("/never", policy("fixed", &json!({"seconds": 0})));
    scene.publish(1);
    let eleven = |scene: &Scene| {
        eventually("eleven attempts to be recorded", SOON, || {
            let deliveries = scene.api.deliveries(&format!("subscription={subscription}"));
            let delivery = deliveries.into_iter().next().expect("there is one");
            if delivery["attempts"] == 11 { Ok(delivery) } else { Err(delivery) }
        })
    };
    let delivery = eleven(&scene);
    assert_eq!(delivery["state"], "pending");
    let wait = seconds_between(&delivery["recorded_at"], &delivery["due_at"]);
    assert!((3_599.0..=3_601.0).contains(&wait), "{delivery}");

    scene.crash();
    throughout("the twelfth attempt waits for its hour", Duration::from_secs(1), || match scene.sink.count("/never") {
        11 => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
    let shown = scene.api.delivery(delivery["id"].as_i64().expect("an id"));
    let log = shown["attempt_log"].as_array().expect("its attempts");
    let numbers: Vec<_> = log.iter().filter_map(|attempt| attempt["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<_>>());
    assert!(log.iter().all(|attempt| attempt["status"] == 500 && attempt["success"] == false), "{shown}");
}
