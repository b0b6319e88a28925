//! The HTTP server that receives: any path, POST, in this process.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode},
    web,
};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    behaviour::{Behaviour, Reply},
    received::{Received, Sightings},
};
use crate::{clock::Clock, domain::secret::Secret};

/// The largest body that is taken, in bytes: a payload of the largest size and what is around it.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How many deliveries may wait to be told. Beyond that answers wait, which slows the sender and loses nothing.
const UNTOLD: usize = 1_000;

/// A delivery that came in, and how it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What came in.
    pub(crate) received: Received,
    /// Which attempt of this delivery it is, as far as we saw them; 1 for the first.
    pub(crate) seen: u32,
    /// How it is answered.
    pub(crate) reply: Reply,
}

/// What the receiver does with what comes in.
pub(crate) struct Rules {
    /// Checks signatures.
    pub(crate) secret: Option<Secret>,
    /// How a path answers.
    pub(crate) behaviour: Box<dyn Fn(&str) -> Behaviour + Send + Sync>,
}

struct Shared {
    rules: Rules,
    sightings: Mutex<Sightings>,
    clock: Clock,
    reports: mpsc::Sender<Report>,
}

/// A running receiver.
pub(crate) struct Receiver {
    /// Where it listens, with the real port.
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
}

impl Receiver {
    /// Listens at `address` (port 0: any free one) and tells what comes in.
    ///
    /// # Errors
    /// When the address is taken, or not ours.
    pub(crate) fn start(address: SocketAddr, rules: Rules) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let (reports, told) = mpsc::channel(UNTOLD);
        let shared =
            web::Data::from(Arc::new(Shared { rules, sightings: Mutex::default(), clock: Clock::system(), reports }));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
                .default_service(web::to(receive))
        });
        // One worker is plenty, and signals are the command's business. What hangs does not hold up the end.
        let server = server.workers(1).disable_signals().shutdown_timeout(0).bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let running = server.run();
        let handle = running.handle();
        actix_rt::spawn(running);
        Ok((Self { address, handle }, told))
    }

    /// Stops at once.
    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn receive(shared: web::Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if request.method() != Method::POST {
        return HttpResponse::MethodNotAllowed().insert_header(("Allow", "POST")).finish();
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let received = Received::read(shared.clock.now(), path, header, body, shared.rules.secret.as_ref());
    let seen = shared.count(received.uuid.as_deref());
    let reply = (shared.rules.behaviour)(request.path()).reply(seen, rand::random());
    // Nobody listens any more only while the command ends.
    shared.reports.send(Report { received, seen, reply }).await.ok();
    answer(reply).await
}

impl Shared {
    fn count(&self, uuid: Option<&str>) -> u32 {
        let mut sightings = self.sightings.lock().unwrap_or_else(PoisonError::into_inner);
        uuid.map_or(1, |uuid| sightings.count(uuid))
    }
}

async fn answer(reply: Reply) -> HttpResponse {
    match reply {
        Reply::Never => std::future::pending().await,
        Reply::Status { code, delay, retry_after } => {
            tokio::time::sleep(delay).await;
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponse::build(status);
            if let Some(seconds) = retry_after {
                response.insert_header(("Retry-After", seconds.to_string()));
            }
            response.content_type("text/plain").body(if status.is_success() {
                "received"
            } else {
                "refused on purpose"
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;
    use crate::domain::signature::Signer;

    const BODY: &str = r#"{"event": {"type": "package.created", "uuid": "u1"}, "payload": {}}"#;

    async fn post(address: SocketAddr, signature: &str) -> u16 {
        let client = awc::Client::builder().disable_redirects().finish();
        let request = client.post(format!("http://{address}/erp")).insert_header(("X-Whisperer-Signature", signature));
        request.send_body(BODY).await.expect("an answer").status().as_u16()
    }

    #[actix_rt::test]
    async fn a_receiver_that_fails_first_recognises_the_repeat() {
        let secret = Secret::new("s");
        let behaviour = |path: &str| Behaviour { fail_first: u32::from(path == "/erp"), ..Behaviour::default() };
        let rules = Rules { secret: Some(secret.clone()), behaviour: Box::new(behaviour) };
        let (receiver, mut told) =
            Receiver::start((Ipv4Addr::LOCALHOST, 0).into(), rules).expect("a free port on loopback");
        let signature = Signer::new(&secret, &[]).whisperer(BODY.as_bytes());

        assert_eq!(post(receiver.address, &signature).await, 503);
        assert_eq!(post(receiver.address, "sha256=00").await, 200);

        let (first, second) = (told.recv().await.expect("told"), told.recv().await.expect("told"));
        assert_eq!((first.seen, second.seen), (1, 2));
        assert_eq!(first.received.whisperer.as_str(), "✓");
        assert_eq!(second.received.whisperer.as_str(), "✗ wrong");
        assert_eq!(second.reply, Reply::Status { code: 200, delay: Duration::ZERO, retry_after: None });
        receiver.stop().await;
    }
}
