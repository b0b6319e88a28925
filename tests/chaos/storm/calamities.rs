//! What happens, one after the other, drawn from the seed.

use std::{collections::BTreeMap, fmt, time::Duration};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use super::{Publishers, Scene, orders, receiver::Mood};
use crate::support::eventually::pass;

/// The engine is given 30 s to let attempts in flight finish, of which each has 2 s.
const END_WITHIN: Duration = Duration::from_secs(20);

/// Kinds of calamities, each as often as it stands here.
const DECK: &[Kind] = &[
    Kind::KillEngine,
    Kind::StopEngine,
    Kind::KillDatabase,
    Kind::StallDatabase,
    Kind::CutCable,
    Kind::EndpointDown,
    Kind::EndpointDown,
    Kind::Mood,
    Kind::Mood,
    Kind::Mood,
    Kind::Mood,
    Kind::Pause,
    Kind::Pause,
    Kind::Resume,
    Kind::Resume,
    Kind::Resume,
    Kind::Resume,
    Kind::Change,
    Kind::Change,
    Kind::ChangeOfMind,
    Kind::Replay,
    Kind::Replay,
    Kind::Quiet,
    Kind::Quiet,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// `kill -9`, half of the times once more while it starts.
    KillEngine,
    /// SIGTERM.
    StopEngine,
    /// On SQLite, another process holds the lock instead.
    KillDatabase,
    StallDatabase,
    /// The connections to the server end, which goes on with what it was sent.
    CutCable,
    /// Nobody listens any more, for up to two seconds.
    EndpointDown,
    Mood,
    Pause,
    Resume,
    Change,
    ChangeOfMind,
    Replay,
    Quiet,
}

/// The storm.
pub(crate) struct Calamities {
    random: StdRng,
    happened: BTreeMap<Kind, usize>,
    /// How SIGTERM ended when it did not end well.
    bad_ends: Vec<String>,
}

impl Calamities {
    pub(crate) fn new(random: StdRng) -> Self {
        Self { random, happened: BTreeMap::new(), bad_ends: Vec::new() }
    }

    /// The next one, and a moment in which it has its effect.
    pub(crate) fn next(&mut self, scene: &mut Scene, publishers: &Publishers) {
        let kind = *DECK.choose(&mut self.random).expect("the deck has cards");
        *self.happened.entry(kind).or_default() += 1;
        let n = self.random.random_range(0..scene.subscriptions.len());
        let endpoint = self.random.random_range(0..scene.endpoints.len());
        match kind {
            Kind::KillEngine => self.kill_engine(scene),
            Kind::StopEngine => self.stop_engine(scene),
            Kind::KillDatabase => self.kill_database(scene),
            Kind::StallDatabase => self.stall_database(scene),
            Kind::CutCable => self.cut_cable(scene),
            Kind::EndpointDown => {
                scene.endpoints[endpoint].stop();
                self.wait(2_000);
                scene.endpoints[endpoint].start_again();
            }
            Kind::Mood => {
                // Half of the time well: a storm in which nothing arrives any more shows nothing.
                let bad = *Mood::ALL.choose(&mut self.random).expect("there are moods");
                scene.set_mood(endpoint, if self.random.random() { Mood::Well } else { bad });
            }
            Kind::Pause => orders::pause(scene, n),
            Kind::Resume => orders::resume(scene, n),
            Kind::Change => orders::change(scene, n, &mut self.random),
            Kind::ChangeOfMind => {
                let fickle: Vec<_> =
                    (0..scene.subscriptions.len()).filter(|n| scene.subscriptions[*n].is_fickle).collect();
                orders::change_mind(scene, *fickle.choose(&mut self.random).expect("some are"), publishers);
            }
            Kind::Replay => orders::replay(scene, n),
            Kind::Quiet => self.wait(2_000),
        }
        self.wait(500);
    }

    /// Good weather everywhere, and everybody goes on.
    pub(crate) fn clear_up(&self, scene: &mut Scene) {
        for endpoint in 0..scene.endpoints.len() {
            scene.set_mood(endpoint, Mood::Well);
        }
        for n in 0..scene.subscriptions.len() {
            orders::resume(scene, n);
        }
        assert!(self.bad_ends.is_empty(), "SIGTERM: {:?}", self.bad_ends);
    }

    /// Up to so many milliseconds.
    fn wait(&mut self, most: u64) {
        pass(Duration::from_millis(self.random.random_range(0..most)));
    }

    fn kill_engine(&mut self, scene: &mut Scene) {
        scene.bed.engine.kill9();
        if self.random.random() {
            scene.bed.engine.spawn();
            self.wait(400);
            scene.bed.engine.kill9();
        }
        scene.bed.engine.start_again();
    }

    fn stop_engine(&mut self, scene: &mut Scene) {
        let status = scene.bed.engine.terminate(END_WITHIN);
        if status.code() != Some(0) {
            self.bad_ends.push(status.to_string());
        }
        scene.bed.engine.start_again();
    }

    fn kill_database(&mut self, scene: &mut Scene) {
        if let Some(server) = &mut scene.bed.server {
            server.kill();
            self.wait(1_500);
            server.start_again();
        } else {
            self.lock_file(scene);
        }
    }

    fn stall_database(&mut self, scene: &Scene) {
        if let Some(server) = &scene.bed.server {
            server.stall();
            self.wait(3_000);
            server.go_on();
        } else {
            self.lock_file(scene);
        }
    }

    /// Half of the times while the server stands still, so that all that was sent is carried out later.
    fn cut_cable(&mut self, scene: &Scene) {
        let (Some(server), Some(cable)) = (&scene.bed.server, &scene.bed.cable) else { return self.lock_file(scene) };
        let stands_still = self.random.random();
        if stands_still {
            server.stall();
            self.wait(200);
        }
        cable.cut();
        if stands_still {
            self.wait(500);
            server.go_on();
        }
    }

    /// Another process that writes, longer than the engine cares to wait for.
    fn lock_file(&mut self, scene: &Scene) {
        let url = scene.bed.database.url();
        let path = url.strip_prefix("sqlite:").expect("it is no server");
        let mut connection = SqliteConnection::establish(path).expect("the file is there");
        connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").expect("the engine lets others write");
        self.wait(3_000);
        connection.batch_execute("ROLLBACK").expect("there is a transaction");
    }
}

impl fmt::Display for Calamities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times: Vec<_> = self.happened.iter().map(|(kind, times)| format!("{times} {}", kind.name())).collect();
        f.write_str(&times.join(", "))
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::KillEngine => "kill -9",
            Self::StopEngine => "SIGTERM",
            Self::KillDatabase => "database killed",
            Self::StallDatabase => "database stalled",
            Self::CutCable => "cable cut",
            Self::EndpointDown => "endpoint down",
            Self::Mood => "change of mood",
            Self::Pause => "pause",
            Self::Resume => "resumption",
            Self::Change => "change",
            Self::ChangeOfMind => "(de)activation",
            Self::Replay => "replay",
            Self::Quiet => "quiet",
        }
    }
}
