//! The composition root: who is built with whom, and in which order everything starts and stops.
//!
//! Start: take the lease of the database, migrate, read what is to be known, start the actors, open the door. Stop: close the door and
//! answer who is inside, let attempts in flight finish and be recorded, end. Whatever is cut off by the deadline is still due
//! in the store.

mod entering;
mod known;
mod threads;

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix::{Actor, Addr, Context};
use actix_rt::Arbiter;
use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn};
use rustix::process::{Resource, Rlimit};
use tokio::{
    net::{TcpListener, TcpSocket},
    select,
    signal::unix::{Signal, SignalKind, signal},
};

pub use self::threads::runtime;
use self::{
    entering::{enter, patiently},
    known::Known,
    threads::{delivering, name_thread, threads},
};
use crate::{
    actors::{
        admission::Admission,
        budget::Budget,
        colleagues::Shared,
        failing_notes::FailingNotes,
        gauges::Gauges,
        janitor::Janitor,
        lag::watch_lag,
        open_breakers::OpenBreakers,
        recorder::Waiting,
        relearning::relearn,
        replayer::Replayer,
        roster::Bench,
        router::{Drain, Router},
        slots::Slots,
        tally::Tally,
        trickle::Trickles,
    },
    clock::Clock,
    config::ServeSettings,
    domain::{
        id::Minter,
        routing::RoutingTable,
        token::{token_digest, token_from},
    },
    egress::{Guard, Names},
    http::{self, State, Trials, auth::Tokens, survey::Survey},
    metrics::Metrics,
    pages::{self, Pages},
    store::{Store, StoreError},
};

/// Events that wait may have so many bytes of payload each on average, before the door closes.
const WAITING_BYTES_PER_EVENT: usize = 8 * 1024;
/// Connections that may wait to be let in.
const BACKLOG: u32 = 1024;
/// How often the router is looked for.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// Why the engine did not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database is away or refuses.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where the API should be.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// No signals, no threads.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// The router died. Everything it had is in the store; a new process goes on.
    #[error("the router died; start the engine again, nothing is lost")]
    RouterDied,
    /// The database lost sight of this engine, and another one has its lease.
    #[error("another engine has taken over this database; what this one had is delivered by that one")]
    TakenOver,
}

/// Runs the engine until SIGTERM or SIGINT, then drains. A second signal ends it at once.
///
/// # Errors
/// [`StartError`] when it cannot start or its router died.
pub async fn serve(settings: ServeSettings) -> Result<(), StartError> {
    let mut signals = Signals::new()?;
    let socket = reserve(settings.listen).map_err(|source| StartError::Listen { address: settings.listen, source })?;
    raise_file_limit();
    let clock = Clock::system();
    let (lease, store) = select! {
        entered = enter(&settings.database, &settings.keys) => entered?,
        () = signals.next() => return Ok(()),
    };
    let mut taken_over = actix_rt::spawn(async move { lease.taken_over().await });
    let generated = token_from(&rand::random());
    let known = select! {
        known = patiently(|| Known::read(&store, &clock, settings.admin_token.as_ref(), &generated)) => known?,
        () = signals.next() => return Ok(()),
        _ = &mut taken_over => return Err(StartError::TakenOver),
    };
    known.announce(&generated);

    #[cfg(feature = "sqlite")]
    actix_rt::spawn(crate::store::checkpoint::keep_short(store.clone()));
    let guard = Guard::new(settings.egress_allow.clone(), Names::system());
    let shared = shared(&settings, &store, &clock);
    let admission = Admission::new(settings.max_waiting.get(), settings.max_waiting.get() * WAITING_BYTES_PER_EVENT);
    let (gauges, metrics, tally) =
        (Gauges::new(&shared, admission.clone()), shared.metrics.clone(), shared.tally.clone());
    let (router, arbiters) = start_actors(&settings, shared, &guard, known.table, known.last_stored);
    actix_rt::spawn(relearn(store.clone(), router.clone()));
    let state = State {
        store: store.clone(),
        clock: clock.clone(),
        router: router.clone(),
        guard,
        tally: tally.clone(),
        admission,
        tokens: Tokens::default(),
        trials: Trials::default(),
        catalogue: known.catalogue,
        metrics,
        gauges,
        survey: Survey::default(),
        metrics_token: settings.metrics_token.as_ref().map(|token| token_digest(token.reveal())),
        page_size: settings.page_size,
    };
    let pages = Pages { settings: settings.told().into(), ..Pages::default() };
    pages.pulse.watch(state.metrics.clone());
    let server = listen(&settings, socket, state, pages)?;
    log::info!(address:% = settings.listen, database:? = settings.database.database_url; "ready");

    let ended = select! {
        () = signals.next() => Ok(()),
        () = death_of(&router) => Err(StartError::RouterDied),
        _ = &mut taken_over => Err(StartError::TakenOver),
    };
    if ended.is_ok() {
        log::info!(deadline:? = settings.drain; "stopping: attempts in flight finish; a second signal ends at once");
        select! {
            () = drain(&server, &router, settings.drain) => {}
            () = signals.next() => {
                log::warn!("ended at once; what was in flight is attempted again at the next start");
                return Ok(());
            }
        }
    }
    for arbiter in arbiters {
        arbiter.stop();
    }
    // The next engine counts for itself, and this one may not write.
    if !matches!(ended, Err(StartError::TakenOver)) {
        select! {
            () = write_statistics(&tally, &store, &clock) => {}
            () = signals.next() => log::warn!("ended at once; the statistics of the last minute are lost"),
        }
    }
    ended
}

/// The statistics of the last minute; a database that does not answer is not waited for.
async fn write_statistics(tally: &Tally, store: &Store, clock: &Clock) {
    match tokio::time::timeout(LAST_WRITE, tally.write(store, clock)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!(error:% = error; "the statistics of the last minute are lost"),
        Err(_) => log::warn!("the statistics of the last minute are lost: the database does not answer"),
    }
}

/// Every connection is a file; the usual soft limit of 1,024 is far below what the system allows.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        log::warn!(limit:? = limit.current, error:% = error; "the limit of open files stays as it is");
    }
}

/// The signals that ask the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What all actors work with.
fn shared(settings: &ServeSettings, store: &Store, clock: &Clock) -> Shared {
    Shared {
        store: store.clone(),
        clock: clock.clone(),
        budget: Budget::new(settings.payload_budget_mib.get() * 1024 * 1024),
        slots: Slots::new(settings.max_in_flight.get()),
        trickles: Trickles::default(),
        failing_notes: FailingNotes::default(),
        waiting: Waiting::default(),
        open_breakers: OpenBreakers::default(),
        metrics: Metrics::default(),
        breaker: settings.breaker(),
        tally: Tally::default(),
        pause_failing: settings.pause_failing(),
        window: settings.window.get(),
    }
}

fn start_actors(
    settings: &ServeSettings,
    shared: Shared,
    guard: &Guard,
    table: RoutingTable,
    last_stored: i64,
) -> (Addr<Router>, Vec<Arbiter>) {
    let (store, clock, tally) = (shared.store.clone(), shared.clock.clone(), shared.tally.clone());
    actix_rt::spawn(watch_lag(shared.metrics.lag_of("main")));
    let (mut arbiters, background) = delivering(threads(settings.delivery_threads), &shared.metrics);
    let connections = shared.metrics.endpoints().clone();
    let bench = |(arbiter, background): (&Arbiter, &Arbiter)| {
        Bench::new(arbiter.handle(), background.handle(), guard.clone(), clock.clone(), connections.clone())
    };
    let benches = arbiters.iter().zip(background.iter().cycle()).map(bench).collect();
    let minter = Minter::new(settings.node, last_stored);
    let router = Router::start(table, minter, last_stored, benches, shared);
    let (retention, sweep) = (settings.retention(), settings.sweep);
    let with = (store.clone(), clock.clone(), router.clone());
    keep("replayer", move || Replayer::new(with.0.clone(), with.1.clone(), with.2.clone()));
    let with = (store.clone(), clock.clone(), router.clone(), tally.clone());
    keep("janitor", move || {
        Janitor::new(with.0.clone(), with.1.clone(), with.2.clone(), with.3.clone(), retention, sweep)
    });
    arbiters.extend(background);
    (router, arbiters)
}

/// Takes the address before anything else is begun. Nobody is let in yet.
fn reserve(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose last connections are still closing may be taken again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(settings: &ServeSettings, socket: TcpSocket, state: State, pages: Pages) -> Result<ServerHandle, StartError> {
    let refused = |source| StartError::Listen { address: settings.listen, source };
    let listener = socket.listen(BACKLOG).and_then(TcpListener::into_std).map_err(refused)?;
    let clients = state.metrics.clients().clone();
    let server = HttpServer::new(move || {
        let (state, pages) = (state.clone(), pages.clone());
        // Called once on each thread that serves.
        name_thread("http");
        actix_rt::spawn(watch_lag(state.metrics.lag_of("http")));
        App::new().wrap(from_fn(http::metrics::count)).configure(move |app| {
            http::configure(app, state);
            pages::configure(app, pages);
        })
    })
    .on_connect(move |_, connection| {
        connection.insert(clients.enter());
    })
    .workers(settings.http_threads.map_or_else(|| threads(None).div_ceil(2), NonZeroUsize::get))
    .keep_alive(http::KEEP_ALIVE)
    .client_request_timeout(http::HEAD_TIMEOUT)
    .shutdown_timeout(settings.drain.as_secs())
    .disable_signals()
    .listen(listener)
    .map_err(refused)?
    .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}

/// Starts an actor that nobody speaks to, and another one when it dies: all that it knew is in the store.
fn keep<A: Actor<Context = Context<A>>>(name: &'static str, make: impl Fn() -> A + 'static) {
    actix_rt::spawn(async move {
        let mut actor = make().start();
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            if !actor.connected() {
                log::error!(actor = name; "an actor died, starting a new one");
                actor = make().start();
            }
        }
    });
}

/// Ends when the router does.
async fn death_of(router: &Addr<Router>) {
    while router.connected() {
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Closes the door, then waits until nothing is in flight, all within `deadline`. Whoever is inside has half of it: one who
/// sends slowly must not take the time of attempts.
async fn drain(server: &ServerHandle, router: &Addr<Router>, deadline: Duration) {
    let drained = async {
        if tokio::time::timeout(deadline / 2, server.stop(true)).await.is_err() {
            log::warn!("somebody is still sending a request; it is not waited for");
        }
        // A router that is gone has nothing in flight.
        router.send(Drain).await.unwrap_or_default();
    };
    if tokio::time::timeout(deadline, drained).await.is_err() {
        log::warn!("the deadline passed; what is in flight is attempted again at the next start");
    }
}
