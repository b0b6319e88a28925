//! The real binary, started, killed and started again as an operator, or a power cut, would.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{api::Api, eventually::eventually, port::free_port, warden};

/// How long a start may take: migrations, on a busy machine, and the 30 s for which a server keeps the lease of an engine of
/// which it was not told that it is over.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// The admin's token.
pub const TOKEN: &str = "token-of-the-tests";

/// What is tested: the binary that cargo has built for it, or the one that `POSTRIDER_TEST_BINARY` names.
pub fn binary() -> String {
    std::env::var("POSTRIDER_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_postrider").to_owned())
}

/// A running, or killed, `postrider serve`.
pub struct Engine {
    settings: BTreeMap<String, String>,
    base: String,
    folder: TempDir,
    process: Option<Child>,
    files: Option<u32>,
}

impl Engine {
    /// Starts one on the database at `database_url` with further settings; gives back when it is healthy.
    pub fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut engine = Self::not_started(database_url, settings);
        engine.start_again();
        engine
    }

    /// One that was never started.
    pub fn not_started(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let defaults = [
            ("DATABASE_URL", database_url),
            ("POSTRIDER_LISTEN", &listen),
            ("POSTRIDER_ADMIN_TOKEN", TOKEN),
            ("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8"),
            ("RUST_LOG", "info"),
        ];
        let folder = tempfile::Builder::new().prefix("postrider-engine-").tempdir().expect("there is a temp folder");
        warden::watch_folder(folder.path());
        Self {
            settings: defaults.iter().chain(settings).map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            base: format!("http://{listen}"),
            folder,
            process: None,
            files: None,
        }
    }

    /// A client with the admin's token.
    pub fn api(&self) -> Api {
        Api::new(&self.base, TOKEN)
    }

    /// `http://HOST:PORT`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The operating system's number of the process, to look at its memory or files.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the engine runs").id()
    }

    /// Everything that it has logged so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Starts it again with the same settings; gives back when it is healthy.
    pub fn start_again(&mut self) {
        self.spawn();
        self.wait_until_healthy();
    }

    /// From the next start on it may open so many files, and no more.
    pub fn limit_files(&mut self, most: u32) {
        self.files = Some(most);
    }

    fn program(&self) -> Command {
        let Some(files) = self.files else { return Command::new(binary()) };
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &files.to_string(), &binary()]);
        command
    }

    /// Starts it again without waiting for it: a test may want to kill it while it starts.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "the engine runs");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the folder is ours");
        let process = self
            .program()
            .arg("serve")
            // A developer's own settings must not leak in.
            .env_clear()
            .envs(&self.settings)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the binary is there");
        warden::watch_program(process.id());
        self.process = Some(process);
    }

    /// Waits until `GET /healthz` is answered with 200.
    pub fn wait_until_healthy(&mut self) {
        self.wait_until_healthy_within(START_DEADLINE);
    }

    /// The same for one that has to wait itself.
    pub fn wait_until_healthy_within(&mut self, deadline: Duration) {
        let api = self.api();
        let process = self.process.as_mut().expect("the engine was started");
        eventually("the engine to be healthy", deadline, || {
            if let Ok(Some(status)) = process.try_wait() {
                panic!("the engine ended with {status}");
            }
            match api.get("/healthz") {
                Ok(reply) if reply.status == 200 => Ok(()),
                Ok(reply) => Err(format!("{reply:?}")),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    /// Changes a setting; it holds from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Adds a user with `postrider user add`; gives the token.
    pub fn add_user(&self, args: &[&str]) -> String {
        let token = format!("token-of-{}", args[0]);
        let output = Command::new(binary())
            .args(["user", "add", "--token", &token])
            .args(args)
            .env_clear()
            .envs(&self.settings)
            .output()
            .expect("the binary is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        token
    }

    /// Runs `postrider ARGS` on the same database, with the same settings.
    pub fn command(&self, args: &[&str]) -> Output {
        Command::new(binary())
            .args(args)
            .env_clear()
            .envs(&self.settings)
            .env("RUST_LOG", "warn")
            .output()
            .expect("the binary is there")
    }

    /// `kill -9`; gives back when it is dead.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("the engine runs");
        process.kill().and_then(|()| process.wait()).expect("the process is ours");
        warden::forget_program(process.id());
    }

    /// SIGTERM, without waiting for what follows.
    pub fn ask_to_end(&self) {
        let process = self.process.as_ref().expect("the engine runs");
        kill_process(Pid::from_child(process), Signal::TERM).expect("the process is ours");
    }

    /// SIGTERM; waits for its end up to `deadline`.
    pub fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.ask_to_end();
        self.wait_for_the_end(deadline)
    }

    /// Waits up to `deadline` until the process has ended by itself.
    pub fn wait_for_the_end(&mut self, deadline: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("the engine runs");
        let status = eventually("the engine to end", deadline, || match process.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        warden::forget_program(process.id());
        status
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill9();
        }
        if std::thread::panicking() {
            eprintln!("the engine's log:\n{}", self.log());
        }
    }
}
