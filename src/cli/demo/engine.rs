//! The engine of the demo: a child process of the same binary, so that a person can kill it and watch it recover.

use std::{fs::File, io, net::Ipv4Addr, path::PathBuf, process::ExitStatus, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{
    cli::{CliError, client::Api},
    domain::secret::Secret,
};

/// How long a new engine may take to answer: the first start makes the tables.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long it may take to drain; what then is in flight is lost with the demo's folder anyway.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How to start the engine, again and again.
pub(super) struct Recipe {
    pub(super) port: u16,
    pub(super) folder: PathBuf,
    pub(super) token: Secret,
}

/// A running engine.
pub(super) struct Engine {
    child: Child,
    pub(super) pid: u32,
}

impl Recipe {
    /// Where the engine writes its log.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("engine.log")
    }

    /// Starts a process; whether it will answer is another matter.
    pub(super) fn start(&self) -> Result<Engine, CliError> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        // What the shell sets for another engine is not for this one.
        for name in settings() {
            command.env_remove(name);
        }
        command
            .arg("serve")
            .args(["--database-url", &format!("sqlite:{}", self.folder.join("postrider.db").display())])
            .args(["--listen", &format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)])
            .args(["--egress-allow", "127.0.0.0/8"])
            .args(["--drain", "5"])
            .env("POSTRIDER_ADMIN_TOKEN", self.token.reveal())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C reaches the demo alone, which then ends the engine in good order.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        Ok(Engine { child, pid })
    }

    /// Waits until `engine` answers.
    pub(super) async fn wait_until_ready(&self, engine: &mut Engine, api: &Api) -> Result<(), CliError> {
        let answers = async {
            while api.get::<Value>("/healthz").await.is_err() {
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            status = engine.ended() => Err(CliError::refused(format!("the engine did not start ({status}): {}", self.last_words()))),
            answered = tokio::time::timeout(START_WITHIN, answers) => answered.map_err(|_| {
                CliError::refused(format!("the engine does not answer; the end of its log: {}", self.last_words()))
            }),
        }
    }

    /// The last line of the engine's log.
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing").to_owned()
    }
}

/// The environment variables that `serve` reads.
fn settings() -> Vec<String> {
    let command = crate::cli::command();
    let serve = command.find_subcommand("serve").map(clap::Command::get_arguments);
    serve
        .into_iter()
        .flatten()
        .filter_map(|arg| arg.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

impl Engine {
    /// Returns when the process has ended, with how it did.
    pub(super) async fn ended(&mut self) -> String {
        told(self.child.wait().await)
    }

    /// Ends it in good order: SIGTERM, and SIGKILL when it takes too long.
    pub(super) async fn stop(mut self) -> Result<(), CliError> {
        // One that has ended already has no pid.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(io::Error::from)?;
        }
        if tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// `exit status: 1`, `signal: 9 (SIGKILL)`.
fn told(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}
