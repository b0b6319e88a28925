//! The HTTP client alone: a plain loop of awc sends what a delivery sends, and nobody decides, signs or records anything.
//!
//! What it costs more when many endpoints share the requests, an engine that delivers by awc costs more, too.

use std::{cell::Cell, fmt::Write, rc::Rc, thread, time::Duration};

use awc::{Client, Connector, FrozenClientRequest};
use bytes::Bytes;

use super::{event, load::TYPE, receiver::Receiver};
use crate::support::{
    bed::loopback,
    process::{processor_time_of_thread, this_thread},
};

/// Requests in flight, whatever the number of endpoints.
const AT_ONCE: usize = 64;
const REQUESTS: usize = 100_000;
/// Enough for a connection to each endpoint.
const WARM_UP: usize = 5_000;
const ENDPOINTS: [usize; 3] = [1, 100, 1_000];
/// Much like those of a delivery.
const HEADERS: [(&str, &str); 7] = [
    ("content-type", "application/json"),
    ("webhook-id", "0190a5f2-8c3e-8000-8000-000000000000"),
    ("webhook-timestamp", "1800000000"),
    ("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    ("x-whisperer-event", TYPE),
    ("x-whisperer-delivery", "0190a5f2-8c3e-8000-8000-000000000000"),
    ("x-whisperer-signature", "sha256=2b9b8c6f1f0f3b1c0a5f28c3e0190a5f2b9b8c6f1f0f3b1c0a5f28c3e0190a5f"),
];

/// What 1,000 requests cost, in processor seconds.
struct Cost {
    client: f64,
    receiver: f64,
}

/// Measures it `runs` times; a table of the medians.
pub(crate) fn table(runs: usize) -> String {
    let mut costs: Vec<Vec<Cost>> = ENDPOINTS.map(|_| Vec::new()).into();
    for round in 1..=runs {
        for (endpoints, costs) in ENDPOINTS.iter().zip(&mut costs) {
            eprintln!("round {round} of {runs}: {endpoints} endpoints");
            costs.push(measure(*endpoints));
        }
    }
    let mut table = String::from("| endpoints | client, CPU s per 1,000 | our receiver |\n|---|---|---|\n");
    for (endpoints, costs) in ENDPOINTS.iter().zip(&costs) {
        let (client, receiver) = (median(costs, |cost| cost.client), median(costs, |cost| cost.receiver));
        writeln!(table, "| {endpoints} | {client:.4} | {receiver:.4} |").expect("a string takes it");
    }
    table
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut all: Vec<_> = costs.iter().map(of).collect();
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

fn measure(endpoints: usize) -> Cost {
    let hosts: Vec<_> = (0..endpoints).map(|n| loopback(12, n)).collect();
    let receiver = Receiver::start(&hosts);
    let urls: Vec<_> = (0..endpoints).map(|n| receiver.url(n, "/in")).collect();
    thread::scope(|scope| {
        let sending = scope.spawn(|| actix_rt::System::new().block_on(send(&urls, &receiver)));
        sending.join().expect("every request is answered")
    })
}

async fn send(urls: &[String], receiver: &Receiver) -> Cost {
    let connector = Connector::new().limit(0);
    let client = Client::builder().connector(connector).disable_redirects().finish();
    let freeze = |url: &String| {
        let request = HEADERS.iter().fold(client.post(url), |request, header| request.insert_header(*header));
        request.freeze().expect("the headers are valid")
    };
    let requests: Rc<[_]> = urls.iter().map(freeze).collect();
    send_all(&requests, WARM_UP).await;
    let so_far = || [processor_time_of_thread(this_thread()), receiver.processor_time()];
    let before = so_far();
    send_all(&requests, REQUESTS).await;
    let after = so_far();
    let [client, receiver] = [0, 1].map(|who| each_thousand(after[who].saturating_sub(before[who])));
    Cost { client, receiver }
}

#[expect(clippy::cast_precision_loss, reason = "far below what a float holds exactly")]
fn each_thousand(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0 / REQUESTS as f64
}

/// Sends `count` requests, one endpoint after the other.
async fn send_all(requests: &Rc<[FrozenClientRequest]>, count: usize) {
    let (body, next) = (Bytes::from(event::envelope()), Rc::new(Cell::new(0)));
    let senders: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (requests, body, next) = (Rc::clone(requests), body.clone(), Rc::clone(&next));
            actix_rt::spawn(async move {
                while next.get() < count {
                    let request = &requests[next.replace(next.get() + 1) % requests.len()];
                    let mut response = request.send_body(body.clone()).await.expect("the receiver answers");
                    response.body().await.expect("its answer ends");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender does not panic");
    }
}
