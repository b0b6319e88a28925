//! The settings of the engine: flags with environment twins, checked once, with units in their types.
//!
//! `postrider serve --help` is the reference; nothing else reads the environment.

use std::{ffi::OsStr, net::SocketAddr, num::NonZeroUsize, time::Duration};

use clap::{
    Arg, Args, Command,
    builder::{NonEmptyStringValueParser, TypedValueParser},
    error::ErrorKind,
};
use ipnet::IpNet;

use crate::{
    domain::{
        breaker::BreakerSettings,
        id::Node,
        retention::{Keep, Retention},
        secret::Secret,
    },
    store::{BadKeys, DatabaseUrl, Keyring, Lease, Store},
};

/// Which database.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// Where everything is stored: sqlite:FILE or mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:postrider.db",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: DatabaseUrl,
}

/// The keys of secrets at rest.
#[derive(Args, Clone, Debug)]
pub struct KeySettings {
    /// Keys that seal secrets in the database: ID:KEY,... where KEY is 32 bytes in base64 or hex; the first seals, all open
    #[arg(long, env = "POSTRIDER_SECRET_KEY", hide_env_values = true, value_name = "KEYS", value_parser = KeyringParser)]
    pub secret_key: Option<Keyring>,
}

/// A parser whose refusal does not repeat the text, as clap's own would.
#[derive(Clone)]
struct KeyringParser;

impl TypedValueParser for KeyringParser {
    type Value = Keyring;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Keyring, clap::Error> {
        let keys = value.to_str().unwrap_or_default().parse();
        keys.map_err(|error: BadKeys| {
            command.clone().error(ErrorKind::ValueValidation, format!("POSTRIDER_SECRET_KEY: {error}"))
        })
    }
}

/// Everything that `postrider serve` can be told.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// The keys of secrets at rest.
    #[command(flatten)]
    pub keys: KeySettings,

    /// Address and port of the HTTP API
    #[arg(long, env = "POSTRIDER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// A token for the owner "admin", who is added if missing; without it a new database gets a random one, shown once
    #[arg(long, env = "POSTRIDER_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret_parser())]
    pub admin_token: Option<Secret>,

    /// A token that opens /metrics and nothing else; the tokens of admins open it too
    #[arg(long, env = "POSTRIDER_METRICS_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret_parser())]
    pub metrics_token: Option<Secret>,

    /// Networks that webhooks may go to although they are private, separated by commas: 10.1.0.0/16,127.0.0.0/8
    #[arg(long, env = "POSTRIDER_EGRESS_ALLOW", value_delimiter = ',', value_name = "NETWORKS")]
    pub egress_allow: Vec<IpNet>,

    /// The number of this machine among those that share a database, 0 to 31
    #[arg(long, env = "POSTRIDER_NODE", default_value = "0", value_parser = node, value_name = "NUMBER")]
    pub node: Node,

    /// Threads that deliver; by default one per core
    #[arg(long, env = "POSTRIDER_DELIVERY_THREADS", value_name = "COUNT")]
    pub delivery_threads: Option<NonZeroUsize>,

    /// Threads that serve the HTTP API; by default one for two cores
    #[arg(long, env = "POSTRIDER_HTTP_THREADS", value_name = "COUNT")]
    pub http_threads: Option<NonZeroUsize>,

    /// Deliveries that each subscription keeps in memory; what exceeds them is read from the database when its turn comes
    #[arg(long, env = "POSTRIDER_WINDOW", default_value = "1000", value_name = "COUNT")]
    pub window: NonZeroUsize,

    /// Attempts in flight at once, of all subscriptions together; at the bound each gets its fair share
    #[arg(long, env = "POSTRIDER_MAX_IN_FLIGHT", default_value = "4096", value_name = "COUNT")]
    pub max_in_flight: NonZeroUsize,

    /// Deliveries in a row that fail until their endpoint is only probed; 0 for never
    #[arg(long, env = "POSTRIDER_BREAKER_THRESHOLD", default_value = "10", value_name = "COUNT")]
    pub breaker_threshold: u16,

    /// Seconds until the first probe of an endpoint that fails; the wait doubles with each probe
    #[arg(long, env = "POSTRIDER_BREAKER_WAIT", default_value = "2", value_parser = seconds, value_name = "SECONDS")]
    pub breaker_wait: Duration,

    /// The longest wait between probes, in seconds
    #[arg(long, env = "POSTRIDER_BREAKER_LONGEST_WAIT", default_value = "300", value_parser = seconds, value_name = "SECONDS")]
    pub breaker_longest_wait: Duration,

    /// Days for which an endpoint may fail without a success between before its subscription is paused; 0 for never
    #[arg(long, env = "POSTRIDER_PAUSE_FAILING", default_value = "5", value_parser = days, value_name = "DAYS")]
    pub pause_failing: Duration,

    /// MiB of payload that all subscriptions together keep in memory
    #[arg(long, env = "POSTRIDER_PAYLOAD_BUDGET", default_value = "64", value_name = "MIB")]
    pub payload_budget_mib: NonZeroUsize,

    /// Events that may wait for their commit; past it POST /api/v1/events answers 503
    #[arg(long, env = "POSTRIDER_MAX_WAITING", default_value = "10000", value_name = "COUNT")]
    pub max_waiting: NonZeroUsize,

    /// Entries on a page of the /whisperer/ lists; without it they are plain lists
    #[arg(long, env = "POSTRIDER_PAGE_SIZE", value_name = "COUNT")]
    pub page_size: Option<NonZeroUsize>,

    /// Days for which deliveries are kept that arrived, and events that nobody had asked for: a number, or "forever"
    #[arg(long, env = "POSTRIDER_KEEP_DELIVERED", default_value = "30", value_parser = keep, value_name = "DAYS")]
    pub keep_delivered: Keep,

    /// Days for which dead, expired and cancelled deliveries are kept: a number, or "forever"
    #[arg(long, env = "POSTRIDER_KEEP_DEAD", default_value = "90", value_parser = keep, value_name = "DAYS")]
    pub keep_dead: Keep,

    /// Days for which payloads are kept of which nothing is owed any more; by default as long as their deliveries
    #[arg(long, env = "POSTRIDER_KEEP_PAYLOADS", value_parser = keep, value_name = "DAYS")]
    pub keep_payloads: Option<Keep>,

    /// Days for which the audit log remembers what people did: a number, or "forever"
    #[arg(long, env = "POSTRIDER_KEEP_AUDIT", default_value = "400", value_parser = keep, value_name = "DAYS")]
    pub keep_audit: Keep,

    /// How often to look for what is too old to be delivered or kept, in seconds
    #[arg(long, env = "POSTRIDER_SWEEP", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub sweep: Duration,

    /// How long attempts in flight may take to finish after SIGTERM, in seconds
    #[arg(long, env = "POSTRIDER_DRAIN", default_value = "30", value_parser = seconds, value_name = "SECONDS")]
    pub drain: Duration,
}

/// The store that the settings ask for; with the lease of an engine, or for a command beside one.
#[must_use]
pub fn store(database: &DatabaseSettings, keys: &KeySettings, lease: Option<Lease>) -> Store {
    Store::leased(database.database_url.clone(), keys.secret_key.clone().unwrap_or_default(), lease)
}

impl ServeSettings {
    /// How long what was settled is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            delivered: self.keep_delivered,
            given_up: self.keep_dead,
            payloads: self.keep_payloads.unwrap_or(Keep::Forever),
            audit: self.keep_audit,
        }
    }

    /// What people may be shown of the settings: names and values. Neither tokens, keys nor the way to the database are in it.
    #[must_use]
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let days = |length: Duration| format!("{} days", length.as_secs_f64() / 86_400.0);
        let kept = |keep| match keep {
            Keep::Forever => "forever".to_owned(),
            Keep::For(length) => days(length),
        };
        let seconds = |length: Duration| format!("{} s", length.as_secs_f64());
        let networks = self.egress_allow.iter().map(ToString::to_string).collect::<Vec<_>>();
        let count = |count: Option<NonZeroUsize>| count.map_or_else(|| "by the machine".to_owned(), |n| n.to_string());
        vec![
            ("Keep what arrived", kept(self.keep_delivered)),
            ("Keep what was given up", kept(self.keep_dead)),
            ("Keep payloads", self.keep_payloads.map_or_else(|| "as long as their deliveries".to_owned(), kept)),
            ("Keep the audit log", kept(self.keep_audit)),
            ("Sweep every", seconds(self.sweep)),
            (
                "Private networks that are open",
                if networks.is_empty() { "none".to_owned() } else { networks.join(", ") },
            ),
            ("Attempts in flight at once", self.max_in_flight.to_string()),
            ("Deliveries of a subscription in memory", self.window.to_string()),
            ("Payloads in memory", format!("{} MiB", self.payload_budget_mib)),
            ("Events that may wait for their commit", self.max_waiting.to_string()),
            ("Failures in a row until only probes", self.breaker_threshold.to_string()),
            ("First probe after", seconds(self.breaker_wait)),
            ("Longest wait between probes", seconds(self.breaker_longest_wait)),
            ("Pause what fails for", self.pause_failing().map_or_else(|| "never".to_owned(), days)),
            ("Threads that deliver", count(self.delivery_threads)),
            ("Threads that serve", count(self.http_threads)),
            ("Time to finish at the end", seconds(self.drain)),
        ]
    }

    /// How breakers behave.
    #[must_use]
    pub fn breaker(&self) -> BreakerSettings {
        BreakerSettings {
            threshold: self.breaker_threshold,
            first_wait: self.breaker_wait,
            longest_wait: self.breaker_longest_wait.max(self.breaker_wait),
        }
    }

    /// How long an endpoint may fail before its subscription is paused; `None` for ever.
    #[must_use]
    pub fn pause_failing(&self) -> Option<Duration> {
        Some(self.pause_failing).filter(|most| !most.is_zero())
    }
}

fn secret_parser() -> impl TypedValueParser<Value = Secret> {
    NonEmptyStringValueParser::new().map(Secret::new)
}

fn node(text: &str) -> Result<Node, String> {
    let number = text.parse().map_err(|_| "not a number from 0 to 31".to_owned())?;
    Node::new(number).ok_or_else(|| "not a number from 0 to 31".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a number of seconds".to_owned())
}

fn keep(text: &str) -> Result<Keep, String> {
    if text == "forever" {
        return Ok(Keep::Forever);
    }
    days(text).map(Keep::For).map_err(|_| "neither a number of days nor \"forever\"".to_owned())
}

fn days(text: &str) -> Result<Duration, String> {
    let days: f64 = text.parse().map_err(|_| "not a number of days".to_owned())?;
    Duration::try_from_secs_f64(days * 24.0 * 3_600.0).map_err(|_| "not a number of days".to_owned())
}
