//! Endpoints that always fail get eleven attempts at the contract's intervals, and then silence (section 10).
//!
//! All cases of `cases/n1_timings.json` run at once, and on both databases: it takes as long as the longest of them, three
//! quarters of a minute in which it mostly waits.

use std::{collections::BTreeSet, thread, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    client::Client,
    recorded::{
        compare::{Difference, Keys, differences},
        notes::Notes,
        section::{Told, number_of_cases, read},
    },
    scene::start,
    support::{
        database::Database,
        eventually::{eventually, throughout},
        sink::{Request, Sink},
    },
};

const NAME: &str = "n1_timings";
const EVENT_TYPE: &str = "shipment.cancelled";
/// The longest case takes 42 s.
const DEADLINE: Duration = Duration::from_secs(90);
/// Longer than most of the intervals: an attempt more would come.
const SILENCE: Duration = Duration::from_secs(3);
/// How much earlier or later than recorded an attempt may come, in seconds.
const EARLY: f64 = 0.25;
const LATE: f64 = 0.95;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timings {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Timing>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timing {
    case: String,
    retry_countdown_config: Value,
    answer: Told,
    expect: Expected,
    #[serde(rename = "decided")]
    _decided: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    attempts: usize,
    /// In seconds, from the first attempt to the second and so on.
    gaps_seconds: Option<Vec<f64>>,
    /// Where they are drawn: each lies between these.
    each_gap_in: Option<(f64, f64)>,
    hook_event: Value,
}

#[test]
fn n1_timings() {
    thread::scope(|scope| {
        for database in Database::both() {
            let name = if database.is_mariadb() { "on_mariadb" } else { "on_sqlite" };
            let thread = thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, move || play(&database)).expect("a thread starts");
        }
    });
}

fn play(database: &Database) {
    let timings: Timings = read(NAME);
    let (_engine, admin) = start(database, &[]);
    let sink = Sink::start();
    let hooks: Vec<Value> =
        timings.cases.iter().zip(0..).map(|(case, number)| subscribe(&admin, &sink, case, number)).collect();
    let payload =
        r#"{"zeta": 1, "id": 2, "city": "İst", "a": 1.0, "b": 1e5, "big": 12345678901234567890, "neg0": -0.0}"#;
    let event = format!(r#"{{"event_type": "{EVENT_TYPE}", "payload": {payload}}}"#);
    assert_eq!(admin.send("POST", "/api/v1/events", Some("application/json"), &event).status, 202);

    let expected: usize = timings.cases.iter().map(|case| case.expect.attempts).sum();
    let arrived = || sink.requests_in_all();
    eventually("all attempts", DEADLINE, || if arrived() < expected { Err(arrived()) } else { Ok(()) });
    throughout("nothing more arrives", SILENCE, || if arrived() > expected { Err(arrived()) } else { Ok(()) });

    let mut notes = Notes::new(NAME);
    for (number, (case, hook)) in timings.cases.iter().zip(&hooks).enumerate() {
        let requests = sink.requests(&path(number));
        let record = admin.get(&format!("/whisperer/hook_events/?webhook={hook}"))[0].clone();
        let mut found = differences_of_arrivals(&case.expect, &requests);
        found.extend(differences(&case.expect.hook_event, &record, Keys::Told));
        let dates: Vec<&str> =
            record["request_datetimes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !dates.is_sorted_by(|newer, older| newer > older) {
            found.push(Difference::new("request_datetimes", &"newest first", &record["request_datetimes"]));
        }
        notes.played(&case.case, &case.retry_countdown_config.to_string(), &found);
    }
    notes.end(number_of_cases(NAME));
}

fn path(number: usize) -> String {
    format!("/failing/{number}")
}

fn subscribe(client: &Client, sink: &Sink, case: &Timing, number: usize) -> Value {
    sink.script(&path(number), [case.answer.behaviour()]);
    let hook = json!({
        "event_type": EVENT_TYPE,
        "target_url": sink.url(&path(number)),
        "retry_countdown_config": case.retry_countdown_config,
        "secret_key": "s",
    });
    client.post("/whisperer/hooks/", &hook).json()["id"].clone()
}

fn differences_of_arrivals(expected: &Expected, requests: &[Request]) -> Vec<Difference> {
    let mut found = Vec::new();
    if requests.len() != expected.attempts {
        found.push(Difference::new("attempts", &expected.attempts, &requests.len()));
    }
    let gaps: Vec<f64> =
        requests.windows(2).map(|pair| (pair[1].arrived_at - pair[0].arrived_at).as_secs_f64()).collect();
    let told = format!("{gaps:.2?}");
    let in_time = |gap: f64, least: f64, most: f64| gap >= least - EARLY && gap <= most + LATE;
    if let Some(wanted) = &expected.gaps_seconds {
        let is_in_time =
            wanted.len() == gaps.len() && gaps.iter().zip(wanted).all(|(gap, wanted)| in_time(*gap, *wanted, *wanted));
        if !is_in_time {
            found.push(Difference::new("gaps_seconds", &format!("{wanted:?}"), &told));
        }
    }
    if let Some((least, most)) = expected.each_gap_in
        && !gaps.iter().all(|gap| in_time(*gap, least, most))
    {
        found.push(Difference::new("gaps_seconds", &format!("{least} to {most}"), &told));
    }
    // The uuid, the payload and with them the signature.
    let bodies: BTreeSet<_> =
        requests.iter().map(|request| (&request.body, request.header("X-Whisperer-Signature"))).collect();
    if bodies.len() != 1 {
        found.push(Difference::new("different bodies", &1, &bodies.len()));
    }
    found
}
