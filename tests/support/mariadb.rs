//! Private MariaDB servers: in a temporary folder, on a port of their own, never the one that the machine may run.
//!
//! [`shared_url`] is for tests that only need a database: one server for all of them, also when each test is a process of
//! its own (cargo-nextest). Every process that uses it holds a lease, and the server ends when nobody does.
//! [`PrivateMariaDb`] is for a test that kills its server.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use diesel::{Connection, MysqlConnection};
use rustix::process::{Pid, Signal, kill_process};

use super::{eventually::eventually, port::free_port, warden};

/// Starting takes about a second, and much longer on a machine that is busy compiling.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    PowerCut,
    /// A commit survives the death of the server, not that of the machine: quick, and enough for most tests.
    Kill,
}

/// A server that only its owner uses; it ends with it.
#[derive(Debug)]
pub struct PrivateMariaDb {
    folder: PathBuf,
    port: u16,
    durability: Durability,
    server: Option<Child>,
}

impl PrivateMariaDb {
    /// Starts one with an empty database.
    pub fn start(durability: Durability) -> Self {
        let folder = new_folder();
        warden::watch_folder(&folder);
        install(&folder);
        let mut server = Self { folder, port: free_port(), durability, server: None };
        server.start_again();
        server
    }

    /// `mysql://` with host and port, without a database.
    pub fn url(&self) -> String {
        url_of(self.port)
    }

    /// The operating system's number of the process, to look at what it costs.
    pub fn process_id(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    /// Kills it as a power cut would; gives back when it is dead.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().and_then(|()| server.wait()).expect("the server is ours");
            warden::forget_program(server.id());
        }
    }

    /// Stops it in its tracks: connections stay, and nothing is answered any more. A machine that swaps, a network that
    /// swallows packets.
    pub fn stall(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`PrivateMariaDb::stall`].
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let server = self.server.as_ref().expect("the server runs");
        kill_process(Pid::from_child(server), signal).expect("the server is ours");
    }

    /// Starts it on the same port with the same data; gives back when it answers.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        let server = spawn(&self.folder, self.port, self.durability);
        warden::watch_program(server.id());
        let server = self.server.insert(server);
        wait_until_it_answers(server, &self.folder, self.port);
    }
}

impl Drop for PrivateMariaDb {
    fn drop(&mut self) {
        self.kill();
        // What stays behind is removed by the warden.
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The server that all tests share, as `mysql://` with host and port; started by whoever asks first.
/// `POSTRIDER_TEST_MARIADB` names another one that runs already.
pub fn shared_url() -> &'static str {
    static SHARED: OnceLock<(String, Option<File>)> = OnceLock::new();
    let (url, _lease) = SHARED.get_or_init(|| {
        if let Ok(url) = std::env::var("POSTRIDER_TEST_MARIADB") {
            return (url.trim_end_matches('/').to_owned(), None);
        }
        let lease = open_lock("mariadb.lease");
        lease.lock_shared().expect("locks work in the target folder");
        (shared(), Some(lease))
    });
    url
}

/// Finds the shared server or starts it. The caller holds a lease, so that it does not end under our hands.
fn shared() -> String {
    let start = open_lock("mariadb.start");
    start.lock().expect("locks work in the target folder");
    let note = shared_path("mariadb.port");
    let noted = fs::read_to_string(&note).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = noted.filter(|port| is_answering(*port)) {
        return url_of(port);
    }
    let folder = new_folder();
    end_when_nobody_holds_the_lease(&folder);
    install(&folder);
    let port = free_port();
    let mut server = spawn(&folder, port, Durability::Kill);
    fs::write(folder.join("server"), server.id().to_string()).expect("the folder is ours");
    wait_until_it_answers(&mut server, &folder, port);
    fs::write(&note, port.to_string()).expect("the target folder is ours");
    url_of(port)
}

/// Leaves a shell behind that looks every three seconds whether anybody still holds the lease. What was still being installed may
/// go on to write for a moment, so the folder is removed twice.
#[expect(clippy::zombie_processes, reason = "it outlives this process")]
fn end_when_nobody_holds_the_lease(folder: &Path) {
    let script = r#"
        exec 9<>"$1"
        while sleep 3; do flock --exclusive --nonblock 9 && break; done
        rm -f "$2"
        kill -KILL "$(cat "$3/server")"
        exec 9>&-
        sleep 0.2
        rm -rf "$3"
        sleep 2
        rm -rf "$3"
    "#;
    Command::new("sh")
        .args(["-c", script, "sh"])
        .args([shared_path("mariadb.lease"), shared_path("mariadb.port")])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh is there");
}

/// All test processes of one target folder share a server.
fn shared_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn open_lock(name: &str) -> File {
    let path = shared_path(name);
    File::options().create(true).truncate(false).write(true).open(&path).expect("the target folder is ours")
}

/// A new folder that the server's user may enter. Not in the target folder: that may lie in a home which is closed to it.
fn new_folder() -> PathBuf {
    let folder =
        tempfile::Builder::new().prefix("postrider-mariadb-").tempdir().expect("there is a temp folder").keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    folder
}

/// MariaDB refuses to run as root.
fn user_args() -> Vec<String> {
    if is_root() { vec!["--user=mysql".to_owned()] } else { Vec::new() }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id is there");
    output.stdout.trim_ascii() == b"0"
}

/// A program of the server package: Debian has the server itself where only root looks.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin"));
    command
}

/// A server that starts clears away what others left in the folder for temporary tables, also of one that runs: each has
/// its own.
fn temporary(folder: &Path) -> PathBuf {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).expect("the folder is ours");
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o777)).expect("it was made by us");
    temporary
}

fn install(folder: &Path) {
    let output = program("mariadb-install-db")
        .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve"])
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--tmpdir={}", temporary(folder).display()))
        .args(user_args())
        .output()
        .expect("mariadb-install-db is there: apt-get install mariadb-server");
    assert!(output.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr));
    // The socket and the process id lie beside the data: the folder has to be the server's, too.
    let data = fs::metadata(folder.join("data")).expect("it was just made");
    std::os::unix::fs::chown(folder, Some(data.uid()), Some(data.gid())).expect("both folders are ours");
}

fn spawn(folder: &Path, port: u16, durability: Durability) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the folder is ours");
    let flush = match durability {
        Durability::PowerCut => 1,
        Durability::Kill => 2,
    };
    program("mariadbd")
        .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
        .args(["--max-connections=500", "--innodb-buffer-pool-size=128M", "--performance-schema=OFF"])
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", folder.join("data").display()))
        .arg(format!("--tmpdir={}", temporary(folder).display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg(format!("--innodb-flush-log-at-trx-commit={flush}"))
        .args(user_args())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("mariadbd is there: apt-get install mariadb-server")
}

fn wait_until_it_answers(server: &mut Child, folder: &Path, port: u16) {
    eventually("MariaDB to answer", START_DEADLINE, || {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        if let Ok(Some(status)) = server.try_wait() {
            panic!("MariaDB ended with {status}:\n{}", log());
        }
        if is_answering(port) { Ok(()) } else { Err(log()) }
    });
}

fn is_answering(port: u16) -> bool {
    MysqlConnection::establish(&url_of(port)).is_ok()
}

fn url_of(port: u16) -> String {
    format!("mysql://root@127.0.0.1:{port}")
}
