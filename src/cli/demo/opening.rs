//! Setting the stage: folder, receiver, engine, subscriptions, and the lines that say where everything is.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use actix_web::http::Uri;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    DemoArgs,
    engine::{Engine, Recipe},
    lines,
    story::{self, FLAKY, POLICY, REFUSED_FIRST, STANDING},
};
use crate::{
    cli::{
        CliError,
        client::Api,
        listen::receiver::{Receiver, Report, Rules},
        terminal::{QUIET, STRONG, Terminal, paint},
        tokens::random_token,
    },
    domain::secret::Secret,
};

/// Digits of the demo's token: it guards sample data on loopback for a few minutes, and is copied by hand.
const TOKEN_DIGITS: usize = 12;

/// Everything that stands before the first event.
pub(super) struct Stage {
    pub(super) folder: TempDir,
    pub(super) recipe: Recipe,
    pub(super) engine: Engine,
    pub(super) receiver: Receiver,
    pub(super) told: mpsc::Receiver<Report>,
    pub(super) api: Api,
}

impl Stage {
    /// Starts the engine and the receiver, subscribes, and shows where everything is.
    pub(super) async fn build(args: &DemoArgs, terminal: &mut Terminal) -> Result<Self, CliError> {
        let port = free_port(args.port)?;
        let folder = tempfile::Builder::new().prefix("postrider-demo-").tempdir()?;
        let token = Secret::new(&random_token()?.reveal()[..TOKEN_DIGITS]);
        let secret = random_token()?;
        let rules = Rules { secret: Some(secret.clone()), behaviour: Box::new(story::behaviour) };
        let (receiver, told) = Receiver::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), rules)?;

        let recipe = Recipe { port, folder: folder.path().to_owned(), token: token.clone() };
        let base = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
        let uri: Uri = base.parse().expect("an address and a port are a URL");
        let api = Api::new(&uri, token);
        let mut engine = recipe.start()?;
        recipe.wait_until_ready(&mut engine, &api).await?;
        let first = subscribe(&api, receiver.address, &secret).await?;
        for line in opening(&base, &recipe, receiver.address, engine.pid, first) {
            terminal.line(line)?;
        }
        terminal.line(lines::head())?;
        Ok(Self { folder, recipe, engine, receiver, told, api })
    }
}

/// The port, if it is free: the engine's own complaint would be in its log only.
fn free_port(port: u16) -> Result<u16, CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        let why = if error.kind() == ErrorKind::AddrInUse { "it is taken".to_owned() } else { error.to_string() };
        CliError::refused(format!("cannot use port {port}: {why}; choose another one with --port"))
    })?;
    Ok(listener.local_addr()?.port())
}

/// Subscribes as the story says; gives the id of the first subscription.
async fn subscribe(api: &Api, receiver: SocketAddr, secret: &Secret) -> Result<i64, CliError> {
    let mut first = None;
    for standing in STANDING {
        let subscription = json!({
            "event_type": standing.event_type,
            "target_url": format!("http://{receiver}{}", standing.path),
            "secret_key": secret.reveal(),
            "retry_countdown_config": POLICY,
        });
        let made: Value = api.post("/whisperer/hooks/", &subscription).await?;
        first = first.or_else(|| made["id"].as_i64());
    }
    first.ok_or_else(|| CliError::refused("the engine made a subscription without an id"))
}

/// Where everything is, and what can be tried.
fn opening(base: &str, recipe: &Recipe, receiver: SocketAddr, pid: u32, subscription: i64) -> Vec<String> {
    let token = recipe.token.reveal();
    let curl = format!("curl -H 'Authorization: Token {token}'");
    let named = |name: &str, text: String| format!("  {}  {text}", paint(QUIET, format_args!("{name:<9}")));
    vec![
        String::new(),
        paint(STRONG, "Postrider demo"),
        String::new(),
        named("engine", format!("{base}   token {token}   process {pid}")),
        named(
            "receiver",
            format!("http://{receiver}   checks both signatures; {FLAKY} refuses each delivery {REFUSED_FIRST} times"),
        ),
        named("folder", format!("{}   the database and engine.log, gone at the end", recipe.folder.display())),
        String::new(),
        paint(STRONG, "Try, from another terminal"),
        String::new(),
        named("publish", format!("{curl} {base}/api/v1/events -H 'Content-Type: application/json' \\")),
        named("", r#"  -d '{"event_type": "package.created", "payload": {"id": 4711}}'"#.to_owned()),
        named("look", format!("{curl} '{base}/api/v1/deliveries?limit=5'")),
        named("pause", format!("{curl} -X POST {base}/api/v1/subscriptions/{subscription}/pause")),
        named("resume", format!("{curl} -X POST {base}/api/v1/subscriptions/{subscription}/resume")),
        named("crash", format!("kill -9 {pid}")),
        String::new(),
        paint(QUIET, "Ctrl-C ends everything."),
        String::new(),
    ]
}
