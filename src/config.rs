//! The settings of the engine: flags with environment twins, checked once, with units in their types.
//!
//! `postrider serve --help` is the reference; nothing else reads the environment.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use clap::{Args, builder::NonEmptyStringValueParser};
use ipnet::IpNet;

use crate::{
    domain::{
        id::Node,
        retention::{Keep, Retention},
        secret::Secret,
    },
    store::DatabaseUrl,
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

/// Everything that `postrider serve` can be told.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Address and port of the HTTP API
    #[arg(long, env = "POSTRIDER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// A token for the owner "admin", who is added if missing; without it a new database gets a random one, shown once
    #[arg(long, env = "POSTRIDER_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret_parser())]
    pub admin_token: Option<Secret>,

    /// Networks that webhooks may go to although they are private, separated by commas: 10.1.0.0/16,127.0.0.0/8
    #[arg(long, env = "POSTRIDER_EGRESS_ALLOW", value_delimiter = ',', value_name = "NETWORKS")]
    pub egress_allow: Vec<IpNet>,

    /// The number of this machine among those that share a database, 0 to 31
    #[arg(long, env = "POSTRIDER_NODE", default_value = "0", value_parser = node, value_name = "NUMBER")]
    pub node: Node,

    /// Threads that deliver; by default one per core
    #[arg(long, env = "POSTRIDER_DELIVERY_THREADS", value_name = "COUNT")]
    pub delivery_threads: Option<NonZeroUsize>,

    /// Threads that serve the HTTP API; by default one per core
    #[arg(long, env = "POSTRIDER_HTTP_THREADS", value_name = "COUNT")]
    pub http_threads: Option<NonZeroUsize>,

    /// Deliveries that each subscription keeps in memory; what exceeds them is read from the database when its turn comes
    #[arg(long, env = "POSTRIDER_WINDOW", default_value = "1000", value_name = "COUNT")]
    pub window: NonZeroUsize,

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

    /// How often to look for what is too old to be delivered or kept, in seconds
    #[arg(long, env = "POSTRIDER_SWEEP", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub sweep: Duration,

    /// How long attempts in flight may take to finish after SIGTERM, in seconds
    #[arg(long, env = "POSTRIDER_DRAIN", default_value = "30", value_parser = seconds, value_name = "SECONDS")]
    pub drain: Duration,
}

impl ServeSettings {
    /// How long what was settled is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            delivered: self.keep_delivered,
            given_up: self.keep_dead,
            payloads: self.keep_payloads.unwrap_or(Keep::Forever),
        }
    }
}

fn secret_parser() -> impl clap::builder::TypedValueParser<Value = Secret> {
    use clap::builder::TypedValueParser;
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
    let refused = || "neither a number of days nor \"forever\"".to_owned();
    let days: f64 = text.parse().map_err(|_| refused())?;
    Duration::try_from_secs_f64(days * 24.0 * 3_600.0).map(Keep::For).map_err(|_| refused())
}
