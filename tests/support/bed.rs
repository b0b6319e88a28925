//! What measurements begin with: an engine on an empty database with real commits, and somebody who watches what it costs.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use super::{
    api::Api,
    cable::Cable,
    database::Database,
    engine::Engine,
    eventually::{eventually, pass},
    mariadb::{Durability, PrivateMariaDb},
    process::Footprint,
};

/// Between two looks at the process.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Sqlite,
    MariaDb,
}

impl Kind {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::MariaDb => "MariaDB",
        }
    }
}

/// An engine, its database, and the server of that; they end in this order.
pub struct Bed {
    pub engine: Engine,
    pub api: Api,
    pub database: Database,
    pub server: Option<PrivateMariaDb>,
    /// Between the engine and the server.
    pub cable: Option<Cable>,
}

impl Bed {
    /// A new one; commits wait for the disk as in production.
    pub fn new(kind: Kind, settings: &[(&str, &str)]) -> Self {
        Self::with(kind, settings, |_| None)
    }

    /// The same with a cable to the server that can be cut.
    pub fn on_a_cable(kind: Kind, settings: &[(&str, &str)]) -> Self {
        Self::with(kind, settings, Database::by_cable)
    }

    fn with(kind: Kind, settings: &[(&str, &str)], lay_cable: impl Fn(&Database) -> Option<(Cable, String)>) -> Self {
        let (server, database) = match kind {
            Kind::Sqlite => (None, Database::sqlite()),
            Kind::MariaDb => {
                let server = PrivateMariaDb::start(Durability::PowerCut);
                let database = Database::on(&server);
                (Some(server), database)
            }
        };
        // A line for each of thousands of attempts that fail would be what is measured.
        let settings: Vec<_> = [("RUST_LOG", "error")].iter().chain(settings).copied().collect();
        let (cable, url) = lay_cable(&database).unzip();
        let engine = Engine::start(&url.unwrap_or_else(|| database.url()), &settings);
        Self { api: engine.api(), engine, database, server, cable }
    }

    /// What the engine holds now.
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.engine.process_id()).expect("the engine runs")
    }

    /// Waits until the engine has no more than `most` files open; gives what it holds then, or after the deadline.
    pub fn files_back(&self, most: usize, deadline: Duration) -> Footprint {
        for _ in 0..deadline.as_millis() / WATCH_EVERY.as_millis() {
            if self.footprint().files <= most {
                break;
            }
            pass(WATCH_EVERY);
        }
        self.footprint()
    }

    /// Waits until `subscription` is owed nothing.
    pub fn settle(&self, subscription: i64, deadline: Duration) {
        eventually("everything owed to be settled", deadline, || match self.api.owed(subscription) {
            0 => Ok(()),
            owed => Err(format!("{owed} owed")),
        });
    }
}

/// Registers a subscription for each `(event type, URL)`, on a few connections at once; gives the ids in no order.
pub fn subscribe_all(api: &Api, targets: &[(String, String)], more: &Value) -> Vec<i64> {
    let share = targets.len().div_ceil(8).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = targets
            .chunks(share)
            .map(|targets| {
                scope.spawn(|| -> Vec<i64> {
                    targets.iter().map(|(event_type, url)| api.subscribe(event_type, url, more.clone())).collect()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("the engine takes subscriptions")).collect()
    })
}

/// The `n`th address of the loopback network `127.net.0.0/16`.
pub fn loopback(net: u8, n: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(n + 1).expect("a few thousand").to_be_bytes();
    Ipv4Addr::new(127, net, high, low)
}

/// Looks at a process again and again and remembers the most it held.
pub struct Watch {
    most: Arc<Mutex<Footprint>>,
    enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(process: u32) -> Self {
        let (most, enough): (Arc<Mutex<Footprint>>, Arc<AtomicBool>) = Default::default();
        let thread = thread::spawn({
            let (most, enough) = (Arc::clone(&most), Arc::clone(&enough));
            move || {
                while !enough.load(Ordering::Relaxed) {
                    if let Some(now) = Footprint::of(process) {
                        let mut most = most.lock().unwrap_or_else(PoisonError::into_inner);
                        *most = most.max(now);
                    }
                    pass(WATCH_EVERY);
                }
            }
        });
        Self { most, enough, thread: Some(thread) }
    }

    /// The most since the start, or since the last time that this was asked.
    pub fn take(&self) -> Footprint {
        std::mem::take(&mut self.most.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did there would be nothing to do about it.
            thread.join().ok();
        }
    }
}
