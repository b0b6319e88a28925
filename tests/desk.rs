//! The commands that talk to a running engine, as a person or a script calls them.
#![cfg(feature = "sqlite")]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::support::{
    api::Api,
    database::Database,
    engine::{Engine, binary},
    eventually::eventually,
    sink::{Behaviour, Sink},
};

const SOON: Duration = Duration::from_secs(20);
const TYPE: &str = "package.created";

/// An engine, a receiver, and whoever sits at the desk.
struct Desk {
    engine: Engine,
    sink: Sink,
    api: Api,
    _database: Database,
}

impl Desk {
    fn new() -> Self {
        let database = Database::sqlite();
        let engine = Engine::start(&database.url(), &[("POSTRIDER_BREAKER_THRESHOLD", "1")]);
        Self { api: engine.api(), engine, sink: Sink::start(), _database: database }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).env_clear().env("POSTRIDER_URL", self.engine.base());
        command.env("POSTRIDER_TOKEN", "token-of-the-tests").stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary is there")
    }

    /// What a command prints that does what it is asked, without a word beside it.
    #[track_caller]
    fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{output:?}");
        text(&output.stdout)
    }

    /// The lines of JSON that such a command prints.
    #[track_caller]
    fn json(&self, args: &[&str]) -> Vec<Value> {
        let lines = self.done(&[args, &["--json"]].concat());
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The one line of a command that fails.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{output:?}");
        told.trim_end().to_owned()
    }

    fn subscribe(&self, path: &str) -> String {
        self.api.subscribe(TYPE, &self.sink.url(path), json!({})).to_string()
    }

    fn publish(&self, count: u32) {
        for id in 0..count {
            self.api.publish(TYPE, &json!({ "id": id }));
        }
    }

    #[track_caller]
    fn settle(&self, subscription: &str) {
        let id = subscription.parse().expect("a number");
        eventually("all that is owed to be settled", SOON, || match self.api.owed(id) {
            0 => Ok(()),
            owed => Err(format!("{owed} owed")),
        });
    }

    fn ids(&self, subscription: &str) -> Vec<String> {
        let deliveries = self.api.all_deliveries(&format!("subscription={subscription}"));
        deliveries.iter().map(|delivery| delivery["id"].to_string()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn status_and_subscriptions_tell_what_waits_and_what_fails() {
    let desk = Desk::new();
    let (paused, failing) = (desk.subscribe("/paused"), desk.subscribe("/failing"));
    desk.sink.decide("/failing", |_| Behaviour::status(500));
    desk.done(&["pause", &paused, "--reason", "stock\u{1b}[2Jtaking"]);
    desk.publish(2);
    let failing_now = eventually("the endpoint to fail", SOON, || match desk.json(&["subscriptions", "--failing"]) {
        found if found.len() == 1 => Ok(found),
        found => Err(format!("{found:?}")),
    });
    assert_eq!(failing_now[0]["id"].to_string(), failing);

    let status = desk.done(&["status"]);
    for line in ["subscriptions  1 active, 1 paused, 0 inactive", "failing        1"] {
        assert!(status.lines().any(|found| found == line), "{line} is not in\n{status}");
    }
    assert!(status.starts_with(&format!("engine         ready at {}\n", desk.engine.base())), "{status}");
    assert!(status.contains("owed           4, the oldest for "), "{status}");
    let sums = &desk.json(&["status"])[0];
    assert_eq!((&sums["ready"], &sums["owed"], &sums["subscriptions"]["paused"]), (&json!(true), &json!(4), &json!(1)));
    assert_eq!(sums["failing"][0]["endpoint_health"]["state"], "failing");

    let table = desk.done(&["subscriptions"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("ID  EVENT TYPE       ENDPOINT"), "{table}");
    assert!(lines[1].contains("paused") && lines[1].ends_with("stock [2Jtaking, by admin"), "{table}");
    assert!(lines[2].contains("active") && lines[2].contains("fails since 2"), "{table}");
    let ids = |args: &[&str]| {
        let found = desk.json(&[&["subscriptions"], args].concat());
        found.iter().map(|subscription| subscription["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--state", "paused"]), [paused.clone()]);
    assert_eq!(ids(&["--event-type", TYPE, "--host", "127.0.0.1"]), [paused, failing]);
    assert_eq!(desk.done(&["subscriptions", "--host", "elsewhere.example"]), "no subscriptions\n");
}

#[test]
fn a_subscription_is_paused_and_resumed() {
    let desk = Desk::new();
    let id = desk.subscribe("/");
    let told = desk.done(&["pause", &id, "--until", "2099-01-01T06:00:00Z", "--reason", "stocktaking"]);
    assert_eq!(
        told,
        format!("subscription {id} is paused (until 2099-01-01T06:00:00Z, stocktaking, by admin): 0 owed\n")
    );
    let paused = &desk.json(&["pause", &id, "--for", "2h"])[0];
    assert!(paused["hold"]["until"].is_string() && paused["hold"]["reason"].is_null(), "{paused}");
    assert!(desk.done(&["pause", &id, "--drop"]).contains("lost for the subscription"));
    desk.done(&["pause", &id]);
    desk.publish(3);

    let told = desk.done(&["resume", &id, "--per-second", "50", "--skip-older-than", "1h"]);
    assert_eq!(told, format!("subscription {id} is active: 3 owed, at most 50 a second\n"));
    desk.settle(&id);
    assert_eq!(desk.sink.count("/"), 3);

    assert!(desk.refused(&["resume", &id, "--per-second", "5"]).contains("The subscription is not paused"));
    assert_eq!(
        desk.refused(&["pause", "4711"]),
        "postrider: subscription 4711: 404 Not Found: There is no subscription with this id, or it is not yours."
    );
    assert!(desk.refused(&["pause", &id, "--reason", &"x".repeat(501)]).contains("at most 500 characters"));
    for wrong in [&["pause", "one"][..], &["pause", &id, "--until", "tomorrow"], &["pause", &id, "--for", "soon"]] {
        assert_eq!(desk.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn deliveries_are_attempted_again_and_each_is_told() {
    let desk = Desk::new();
    let id = desk.subscribe("/");
    desk.publish(2);
    desk.settle(&id);
    let ids = desk.ids(&id);
    let told = desk.done(&["redeliver", &ids[0], &ids[1]]);
    assert!(told.starts_with(&format!("{}  delivered  status 200  attempt 2, ", ids[0])), "{told}");
    assert_eq!((told.lines().count(), desk.sink.count("/")), (2, 4));

    let uuid = desk.api.delivery(ids[0].parse().expect("a number"))["uuid"].clone();
    let attempts = desk.json(&["redeliver", uuid.as_str().expect("a text")]);
    assert_eq!((&attempts[0]["number"], &attempts[0]["success"]), (&json!(3), &json!(true)));

    desk.sink.script("/", [Behaviour::status(503)]);
    assert_eq!(desk.refused(&["redeliver", &ids[0]]), "postrider: it did not arrive");
    let output = desk.run(&["redeliver", "5", &ids[0]]);
    let told = text(&output.stdout);
    assert!(told.starts_with("5  refused  404 Not Found: There is no delivery"), "{told}");
    assert!(told.lines().nth(1).is_some_and(|line| line.contains("delivered  status 200")), "{told}");
    assert_eq!(text(&output.stderr), "postrider: 1 of 2 did not arrive\n");
    assert!(desk.refused(&["redeliver", "5"]).starts_with("postrider: delivery 5: 404 "));
}

#[test]
fn a_replay_is_waited_for() {
    let desk = Desk::new();
    let id = desk.subscribe("/");
    desk.publish(5);
    desk.settle(&id);
    assert_eq!(desk.done(&["replay", &id, "--dry-run"]), "would attempt 0 deliveries again\n");
    let again = ["replay", &id, "--state", "delivered", "--from", "1h"];
    assert_eq!(desk.json(&[&again[..], &["--dry-run"]].concat())[0]["deliveries"], 5);

    let told = desk.done(&again);
    assert!(told.contains(" is done: 5 deliveries are owed again ("), "{told}");
    eventually("all to arrive again", SOON, || match desk.sink.count("/") {
        10 => Ok(()),
        count => Err(format!("{count} requests")),
    });
    desk.settle(&id);
    let replay = &desk.json(&again)[0];
    assert_eq!((&replay["state"], &replay["replayed"]), (&json!("done"), &json!(5)));
    assert!(desk.refused(&["replay", "4711"]).starts_with("postrider: subscription 4711: 404 "));
    assert!(desk.refused(&["replay", &id, "--event-type", "no type"]).contains("event_type"));
    assert_eq!(desk.run(&["replay", &id, "--state", "pending"]).status.code(), Some(2));
}

/// A command that runs on, and the lines that it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary is there");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, lines }
    }

    /// The next line, without the blanks between its columns.
    #[track_caller]
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(SOON).expect("a further line");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn signal(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is ours");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

#[test]
fn tail_tells_each_change_once() {
    let desk = Desk::new();
    let (followed, other) = (desk.subscribe("/followed"), desk.subscribe("/other"));
    desk.publish(3);
    desk.settle(&followed);
    desk.settle(&other);
    desk.done(&["pause", &followed]);

    let mut tail = Running::start(desk.command(&["tail", "--subscription", &followed, "--lines", "2"]));
    let ids = desk.ids(&followed);
    for id in [&ids[1], &ids[0]] {
        let line = tail.next();
        assert!(line.ends_with(&format!(" {followed} {TYPE} {id} delivered 1 attempts 200")), "{line}");
    }
    desk.publish(1);
    let id = desk.ids(&followed)[0].clone();
    let line = tail.next();
    assert!(line.ends_with(&format!("{id} pending 0 attempts -")), "{line}");
    desk.done(&["resume", &followed]);
    let line = tail.next();
    assert!(line.ends_with(&format!("{id} delivered 1 attempts 200")), "{line}");
    assert_eq!(tail.signal(Signal::INT), Some(0));
    assert!(tail.lines.try_recv().is_err(), "nothing is told twice");

    let newest = desk.json(&["tail", "--once", "--lines", "1", "--state", "delivered", "--subscription", &followed]);
    assert_eq!((newest.len(), newest[0]["id"].to_string()), (1, id));
}

#[test]
fn who_cannot_be_asked_is_told_in_one_line() {
    let mut desk = Desk::new();
    for command in [&["status"][..], &["subscriptions"], &["tail", "--once"], &["pause", "1"], &["replay", "1"]] {
        let output = desk.command(command).env_remove("POSTRIDER_TOKEN").output().expect("the binary is there");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), "postrider: a token is needed: --token or POSTRIDER_TOKEN\n");
        let refused = desk.refused(&[command, &["--token", "unknown"]].concat());
        assert!(refused.ends_with("401 Unauthorized: The token is not known."), "{refused}");
    }
    desk.engine.kill9();
    let refused = desk.refused(&["status"]);
    assert!(refused.starts_with(&format!("postrider: no answer from {}", desk.engine.base())), "{refused}");
}
