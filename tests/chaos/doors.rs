//! Connections to the engine's own door that hold on without wanting anything: each is served or ended, and whoever
//! publishes meanwhile does not notice.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback},
    load::Ledger,
    report::Report,
    support::{
        eventually::pass,
        process::raise_file_limit,
        sink::{Keep, Sink},
    },
};

const TYPE: &str = "package.created";
const SLOW: usize = 1_000;
const OVERSIZED: usize = 100;
const IDLE: usize = 10_000;
/// Beside the connections of a scenario: libraries, logs, sinks.
const OTHER_FILES: usize = 500;
const RATE: u32 = 50;
const P99: Duration = Duration::from_secs(1);
/// A head has 10 s, a body 30 s.
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);
const FILES_MORE: usize = 100;
const MIB_MORE: u64 = 150;

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    let sink = Sink::start_at(&[loopback(7, 0)], Keep::Nothing);
    let ledger = Ledger::default();
    ledger.watch(&sink, "/in");
    bed.api.subscribe(TYPE, &sink.url("/in"), json!({}));
    let publish = |seconds| ledger.phase(&bed.api, RATE, Duration::from_secs(seconds), |_| (TYPE, 1));
    publish(2);
    let before = bed.footprint();
    report.note("before", before);
    let watch = Watch::start(bed.engine.process_id());
    let look = |report: &mut Report, name: &str, meanwhile: &crate::load::Phase| {
        report.note(format!("{name}: 202 meanwhile"), &meanwhile.answers);
        report.at_most(format!("{name}: p99 until 202"), meanwhile.answers.percentile(99.0), P99);
        report.check(format!("{name}: refused"), meanwhile.refused, "none", meanwhile.refused == 0);
        report.note(format!("{name}: the engine"), watch.take());
    };

    for (name, head, within) in
        [("1,000 slow heads", String::new(), HEAD + GRACE), ("1,000 slow bodies", head(bed, SLOW), BODY + GRACE)]
    {
        let slow = thread::scope(|scope| {
            let slow = scope.spawn(|| slow_connections(bed, &head, within));
            let meanwhile = publish(within.as_secs());
            look(report, name, &meanwhile);
            slow.join().expect("sockets only")
        });
        report.check(format!("{name}: still open after {within:?}"), slow, "none", slow == 0);
    }

    let (answers, meanwhile) = thread::scope(|scope| {
        let oversized = scope.spawn(|| oversized_heads(bed));
        let meanwhile = publish(5);
        (oversized.join().expect("sockets only"), meanwhile)
    });
    look(report, "heads of 1 MiB", &meanwhile);
    let refused = answers.iter().filter(|answer| answer.is_empty() || answer.contains(" 4")).count();
    report.check("heads of 1 MiB refused", refused, "all 100", refused == OVERSIZED);

    let count = IDLE.min(usize::try_from(raise_file_limit()).unwrap_or(IDLE).saturating_sub(OTHER_FILES));
    let idle: Vec<TcpStream> = (0..count).filter_map(|_| TcpStream::connect(address(bed)).ok()).collect();
    let name = format!("{} idle connections", idle.len());
    report.check(&name, idle.len(), "all are taken", idle.len() == count);
    let meanwhile = publish(10);
    look(report, &name, &meanwhile);
    let after = bed.files_back(before.files + FILES_MORE, Duration::from_mins(2));
    report.at_most("files after all", after.files, before.files + FILES_MORE);
    report.at_most("MiB after all", after.mib(), before.mib() + MIB_MORE);
    drop(idle);
}

fn address(bed: &Bed) -> &str {
    bed.engine.base().trim_start_matches("http://")
}

/// The head of a request whose body never comes to its end.
fn head(bed: &Bed, length: usize) -> String {
    format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Token token-of-the-tests\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        address(bed)
    )
}

/// Connections that send `head` at once and then a byte a second; gives how many are still open `after` so long.
fn slow_connections(bed: &Bed, head: &str, after: Duration) -> usize {
    let start = Instant::now();
    let connect = |_| {
        let mut stream = TcpStream::connect(address(bed)).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    };
    let mut open: Vec<TcpStream> = (0..SLOW).filter_map(connect).collect();
    while start.elapsed() < after {
        open.retain_mut(|stream| stream.write_all(b"G").is_ok());
        pass(Duration::from_secs(1));
    }
    open.retain_mut(is_open);
    open.len()
}

fn is_open(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1_024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// What each of some requests with a header of 1 MiB is answered; empty when the connection is ended without an answer.
fn oversized_heads(bed: &Bed) -> Vec<String> {
    let huge = "x".repeat(1024 * 1024);
    let ask = |_| {
        let Ok(mut stream) = TcpStream::connect(address(bed)) else { return "not taken, 4".to_owned() };
        let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Huge: {huge}\r\n\r\n");
        stream.set_read_timeout(Some(HEAD + GRACE)).expect("a time-out above zero");
        // The engine may close before it has read all.
        stream.write_all(request.as_bytes()).ok();
        let mut answer = [0; 64];
        match stream.read(&mut answer) {
            Ok(length) => String::from_utf8_lossy(&answer[..length]).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => "neither answered nor ended".to_owned(),
            Err(_) => String::new(),
        }
    };
    (0..OVERSIZED).map(ask).collect()
}
